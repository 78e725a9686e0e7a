// Drift of many pairs of lines over one column: what `drift.hpp` defines for one pair, for the common case and in
// batches. A batch asks for what it needs of the column's tables, and is answered when the next one has asked: so the
// cache misses of a whole batch overlap with each other and with the work on the batch before.
//
// A pair is the line delta(t) = scale t + offset in the column's local coordinate. Since that is centred on the median,
// sum |delta| >= |scale| sum |t|: no sum below cancels, and plain doubles from exact coefficients keep 1e-15.
// Where a tie or rounding could change the answer, or a map is no line, it is `undecided` and the general definition
// decides.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/empirical.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/windows.hpp"

namespace execspec {

constexpr double undecided = std::numeric_limits<double>::quiet_NaN();

// One channel's maps as lines, each number as the two halves of a double-double; `undecided` for what is none.
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

// A batch of them, and what its metric asks for.
struct LinePairs {
    static constexpr std::size_t capacity = 128;

    std::size_t size = 0;
    double scale[capacity];
    double scale_lo[capacity];
    double offset[capacity];
    double offset_lo[capacity];
    std::size_t roots = 0;  // asked for: none, one or two to a pair
    double root[2 * capacity] = {};
    double least[2 * capacity] = {};  // what a value that may equal the root is not less than
    std::uint32_t place[2 * capacity] =
        {};  // the line that a root falls into, or the first rank of the window around it

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

    // root[k]: where the k-th pair does not differ.
    void find_roots() {
        roots = size;
        for (std::size_t k = 0; k < size; ++k) root[k] = -offset[k] / scale[k];
    }
};

// Each metric asks, and answers when the next batch has asked. What needs no table asks for nothing.
namespace line_pairs {

// The line of each root: the last one that begins before it.
inline void ask_lines(const Empirical& x, LinePairs& pairs) {
    x.heads().find(pairs.root, pairs.roots, pairs.place);
    for (std::size_t k = 0; k < pairs.roots; ++k) pairs.place[k] -= pairs.place[k] > 0;
}

// Calls read(k, line, from) for every root k, `from` the place of its line among all numbers of lines, in loops that
// fit vectors; between them the lines of the next batch are fetched, so that the processor has other work in the
// meantime.
template <class Read>
void read_lines(const Empirical& x, const LinePairs& pairs, const LinePairs& next, Read&& read) {
    constexpr std::size_t few = 16;
    static_assert(LinePairs::capacity % few == 0, "room for whole steps");
    for (std::size_t first = 0; first < std::max(pairs.roots, next.roots); first += few) {
        for (std::size_t k = first; k < std::min(first + few, next.roots); ++k)
            __builtin_prefetch(x.lines() + next.place[k]);
        if (first < pairs.roots)
            for (std::size_t k = first; k < first + few; ++k)
                read(k, pairs.place[k], std::size_t{pairs.place[k]} * (Empirical::Line::size + 1));
    }
}

// For each root how many values are less, and their sum.
template <bool ties>
void read_sums(const Empirical& x, const LinePairs& pairs, const LinePairs& next, double* __restrict less,
               double* __restrict sum) {
    constexpr std::size_t size = Empirical::Line::size;
    const double* lines = &x.lines()->first;
    const std::uint32_t* ranks = x.ranks();
    const double* root = pairs.root;
    const Rounded local = x.to_local();
    read_lines(x, pairs, next, [=](std::size_t k, std::uint32_t line, std::size_t from) {
        const std::uint32_t rank = line * size;
        double count = ties ? ranks[rank] : rank;
        double total = lines[from];
        for (std::size_t j = 0; j < size; ++j) {
            const double t = local(lines[from + 1 + j]);
            const double weight = ties ? ranks[rank + j + 1] - ranks[rank + j] : 1;
            const bool before = t < root[k];
            count += before ? weight : 0.0;
            total += before ? t * weight : 0.0;
        }
        less[k] = count;
        sum[k] = total;
    });
}

// For each root how many values are less, and whether one of them is not less than `least`.
template <bool ties>
void read_counts(const Empirical& x, const LinePairs& pairs, const LinePairs& next, double* __restrict less,
                 double* __restrict close) {
    constexpr std::size_t size = Empirical::Line::size;
    static_assert(size == 7, "three steps of bisection");
    const double* lines = &x.lines()->first;
    const std::uint32_t* ranks = x.ranks();
    const double* root = pairs.root;
    const double* least = pairs.least;
    const Rounded local = x.to_local();
    read_lines(x, pairs, next, [=](std::size_t k, std::uint32_t line, std::size_t from) {
        std::uint32_t count = 0;
        double last = -infinity;
        const auto bisect = [&](std::uint32_t step) {
            const double t = local(lines[from + count + step]);
            const bool before = t < root[k];
            count += before ? step : 0;
            last = before ? t : last;
        };
        bisect(4);
        bisect(2);
        bisect(1);
        const std::uint32_t rank = line * size + count;
        less[k] = ties ? ranks[rank] : rank;
        close[k] = last < least[k] ? 0.0 : 1.0;
    });
}

// E |delta|: |scale (T - 2 F) + offset (N - 2 B)| / N, with count B and sum F before the root, and N and T in all.
struct MeanAbs {
    const Empirical& x;

    void ask(LinePairs& pairs) const {
        pairs.find_roots();
        ask_lines(x, pairs);
    }
    void answer(const LinePairs& pairs, const LinePairs& next, double* out) const {
        double count[LinePairs::capacity];
        double sum[LinePairs::capacity];
        const bool ties = x.ranks() != nullptr;
        ties ? read_sums<true>(x, pairs, next, count, sum) : read_sums<false>(x, pairs, next, count, sum);
        const double total = x.first().hi;
        const double n = static_cast<double>(x.count());
        for (std::size_t k = 0; k < pairs.size; ++k)
            out[k] = std::abs(pairs.scale[k] * (total - 2.0 * sum[k]) + pairs.offset[k] * (n - 2.0 * count[k])) / n;
    }
};

// E delta.
struct Bias {
    const Empirical& x;

    void ask(LinePairs&) const {}
    void answer(const LinePairs& pairs, const LinePairs&, double* out) const {
        const dd mean = x.first() / x.total();
        for (std::size_t k = 0; k < pairs.size; ++k) out[k] = double(pairs.at(k)(mean));
    }
};

// sqrt(E delta^2): the variance and the mean's square.
struct Rms {
    const Empirical& x;

    void ask(LinePairs&) const {}
    void answer(const LinePairs& pairs, const LinePairs&, double* out) const {
        const dd mean = x.first() / x.total();
        const double variance = std::max(0.0, double(x.second() / x.total() - mean * mean));
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const double slope = std::abs(pairs.scale[k]);
            const double middle = std::abs(double(pairs.at(k)(mean)));
            const double unit = slope > middle ? slope : middle;  // so that no square under- or overflows
            const double a = slope / unit;
            const double b = middle / unit;
            out[k] = unit == 0.0 ? 0.0 : unit * std::sqrt(a * a * variance + b * b);
        }
    }
};

// max |delta|: a line is largest at an end.
struct MaxAbs {
    const Empirical& x;

    void ask(LinePairs&) const {}
    void answer(const LinePairs& pairs, const LinePairs&, double* out) const {
        const dd first = x.local_value(0);
        const dd last = x.local_value(x.unique() - 1);
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const Affine delta = pairs.at(k);
            const double a = std::abs(double(delta(first)));
            const double b = std::abs(double(delta(last)));
            out[k] = a > b ? a : b;
        }
    }
};

// P(|delta| > eps): what lies before the lower root of |delta| = eps, and after the upper.
struct Exceeds {
    const Empirical& x;
    double eps;

    void ask(LinePairs& pairs) const {
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const double slope = std::abs(pairs.scale[k]);
            const double offset = pairs.scale[k] < 0.0 ? -pairs.offset[k] : pairs.offset[k];
            const double per_slope = 1.0 / slope;
            const double margin = 1e-15 * (1.0 + (eps + std::abs(offset)) * per_slope);
            const double lower = (-eps - offset) * per_slope;
            const double upper = (eps - offset) * per_slope;
            pairs.root[k] = lower + margin;
            pairs.root[pairs.size + k] = upper + margin;
            pairs.least[k] = lower - margin;
            pairs.least[pairs.size + k] = upper - margin;
        }
        pairs.roots = 2 * pairs.size;
        ask_lines(x, pairs);
    }
    void answer(const LinePairs& pairs, const LinePairs& next, double* out) const {
        double count[2 * LinePairs::capacity];
        double close[2 * LinePairs::capacity];
        const bool ties = x.ranks() != nullptr;
        ties ? read_counts<true>(x, pairs, next, count, close) : read_counts<false>(x, pairs, next, count, close);
        const std::size_t upper = pairs.size;
        const double n = static_cast<double>(x.count());
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const bool decided = pairs.root[k] - pairs.least[k] < 1.0 && close[k] + close[upper + k] == 0.0;
            out[k] = decided ? (count[k] + (n - count[upper + k])) / n : undecided;
        }
    }
};

// The quantile of |delta|: the farther end of the window of values around its root.
struct Quantile {
    const Empirical& x;
    const Windows& windows;

    void ask(LinePairs& pairs) const {
        pairs.find_roots();
        windows.find(pairs.root, pairs.roots, pairs.place);
        for (std::size_t k = 0; k < pairs.size; ++k) {
            x.prefetch(pairs.place[k]);
            x.prefetch(pairs.place[k] + windows.quota() - 1);
        }
    }
    void answer(const LinePairs& pairs, const LinePairs&, double* out) const {
        for (std::size_t k = 0; k < pairs.size; ++k) {
            const double a = x.t(pairs.place[k]);
            const double b = x.t(pairs.place[k] + windows.quota() - 1);
            const double slope = std::abs(pairs.scale[k]);
            const double offset = pairs.scale[k] < 0.0 ? -pairs.offset[k] : pairs.offset[k];
            const double below = std::abs(slope * a + offset);
            const double above = std::abs(slope * b + offset);
            const double far = below > above ? below : above;
            const double size = slope * (std::abs(a) > std::abs(b) ? std::abs(a) : std::abs(b)) + std::abs(offset);
            // else rounding, 4e-16 of size, is more than 1e-13 of the result
            out[k] = far >= 0.01 * size ? far : undecided;
        }
    }
};

}  // namespace line_pairs
}  // namespace execspec
