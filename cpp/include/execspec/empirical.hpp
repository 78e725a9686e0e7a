// A column of N values: sorted and unique, with ranks and prefix sums, so that what lies before a cut costs one look.
//
// A line of the cache holds seven values and the sum of all before them; the first values of the lines, as sorted keys,
// lead to it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/dd.hpp"
#include "execspec/isa.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/place.hpp"
#include "execspec/sorted_keys.hpp"

namespace execspec {

class Empirical {
  public:
    // Seven neighbours, and the sum of the local coordinates before them, rounded. Infinity follows the last.
    struct Line {
        static constexpr std::size_t size = 7;
        double first;
        double x[size];
    };

    explicit Empirical(std::vector<double> x) {
        std::sort(x.begin(), x.end());
        build(x.data(), x.size());
    }

    // `x`: n > 0 values, sorted, finite; equal ones are merged where they lie.
    static Empirical from_sorted(double* x, std::size_t n) {
        Empirical column;
        column.build(x, n);
        return column;
    }

    const Frame& frame() const { return frame_; }
    dd total() const { return dd(static_cast<double>(count())); }
    std::size_t count() const { return count_; }
    std::size_t unique() const { return unique_; }

    // The inverted distribution function's: ceil(p N) values, at least one.
    dd quota(double p) const { return dd(std::max(1.0, std::ceil(p * static_cast<double>(count())))); }

    Place place(const Cut& cut) const {
        const bool through = cut.at.lo > 0.0 || (cut.at.lo == 0.0 && cut.after);  // is a value equal to at.hi before?
        const double t = is_finite(cut.at) ? frame_.local(cut.at).hi : cut.at.hi;
        const std::size_t from = heads_.range(std::nextafter(t, -infinity)).first;
        const std::size_t to = heads_.range(std::nextafter(t, infinity)).second;
        std::size_t k = (from > 0 ? from - 1 : 0) * Line::size;
        for (std::size_t end = std::min(to * Line::size, unique()); k < end;) {
            const std::size_t middle = k + (end - k) / 2;
            const bool before = value(middle) < cut.at.hi || (through && value(middle) == cut.at.hi);
            (before ? k : end) = before ? middle + 1 : middle;
        }
        return {cut, dd(before(k)), first(k), k ? value(k - 1) : -infinity, k < unique() ? value(k) : infinity, k};
    }

    // Squares are summed in blocks; the ends of the range are added singly, and so is all of it where the squares would
    // drown in the rounding of the sums (values close together that g maps to nearly zero).
    dd integrate_square(const Affine& g, const Place& a, const Place& b) const {
        const std::size_t first_block = (a.index + block - 1) / block;
        const std::size_t last_block = b.index / block;
        if (first_block >= last_block) return add_squares(g, a.index, b.index);
        const std::size_t from = first_block * block;
        const std::size_t to = last_block * block;
        const dd inner = square(g, dd(before(to) - before(from)), first(to) - first(from),
                                seconds_[last_block] - seconds_[first_block]);
        const double reach = std::abs(g.scale.hi) + std::abs(g.offset.hi);
        if (inner.hi < 1e-16 * reach * reach * b.mass.hi) return add_squares(g, a.index, b.index);
        return add_squares(g, a.index, from) + inner + add_squares(g, to, b.index);
    }

    // What follows serves the kernels of line_pairs.hpp. Everything is in the local coordinate.

    const Line* lines() const { return lines_.data(); }
    const SortedKeys& heads() const { return heads_; }  // of each line the first value
    dd first() const { return first_; }                 // the sum of all t
    dd second() const { return second_; }               // the sum of their squares
    dd local_value(std::size_t k) const { return frame_.local(dd(value(k))); }

    // Of the k-th unique value, how many are less; null where no two values are equal, since it is k then. Behind the
    // last, and up to the end of the last line, the count.
    const std::uint32_t* ranks() const { return ranks_.empty() ? nullptr : ranks_.data(); }

    // Of all N values, the one of that rank.
    double t(std::size_t rank) const { return to_local_(value(ranks_.empty() ? rank : unique_of(rank))); }
    void prefetch(std::size_t rank) const {  // if no two values are equal, else it is not known yet where
        if (ranks_.empty()) __builtin_prefetch(lines_.data() + rank / Line::size);
    }
    const Rounded& to_local() const { return to_local_; }

  private:
    static constexpr std::size_t block = 9 * Line::size;

    Empirical() = default;

    void build(double* x, std::size_t n) {
        count_ = n;
        const double centre = x[n / 2];
        frame_ = Frame::around(centre, std::max(x[n - 1] - centre, centre - x[0]));
        to_local_ = Rounded(frame_);
        merge_ties(x);
        const std::size_t lines = (unique() + Line::size - 1) / Line::size;
        lines_.resize(lines);
        first_lo_.resize(lines);
        seconds_.resize(unique() / block + 1);
        Buffer<double> heads(lines);
        isa::run([&] { ranks_.empty() ? sum<false>(x, heads.data()) : sum<true>(x, heads.data()); });
        heads_ = SortedKeys(std::move(heads));
    }

    void merge_ties(double* x) {
        unique_ = 1;
        isa::run([&] {
            for (std::size_t i = 1; i < count_; ++i) unique_ += x[i] != x[i - 1];
        });
        if (unique_ == count_) return;
        ranks_.resize((unique_ + Line::size - 1) / Line::size * Line::size + 1);
        std::size_t k = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            if (i > 0 && x[i] == x[k - 1]) continue;
            ranks_[k] = static_cast<std::uint32_t>(i);
            x[k++] = x[i];
        }
        std::fill(ranks_.begin() + static_cast<std::ptrdiff_t>(k), ranks_.end(), static_cast<std::uint32_t>(count_));
    }

    // Sums are kept as a rounded sum and the sum of its rounding errors (Ogita, Rump, Oishi 2005): as exact as
    // double-double, and one addition long where that is a chain of ten.
    template <std::size_t lanes>
    struct Sums {
        double rounded[lanes] = {};
        double errors[lanes] = {};

        void add(dd x, std::size_t lane = 0) {
            const dd s = two_sum(rounded[lane], x.hi);
            rounded[lane] = s.hi;
            errors[lane] += s.lo + x.lo;
        }
        dd value(std::size_t lane = 0) const { return quick_two_sum(rounded[lane], errors[lane]); }
    };

    template <bool ties>
    void sum(const double* x, double* heads) {
        constexpr std::size_t together = 8;
        const std::size_t full = unique() / Line::size;  // lines
        Sums<1> first;
        Sums<1> second;
        std::size_t line = 0;
        for (; line + together <= full; line += together) sum_lines<ties, together>(x, line, Line::size, first, second);
        for (; line < full; ++line) sum_lines<ties, 1>(x, line, Line::size, first, second);
        if (line < lines_.size()) sum_lines<ties, 1>(x, line, unique() - line * Line::size, first, second);
        for (line = 0; line < lines_.size(); ++line) heads[line] = to_local_(x[line * Line::size]);
        first_ = first.value();
        second_ = second.value();
        if (unique() % block == 0) seconds_[unique() / block] = second_;
    }

    // Adds `count` lines of `size` values, each line by itself, so that several fill a vector.
    template <bool ties, std::size_t count>
    void sum_lines(const double* x, std::size_t line, std::size_t size, Sums<1>& first, Sums<1>& second) {
        x += line * Line::size;
        const std::uint32_t* ranks = ranks_.data() + (ties ? line * Line::size : 0);
        double* out = &lines_[line].first;
        Sums<count> t_sum;
        Sums<count> square_sum;
        for (std::size_t j = 0; j < size; ++j)
            for (std::size_t l = 0; l < count; ++l) {
                const std::size_t k = l * Line::size + j;
                const dd difference = two_sum(x[k], -frame_.centre);
                const dd t{to_local_.scaled(difference.hi), to_local_.scaled(difference.lo)};
                dd square = two_prod(t.hi, t.hi);
                square.lo += 2.0 * t.hi * t.lo;
                out[l * (Line::size + 1) + 1 + j] = x[k];
                const dd weight(ties ? static_cast<double>(ranks[k + 1] - ranks[k]) : 1.0);
                t_sum.add(ties ? t * weight : t, l);
                square_sum.add(ties ? square * weight : square, l);
            }
        for (std::size_t l = 0; l < count; ++l) {
            const dd sum = first.value();
            lines_[line + l].first = sum.hi;
            first_lo_[line + l] = sum.lo;
            if ((line + l) * Line::size % block == 0) seconds_[(line + l) * Line::size / block] = second.value();
            first.add(t_sum.value(l));
            second.add(square_sum.value(l));
            for (std::size_t j = size; j < Line::size; ++j) lines_[line + l].x[j] = infinity;
        }
    }

    double value(std::size_t k) const { return lines_[k / Line::size].x[k % Line::size]; }

    double before(std::size_t k) const { return static_cast<double>(ranks_.empty() ? k : ranks_[k]); }

    // The sum of t over what is less than the k-th unique value.
    dd first(std::size_t k) const {
        if (k == unique()) return first_;
        const std::size_t line = k / Line::size;
        dd sum{lines_[line].first, first_lo_[line]};
        for (std::size_t i = line * Line::size; i < k; ++i) sum += local_value(i) * dd(before(i + 1) - before(i));
        return sum;
    }

    std::size_t unique_of(std::size_t rank) const {
        return static_cast<std::size_t>(std::upper_bound(ranks_.begin(), ranks_.end(), rank) - ranks_.begin()) - 1;
    }

    dd add_squares(const Affine& g, std::size_t begin, std::size_t end) const {
        dd sum;
        for (std::size_t k = begin; k < end; ++k) {
            const dd y = g(local_value(k));
            sum += y * y * dd(before(k + 1) - before(k));
        }
        return sum;
    }

    Frame frame_{};
    Rounded to_local_;
    std::size_t count_ = 0;
    std::size_t unique_ = 0;
    Buffer<std::uint32_t> ranks_;  // empty where all values are unique
    Buffer<Line> lines_;
    Buffer<double> first_lo_;  // what rounding took from the lines' sums
    SortedKeys heads_;
    std::vector<dd> seconds_;  // the sum of t^2 before every `block`-th value
    dd first_;
    dd second_;
};

}  // namespace execspec
