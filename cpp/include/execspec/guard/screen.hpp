// The quick look at an action: it is beyond doubt, or it is to be examined. And what is kept of the actions that ran.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "execspec/guard/agreement.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/pack.hpp"

namespace execspec::guard {
inline namespace EXECSPEC_PACKS {

// Arrays of channels end with zeros, so that packs may reach beyond.
struct PerChannel {
    alignas(64) double at[max_channels] = {};

    double& operator[](std::size_t d) noexcept { return at[d]; }
    double operator[](std::size_t d) const noexcept { return at[d]; }
    Pack pack(std::size_t d) const noexcept { return load(aligned(at + d)); }
    void put(std::size_t d, Pack pack) noexcept { store(aligned(at + d), pack); }
};

// Where the actions executed so far have led.
struct Track {
    PerChannel last;
    PerChannel walk;     // the sum of deltas
    bool moved = false;  // there is a last action
};

// The largest that was seen: envelope in units of half its width, jump and walk as they are.
struct Extremes {
    PerChannel envelope;
    PerChannel jump;
    PerChannel walk;
};

// One action of a chunk, and the u it was made of; `step` is the time step of the figures.
struct Row {
    const double* u;
    const double* a;
    std::size_t step;
};

// The numbers of a pack of columns.
class Numbers {
  public:
    Numbers(const Image& image, std::size_t step, std::size_t d) noexcept : first_(image.column(step, d)) {}

    Pack operator[](Column k) const noexcept { return load(first_ + static_cast<std::size_t>(k) * lane); }

  private:
    const double* first_;
};

// Calls f with a number of channels, as a constant where it is that of most arms, so that loops over packs unroll.
template <class F>
__attribute__((always_inline)) inline bool with_channels(std::size_t channels, F&& f) noexcept {
    switch (channels) {
        case 6:
            return f(std::integral_constant<std::size_t, 6>());
        case 7:
            return f(std::integral_constant<std::size_t, 7>());
        case 8:
            return f(std::integral_constant<std::size_t, 8>());
        case 14:
            return f(std::integral_constant<std::size_t, 14>());
    }
    return f(channels);
}

// Finite, as close to the spec's line as rounding leaves an action that is right, and within every limit without any
// margin. Channels without a line are still to be compared with the ops. `relative`: 1 for a delta, 0 for an absolute
// action.
__attribute__((always_inline)) inline bool beyond_doubt(const Image& image, const PerChannel& relative,
                                                        const Track& track, const Row& row,
                                                        std::size_t channels) noexcept {
    if (!track.moved) return false;
    Mask doubts{};  // in top bits
    for (std::size_t d = 0; d < channels; d += pack_size) {
        const Numbers number(image, row.step, d);
        const Pack u = load(row.u + d, channels - d);
        const Pack a = load(row.a + d, channels - d);
        doubts |= beyond(u, all_of(largest_scale)) | beyond(a, all_of(largest_finite));
        const Pack line = number[Column::scale] * u + number[Column::offset];
        const Pack value = smaller(larger(line, number[Column::floor]), number[Column::ceiling]);
        const Pack near = number[Column::near];
        doubts |= beyond(value - a, larger(near, near * magnitude(u))) & ~bits_of(near);
        doubts |= bits_of(a - number[Column::low]) | bits_of(number[Column::high] - a);
        doubts |= beyond(a - track.last.pack(d), number[Column::jump]);
        doubts |= beyond(track.walk.pack(d) + relative.pack(d) * a, number[Column::walk]);
    }
    return !any_top_bit(doubts);
}

// An action beyond doubt becomes the last one. `runs`: it is one of those that will be executed.
__attribute__((always_inline)) inline void follow(const Image& image, const PerChannel& relative, const Row& row,
                                                  std::size_t channels, bool runs, Track& track,
                                                  Extremes& extremes) noexcept {
    for (std::size_t d = 0; d < channels; d += pack_size) {
        const Numbers number(image, row.step, d);
        const Pack a = load(row.a + d, channels - d);
        const Pack envelope = magnitude(a - number[Column::middle]) * number[Column::inverse];
        const Pack jump = magnitude(a - track.last.pack(d));
        const Pack walk = track.walk.pack(d) + relative.pack(d) * a;
        extremes.envelope.put(d, larger(envelope, extremes.envelope.pack(d)));
        extremes.jump.put(d, larger(jump, extremes.jump.pack(d)));
        if (runs) extremes.walk.put(d, larger(magnitude(walk), extremes.walk.pack(d)));
        track.last.put(d, a);
        track.walk.put(d, walk);
    }
}

}  // namespace EXECSPEC_PACKS
}  // namespace execspec::guard
