// Drift of many pairs of lines over one column: what `drift.hpp` defines for one pair, for the common case and in
// batches, so that the cache misses of a whole batch overlap.
//
// A pair is the line delta(t) = scale t + offset in the column's local coordinate. Since that is centred on the median,
// sum |delta| >= |scale| sum |t|: no sum below cancels, and plain doubles from exact coefficients keep 1e-15.
// Where a tie or rounding could change the answer, it is `undecided` and the general definition decides.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/empirical.hpp"
#include "execspec/isa.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/windows.hpp"

namespace execspec {

// One channel's maps as lines, each number as the two halves of a double-double.
struct Lines {
    std::vector<double> scale, scale_lo, offset, offset_lo;

    void push_back(const Affine& f) {
        scale.push_back(f.scale.hi);
        scale_lo.push_back(f.scale.lo);
        offset.push_back(f.offset.hi);
        offset_lo.push_back(f.offset.lo);
    }
    Affine operator[](std::size_t k) const { return {dd(scale[k], scale_lo[k]), dd(offset[k], offset_lo[k])}; }
};

struct LinePairs {
    static constexpr std::size_t capacity = 128;

    std::size_t size = 0;
    double scale[capacity];
    double scale_lo[capacity];
    double offset[capacity];
    double offset_lo[capacity];

    // executed[first], executed[first + 1], … in the place of `intended`.
    void add(const Affine& intended, const Lines& executed, std::size_t first, std::size_t count) {
        for (std::size_t k = 0; k < count; ++k) {
            const Affine delta = executed[first + k] - intended;
            scale[size + k] = delta.scale.hi;
            scale_lo[size + k] = delta.scale.lo;
            offset[size + k] = delta.offset.hi;
            offset_lo[size + k] = delta.offset.lo;
        }
        size += count;
    }
    Affine at(std::size_t k) const { return {dd(scale[k], scale_lo[k]), dd(offset[k], offset_lo[k])}; }
};

constexpr double undecided = std::numeric_limits<double>::quiet_NaN();

namespace line_pairs {

// What is told of the values before a root, or around it: their sum, or how far the nearest is from it.
enum class Tell { sum, nearest };

// Value by value of a line for all roots, so that each step is one on vectors.
template <Tell tell, bool ties>
void read_lines(const Empirical& x, const double* root, std::size_t n, const std::uint32_t* line,
                double* __restrict less, double* __restrict told) {
    constexpr std::size_t size = Empirical::Line::size;
    const double* lines = &x.lines()->first;
    const double* heads = x.heads().data();
    const std::uint32_t* ranks = x.ranks();
    const Rounded local = x.to_local();
    for (std::size_t k = 0; k < n; ++k) {
        less[k] = ties ? ranks[line[k] * size] : line[k] * size;
        told[k] = tell == Tell::sum ? lines[line[k] * (size + 1)] : std::abs(heads[line[k] + 1] - root[k]);
    }
    for (std::size_t j = 0; j < size; ++j)
        for (std::size_t k = 0; k < n; ++k) {
            const double t = local(lines[line[k] * (size + 1) + 1 + j]);
            const double weight = ties ? ranks[line[k] * size + j + 1] - ranks[line[k] * size + j] : 1;
            const bool before = t < root[k];
            less[k] += before ? weight : 0.0;
            if (tell == Tell::sum) {
                told[k] += before ? t * weight : 0.0;
            } else {
                const double distance = std::abs(t - root[k]);
                told[k] = distance < told[k] ? distance : told[k];
            }
        }
}

// For each of n <= SortedKeys::batch roots: how many values are less, and what else is asked for. The line a root falls
// into is the last one that begins before it.
template <Tell tell>
void look(const Empirical& x, const double* root, std::size_t n, double* less, double* told) {
    std::uint32_t line[SortedKeys::batch];
    x.heads().find(root, n, line);
    for (std::size_t k = 0; k < n; ++k) {
        line[k] -= line[k] > 0;
        __builtin_prefetch(x.lines() + line[k]);
    }
    if (x.ranks() == nullptr)
        read_lines<tell, false>(x, root, n, line, less, told);
    else
        read_lines<tell, true>(x, root, n, line, less, told);
}

// E |delta|: |scale (T - 2 F) + offset (N - 2 B)| / N, with count B and sum F before the root, and N and T in all.
inline void mean_abs(const Empirical& x, const LinePairs& pairs, double* out) {
    double root[LinePairs::capacity] = {};
    double count[LinePairs::capacity];
    double sum[LinePairs::capacity];
    for (std::size_t k = 0; k < pairs.size; ++k) root[k] = -pairs.offset[k] / pairs.scale[k];
    look<Tell::sum>(x, root, pairs.size, count, sum);
    const double total = x.first().hi;
    const double n = static_cast<double>(x.count());
    for (std::size_t k = 0; k < pairs.size; ++k)
        out[k] = std::abs(pairs.scale[k] * (total - 2.0 * sum[k]) + pairs.offset[k] * (n - 2.0 * count[k])) / n;
}

// E delta.
inline void bias(const Empirical& x, const LinePairs& pairs, double* out) {
    const dd mean = x.first() / x.total();
    for (std::size_t k = 0; k < pairs.size; ++k) out[k] = double(pairs.at(k)(mean));
}

// sqrt(E delta^2): the variance and the mean's square.
inline void rms(const Empirical& x, const LinePairs& pairs, double* out) {
    const dd mean = x.first() / x.total();
    const double variance = std::max(0.0, double(x.second() / x.total() - mean * mean));
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double slope = std::abs(pairs.scale[k]);
        const double middle = std::abs(double(pairs.at(k)(mean)));
        const double unit = slope > middle ? slope : middle;  // so that no square under- or overflows
        const double a = slope / unit;
        const double b = middle / unit;
        out[k] = unit > 0.0 ? unit * std::sqrt(a * a * variance + b * b) : 0.0;
    }
}

// max |delta|: a line is largest at an end.
inline void max_abs(const Empirical& x, const LinePairs& pairs, double* out) {
    const dd first = x.local_value(0);
    const dd last = x.local_value(x.unique() - 1);
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const Affine delta = pairs.at(k);
        const double a = std::abs(double(delta(first)));
        const double b = std::abs(double(delta(last)));
        out[k] = a > b ? a : b;
    }
}

// P(|delta| > eps): what lies before the lower root of |delta| = eps, and after the upper.
inline void exceeds(const Empirical& x, const LinePairs& pairs, double eps, double* out) {
    double root[2 * LinePairs::capacity] = {};
    double margin[LinePairs::capacity];
    double count[2 * LinePairs::capacity];
    double nearest[2 * LinePairs::capacity];
    const std::size_t upper = pairs.size;
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double slope = std::abs(pairs.scale[k]);
        const double offset = pairs.scale[k] < 0.0 ? -pairs.offset[k] : pairs.offset[k];
        const double per_slope = 1.0 / slope;
        root[k] = (-eps - offset) * per_slope;
        root[upper + k] = (eps - offset) * per_slope;
        margin[k] = 1e-15 * (1.0 + (eps + std::abs(offset)) * per_slope);
    }
    look<Tell::nearest>(x, root, 2 * pairs.size, count, nearest);
    const double n = static_cast<double>(x.count());
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const bool decided = margin[k] < 1.0 && nearest[k] > margin[k] && nearest[upper + k] > margin[k];
        out[k] = decided ? (count[k] + (n - count[upper + k])) / n : undecided;
    }
}

// The quantile of |delta|: the farther end of the window of values around its root.
inline void quantile(const Empirical& x, const LinePairs& pairs, const Windows& windows, double* out) {
    double root[LinePairs::capacity] = {};
    std::uint32_t first[LinePairs::capacity];
    for (std::size_t k = 0; k < pairs.size; ++k) root[k] = -pairs.offset[k] / pairs.scale[k];
    windows.find(root, pairs.size, first);
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double a = x.t(first[k]);
        const double b = x.t(first[k] + windows.quota() - 1);
        const double slope = std::abs(pairs.scale[k]);
        const double offset = pairs.scale[k] < 0.0 ? -pairs.offset[k] : pairs.offset[k];
        const double below = std::abs(slope * a + offset);
        const double above = std::abs(slope * b + offset);
        const double far = below > above ? below : above;
        const double size = slope * (std::abs(a) > std::abs(b) ? std::abs(a) : std::abs(b)) + std::abs(offset);
        out[k] =
            far >= 0.01 * size ? far : undecided;  // else rounding, 4e-16 of size, is more than 1e-13 of the result
    }
}

}  // namespace line_pairs
}  // namespace execspec
