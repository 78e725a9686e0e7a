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
#include <limits>

#include "execspec/dd.hpp"
#include "execspec/empirical.hpp"
#include "execspec/isa.hpp"
#include "execspec/piecewise.hpp"

namespace execspec {

struct LinePairs {
    static constexpr std::size_t capacity = 128;

    std::size_t size = 0;
    double scale[capacity];  // each number as the two halves of a double-double
    double scale_lo[capacity];
    double offset[capacity];
    double offset_lo[capacity];

    // Each of `executed` in the place of `intended`.
    void add(const Affine& intended, const Affine* executed, std::size_t count) {
        for (std::size_t k = 0; k < count; ++k) {
            const Affine delta = executed[k] - intended;
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

inline void prefetch(const void* address) { __builtin_prefetch(address); }

// For each of up to 2 * capacity t[k] the number of the first record that is not less.
inline void find(const Empirical& x, const double* t, std::size_t n, std::uint32_t* record) {
    const std::uint32_t* index = x.index();
    const Empirical::Record* records = x.records();
    std::uint32_t cell[2 * LinePairs::capacity];
    for (std::size_t k = 0; k < n; ++k) cell[k] = static_cast<std::uint32_t>(x.cell(t[k]));
    for (std::size_t k = 0; k < n; ++k) prefetch(index + cell[k]);
    for (std::size_t k = 0; k < n; ++k) {
        record[k] = index[cell[k]];
        prefetch(records + record[k]);
        prefetch(records + record[k] + 3);
    }
    for (std::size_t k = 0; k < n; ++k) {
        std::uint32_t lo = record[k];
        std::uint32_t hi = index[cell[k] + 1];
        while (hi - lo > 4) {
            const std::uint32_t middle = lo + (hi - lo) / 2;
            (records[middle].t < t[k] ? lo : hi) = middle;
        }
        for (int step = 0; step < 4; ++step)
            lo += records[lo].t < t[k];  // stops by itself: the next cell's are greater
        record[k] = lo;
    }
}

// E |delta|: |scale (T - 2 F) + offset (N - 2 B)| / N, with count B and sum F before the root, and N and T in all.
inline void mean_abs(const Empirical& x, const LinePairs& pairs, double* out) {
    double root[LinePairs::capacity];
    std::uint32_t record[LinePairs::capacity];
    for (std::size_t k = 0; k < pairs.size; ++k) root[k] = -pairs.offset[k] / pairs.scale[k];
    find(x, root, pairs.size, record);
    const Empirical::Record* records = x.records();
    const double total = x.first().hi;
    const double n = static_cast<double>(x.count());
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double first = total - 2.0 * records[record[k]].first;
        const double count = n - 2.0 * x.before(record[k]);
        out[k] = std::abs(pairs.scale[k] * first + pairs.offset[k] * count) / n;
    }
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
    double root[2 * LinePairs::capacity];
    double margin[LinePairs::capacity];
    std::uint32_t record[2 * LinePairs::capacity];
    const double* const lower = root;
    const double* const upper = root + pairs.size;
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double slope = std::abs(pairs.scale[k]);
        const double offset = pairs.scale[k] < 0.0 ? -pairs.offset[k] : pairs.offset[k];
        root[k] = (-eps - offset) / slope;
        root[pairs.size + k] = (eps - offset) / slope;
        margin[k] = 1e-15 * (1.0 + (eps + std::abs(offset)) / slope);
    }
    find(x, root, 2 * pairs.size, record);
    const std::uint32_t* const from = record;
    const std::uint32_t* const to = record + pairs.size;
    const Empirical::Record* records = x.records();
    const auto clear = [&](std::uint32_t k, double root, double around) {
        return !(k > 0 && root - records[k - 1].t <= around) && !(records[k].t - root <= around);
    };
    const double n = static_cast<double>(x.count());
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const bool decided =
            margin[k] < 1.0 && clear(from[k], lower[k], margin[k]) && clear(to[k], upper[k], margin[k]);
        out[k] = decided ? (x.before(from[k]) + (n - x.before(to[k]))) / n : undecided;
    }
}

// The `quota`-th smallest |delta|. The values that close to the root are neighbours: [left, left + quota), by
// bisection.
inline void quantile(const Empirical& x, const LinePairs& pairs, std::size_t quota, double* out) {
    double root[LinePairs::capacity];
    std::size_t left[LinePairs::capacity];
    for (std::size_t k = 0; k < pairs.size; ++k) {
        root[k] = -pairs.offset[k] / pairs.scale[k];
        left[k] = 0;
    }
    // All bisections take the same steps, so that their cache misses overlap. `length` places are left to each.
    for (std::size_t length = x.count() - quota + 1; length > 1; length -= length / 2) {
        const std::size_t half = length / 2;
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const std::size_t middle = left[k] + half - 1;
            left[k] += root[k] - x.t(middle) > x.t(middle + quota) - root[k] ? half : 0;
        }
    }
    for (std::size_t k = 0; k < pairs.size; ++k) {
        const double a = x.t(left[k]);
        const double b = x.t(left[k] + quota - 1);
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
