// Rows in blocks that stay in the first cache, and what is summed over a block: squares, roots, lanes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <variant>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/isa.hpp"
#include "execspec/sample.hpp"

namespace execspec {

// A block of rows, channel after channel: the values, and where they lie in the local coordinates.
struct RowBlock {
    static constexpr std::size_t rows = 256;
    static constexpr std::size_t stride = rows + 40;  // columns 2 KiB apart would share their places in the cache

    std::size_t size = 0;
    std::vector<const double*> x;  // by channel of the sample
    Buffer<double> t;

    explicit RowBlock(const ActionSample& sample) : x(sample.dim()), t((sample.dim() + 2) * stride) {}

    void load(const ActionSample& sample, std::size_t first) {
        size = std::min(rows, sample.count() - first);
        for (std::size_t d = 0; d < sample.dim(); ++d) {
            x[d] = sample.rows(d) + first;
            const Frame& frame = std::get<Empirical>(sample.column(d)).frame();
            const int half = frame.exponent / 2;
            const double unit = std::ldexp(1.0, -half);
            const double rest = std::ldexp(1.0, half - frame.exponent);
            const double* from = x[d];
            double* to = t.data() + d * stride;
            isa::run([&] {
                for (std::size_t r = 0; r < size; ++r) to[r] = (from[r] - frame.centre) * unit * rest;
            });
            std::fill(to + size, to + rows, 0.0);
        }
    }
    const double* local(std::size_t channel) const { return t.data() + channel * stride; }

    // Room for what is made of a block, at a distance from its columns that no two of them share a place in the cache.
    double* squares() { return t.data() + x.size() * stride; }
    float* inverse_roots() { return reinterpret_cast<float*>(t.data() + (x.size() + 1) * stride); }
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

// out[r] = sum_c term(t[c * stride + r], slope[c], level[c]) over a block, or with Add += that.
template <bool Add, std::size_t C, class Term>
void sum_channels(const double* t, std::size_t stride, const double* slopes, const double* levels, Term&& term,
                  double* __restrict out) {
    double slope[C];
    double level[C];
    for (std::size_t c = 0; c < C; ++c) {
        slope[c] = slopes[c];
        level[c] = levels[c];
    }
    for (std::size_t r = 0; r < RowBlock::rows; ++r) {
        double sum = Add ? out[r] : 0.0;
        for (std::size_t c = 0; c < C; ++c) sum = term(t[c * stride + r], slope[c], level[c], sum);
        out[r] = sum;
    }
}

template <bool Add, class Term>
void sum_channels(const double* t, std::size_t stride, const std::vector<double>& slope,
                  const std::vector<double>& level, Term&& term, double* __restrict out) {
    with_channels(slope.size(), [&](auto count) {
        if constexpr (count() > 0) return sum_channels<Add, count()>(t, stride, slope.data(), level.data(), term, out);
        if (!Add) std::fill(out, out + RowBlock::rows, 0.0);
        for (std::size_t c = 0; c < slope.size(); ++c)
            for (std::size_t r = 0; r < RowBlock::rows; ++r)
                out[r] = term(t[c * stride + r], slope[c], level[c], out[r]);
    });
}

// squares[r] = sum_c (scale[c] t_c[r] + offset[c])^2, the columns `stride` apart.
inline void line_squares(const double* t, std::size_t stride, const std::vector<double>& scale,
                         const std::vector<double>& offset, double* squares) {
    const auto square = [](double x, double slope, double level, double sum) {
        const double y = std::fma(slope, x, level);
        return std::fma(y, y, sum);
    };
    sum_channels<false>(t, stride, scale, offset, square, squares);
}

// squares[r] += sum_c scale[c]^2 v_c[r].
inline void add_spread(const double* v, std::size_t stride, const std::vector<double>& scale, double* squares) {
    const auto spread = [](double x, double slope, double, double sum) { return std::fma(slope * slope, x, sum); };
    sum_channels<true>(v, stride, scale, scale, spread, squares);
}

// Square roots of values of at most 2^110, each to 4e-16 of itself, or of 1e-19. In half the time of the machine's own
// roots, which pass one by one through its divider: 1 / sqrt(x) in float from its bits (Lomont 2003) and two steps of
// Newton's method, to 5e-6; then one step of third order in double.
inline void inverse_roots(const double* __restrict x, float* __restrict inverse) {
    for (std::size_t r = 0; r < RowBlock::rows; ++r) {
        const float value = static_cast<float>(x[r]);
        std::int32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        bits = 0x5f375a86 - (bits >> 1);
        float y;
        std::memcpy(&y, &bits, sizeof y);
        const float half = -0.5f * value;
        y *= std::fma(half * y, y, 1.5f);
        inverse[r] = y * std::fma(half * y, y, 1.5f);
    }
}
inline double root(double x, float inverse) {
    const double y = static_cast<double>(inverse);
    const double near = x * y;
    const double error = std::fma(-near, y, 1.0);
    return std::fma(near * error, std::fma(0.375, error, 0.5), near);
}

// Eight sums in fixed lanes, added in fixed order, so that they have the same bits on every instruction set.
struct Lanes {
    static constexpr std::size_t width = 8;
    double sum[width] = {};

    void add(const double* x) {
        double lanes[width];
        for (std::size_t l = 0; l < width; ++l) lanes[l] = sum[l];
        for (std::size_t r = 0; r < RowBlock::rows; r += width)
            for (std::size_t l = 0; l < width; ++l) lanes[l] += x[r + l];
        for (std::size_t l = 0; l < width; ++l) sum[l] = lanes[l];
    }
    double total() const { return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7])); }
};

}  // namespace detail

}  // namespace execspec
