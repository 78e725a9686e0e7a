// The quick look at an action: it is beyond doubt, or it is to be examined. And what is kept of the actions that ran.
#pragma once

#include <cstddef>
#include <cstdint>

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

// The numbers of one time step, pack by pack.
class Columns {
  public:
    Columns(const Image& image, std::size_t step) noexcept
        : first_(image.column(Column::scale) + step * image.width()), stride_(image.header().columns) {}

    Pack operator()(Column number, std::size_t d) const noexcept {
        return load(first_ + static_cast<std::size_t>(number) * stride_ + d);
    }

  private:
    const double* first_;
    std::size_t stride_;
};

// Finite, as close to the spec's line as rounding leaves an action that is right, and within every limit without any
// margin. Channels without a line are still to be compared with the ops. `relative`: 1 for a delta, 0 for an absolute
// action.
inline bool beyond_doubt(const Image& image, const PerChannel& relative, const Track& track, const Row& row) noexcept {
    if (!track.moved) return false;
    const Columns column(image, row.step);
    const std::size_t channels = image.channels();
    Mask doubts{};  // in top bits
    for (std::size_t d = 0; d < channels; d += pack_size) {
        const Pack u = load(row.u + d, channels - d);
        const Pack a = load(row.a + d, channels - d);
        doubts |= beyond(u, all_of(largest_scale)) | beyond(a, all_of(largest_finite));
        const Pack line = column(Column::scale, d) * u + column(Column::offset, d);
        const Pack value = smaller(larger(line, column(Column::floor, d)), column(Column::ceiling, d));
        const Pack near = column(Column::near, d);
        doubts |= beyond(value - a, larger(near, near * magnitude(u))) & ~bits_of(near);
        doubts |= bits_of(a - column(Column::low, d)) | bits_of(column(Column::high, d) - a);
        doubts |= beyond(a - track.last.pack(d), column(Column::jump, d));
        doubts |= beyond(track.walk.pack(d) + relative.pack(d) * a, column(Column::walk, d));
    }
    return !any_top_bit(doubts);
}

// An action beyond doubt becomes the last one. `runs`: it is one of those that will be executed.
inline void follow(const Image& image, const PerChannel& relative, const Row& row, bool runs, Track& track,
                   Extremes& extremes) noexcept {
    const Columns column(image, row.step);
    const std::size_t channels = image.channels();
    for (std::size_t d = 0; d < channels; d += pack_size) {
        const Pack a = load(row.a + d, channels - d);
        const Pack envelope = magnitude(a - column(Column::middle, d)) * column(Column::inverse, d);
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
