// Rows in blocks that stay in the first cache, and the squares that are summed over a block.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <variant>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/isa.hpp"
#include "execspec/sample.hpp"

namespace execspec {

// A block of rows, channel after channel: the values, and where they lie in the local coordinates.
struct RowBlock {
    static constexpr std::size_t rows = 384;  // of 14 channels still fit
    static constexpr std::size_t stride =
        rows + 40;  // columns a power of two apart would share their places in the cache

    std::size_t size = 0;
    std::vector<const double*> x;  // by channel of the sample
    Buffer<double> t;

    explicit RowBlock(const ActionSample& sample) : x(sample.dim()), t((sample.dim() + 1) * stride) {}

    void load(const ActionSample& sample, std::size_t first) {
        size = std::min(rows, sample.count() - first);
        for (std::size_t d = 0; d < sample.dim(); ++d) {
            x[d] = sample.rows(d) + first;
            const Rounded local = std::get<Empirical>(sample.column(d)).to_local();
            const double* from = x[d];
            double* to = t.data() + d * stride;
            isa::run([&] {
                for (std::size_t r = 0; r < size; ++r) to[r] = local(from[r]);
            });
            std::fill(to + size, to + rows, 0.0);
        }
    }
    const double* local(std::size_t channel) const { return t.data() + channel * stride; }

    // Room for what is made of a block, at a distance from its columns that no two of them share a place in the cache.
    double* squares() { return t.data() + x.size() * stride; }
};

namespace detail {

// Calls f with the count as a constant where it is small, so that loops over channels leave nothing in memory; f(0) is
// for any count.
template <class F>
void with_channels(std::size_t count, F&& f) {
    switch (count) {
        case 1:
            return f(std::integral_constant<std::size_t, 1>());
        case 2:
            return f(std::integral_constant<std::size_t, 2>());
        case 3:
            return f(std::integral_constant<std::size_t, 3>());
        case 6:
            return f(std::integral_constant<std::size_t, 6>());
        case 7:
            return f(std::integral_constant<std::size_t, 7>());
    }
    f(std::integral_constant<std::size_t, 0>());
}

// Calls use(sum) where sum(r), for r < rows, folds term(slope[c], level[c], t_c[r], the sum before) over channels; the
// columns lie `stride` apart.
template <class Term, class Use>
void with_sums(const double* t, std::size_t stride, std::size_t rows, const std::vector<double>& slopes,
               const std::vector<double>& levels, Term&& term, Use&& use) {
    with_channels(slopes.size(), [&](auto count) {
        constexpr std::size_t channels = count();
        if constexpr (channels > 0) {
            double slope[channels];
            double level[channels];
            std::copy_n(slopes.data(), channels, slope);
            std::copy_n(levels.data(), channels, level);
            use([&](std::size_t r) {
                double sum = 0.0;
                for (std::size_t c = 0; c < channels; ++c) sum = term(slope[c], level[c], t[c * stride + r], sum);
                return sum;
            });
        } else {
            alignas(64) double sums[RowBlock::rows] = {};
            for (std::size_t c = 0; c < slopes.size(); ++c)
                for (std::size_t r = 0; r < rows; ++r) sums[r] = term(slopes[c], levels[c], t[c * stride + r], sums[r]);
            use([&](std::size_t r) { return sums[r]; });
        }
    });
}

// ... of (scale[c] t_c[r] + offset[c])^2.
inline double add_square(double scale, double offset, double t, double sum) {
    const double y = std::fma(scale, t, offset);
    return std::fma(y, y, sum);
}
template <class Use>
void with_squares(const double* t, std::size_t stride, std::size_t rows, const std::vector<double>& scale,
                  const std::vector<double>& offset, Use&& use) {
    with_sums(t, stride, rows, scale, offset, add_square, use);
}

// ... of scale[c]^2 v_c[r].
template <class Use>
void with_spreads(const double* v, std::size_t stride, std::size_t rows, const std::vector<double>& scale, Use&& use) {
    const auto add = [](double slope, double, double x, double sum) { return std::fma(slope * slope, x, sum); };
    with_sums(v, stride, rows, scale, scale, add, use);
}

}  // namespace detail

}  // namespace execspec
