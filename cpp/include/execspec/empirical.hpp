// A column of N values: sorted and unique, with ranks and prefix sums, so that what lies before a cut costs one look.
//
// A record holds what a mean needs in 16 bytes, and a uniform grid over the values leads to it, so that a look costs
// two cache misses on any data without far outliers, and a binary search on the rest.
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

namespace execspec {

class Empirical {
  public:
    struct Record {
        double t;      // a value in the local coordinate, rounded
        double first;  // the sum of the t before it, rounded
    };

    explicit Empirical(std::vector<double> x) {
        std::sort(x.begin(), x.end());
        build(x.data(), x.size());
    }

    // `x`: n > 0 values, sorted, finite.
    static Empirical from_sorted(const double* x, std::size_t n) {
        Empirical column;
        column.build(x, n);
        return column;
    }

    const Frame& frame() const { return frame_; }
    dd total() const { return dd(static_cast<double>(count())); }
    std::size_t count() const { return count_; }
    std::size_t unique() const { return values_.size(); }

    // The inverted distribution function's: ceil(p N) values, at least one.
    dd quota(double p) const { return dd(std::max(1.0, std::ceil(p * static_cast<double>(count())))); }

    Place place(const Cut& cut) const {
        const bool through = cut.at.lo > 0.0 || (cut.at.lo == 0.0 && cut.after);  // is a value equal to at.hi before?
        const double t = is_finite(cut.at) ? frame_.local(cut.at).hi : cut.at.hi;
        const auto begin = values_.begin() + index_[cell(std::nextafter(t, -infinity))];
        const auto end = values_.begin() + index_[cell(std::nextafter(t, infinity)) + 1];
        const auto found = through ? std::upper_bound(begin, end, cut.at.hi) : std::lower_bound(begin, end, cut.at.hi);
        const auto k = static_cast<std::size_t>(found - values_.begin());
        return {cut, dd(before(k)), first(k), k ? values_[k - 1] : -infinity, k < unique() ? values_[k] : infinity, k};
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

    const Record* records() const { return records_.data(); }  // one more than unique(): the totals, at infinity
    dd first() const { return first(unique()); }               // the sum of all t
    dd second() const { return second_; }                      // the sum of their squares
    double t(std::size_t rank) const { return sorted_.empty() ? records_[rank].t : sorted_[rank]; }  // of all N values
    double before(std::size_t k) const {  // how many values are less than the k-th unique one
        return static_cast<double>(before_.empty() ? k : before_[k]);
    }
    dd local_value(std::size_t k) const { return frame_.local(dd(values_[k])); }

    // Records [index()[cell(t)], index()[cell(t) + 1]] enclose the place of t.
    std::size_t cell(double t) const {
        double z = (t - origin_) * cells_per_unit_;
        z = z < last_cell_ ? z : last_cell_;  // in this order NaN ends up at a valid cell
        z = z > 0.0 ? z : 0.0;
        return static_cast<std::size_t>(z);
    }
    const std::uint32_t* index() const { return index_.data(); }

  private:
    static constexpr std::size_t block = 64;

    Empirical() = default;

    void build(const double* x, std::size_t n) {
        const double centre = x[n / 2];
        frame_ = Frame::around(centre, std::max(x[n - 1] - centre, centre - x[0]));
        count_ = n;
        std::size_t distinct = 1;
        isa::run([&] {
            for (std::size_t i = 1; i < n; ++i) distinct += x[i] != x[i - 1];
        });
        values_.resize(distinct);
        records_.resize(distinct + 1);
        first_lo_.resize(distinct + 1);
        seconds_.resize(distinct / block + 1);
        if (distinct < n) {
            before_.resize(distinct + 1);
            sorted_.resize(n);
        }
        isa::run([&] { sum(x); });
        make_index();
    }

    // Sums are kept as a rounded sum and the sum of its rounding errors (Ogita, Rump, Oishi 2005): as exact as
    // double-double, and one addition long where that is a chain of ten.
    struct Sum {
        double rounded = 0.0;
        double errors = 0.0;

        void add(dd x) {
            const dd s = two_sum(rounded, x.hi);
            rounded = s.hi;
            errors += s.lo + x.lo;
        }
        dd value() const { return quick_two_sum(rounded, errors); }
    };

    void sum(const double* x) {
        const int half = frame_.exponent / 2;  // in two steps, since 2^1074 is no double
        const double unit = std::ldexp(1.0, -half);
        const double rest = std::ldexp(1.0, half - frame_.exponent);
        const bool ties = !before_.empty();
        Sum first;
        Sum second;
        std::size_t i = 0;
        for (std::size_t k = 0; k < unique(); ++k) {
            const dd difference = two_sum(x[i], -frame_.centre);
            const dd t{difference.hi * unit * rest, difference.lo * unit * rest};
            dd square = two_prod(t.hi, t.hi);
            square.lo += 2.0 * t.hi * t.lo;
            if (k % block == 0) seconds_[k / block] = second.value();
            values_[k] = x[i];
            set(k, t.hi, first.value());
            if (!ties) {
                first.add(t);
                second.add(square);
                ++i;
                continue;
            }
            before_[k] = static_cast<std::uint32_t>(i);
            const std::size_t begin = i;
            for (; i < count_ && x[i] == x[begin]; ++i) sorted_[i] = t.hi;
            const dd weight(static_cast<double>(i - begin));
            first.add(t * weight);
            second.add(square * weight);
        }
        set(unique(), infinity, first.value());
        if (ties) before_[unique()] = static_cast<std::uint32_t>(count_);
        second_ = second.value();
        if (unique() % block == 0) seconds_[unique() / block] = second_;
    }

    void set(std::size_t k, double t, dd first) {
        records_[k] = {t, first.hi};
        first_lo_[k] = first.lo;
    }
    dd first(std::size_t k) const { return {records_[k].first, first_lo_[k]}; }

    void make_index() {
        const std::size_t cells = unique();
        origin_ = records_[0].t;
        const double width = records_[unique() - 1].t - origin_;
        cells_per_unit_ = width > 0.0 ? static_cast<double>(cells) / width : 0.0;
        last_cell_ = static_cast<double>(cells - 1);
        index_.resize(cells + 1);
        std::fill(index_.begin(), index_.end(), static_cast<std::uint32_t>(unique()));
        isa::run([&] {  // each cell keeps the first of its records, an empty one the next cell's
            for (std::size_t k = unique(); k-- > 0;) index_[cell(records_[k].t)] = static_cast<std::uint32_t>(k);
            for (std::size_t c = cells; c-- > 0;) index_[c] = std::min(index_[c], index_[c + 1]);
        });
    }

    dd add_squares(const Affine& g, std::size_t begin, std::size_t end) const {
        dd sum;
        for (std::size_t k = begin; k < end; ++k) {
            const dd y = g(frame_.local(dd(values_[k])));
            sum += y * y * dd(before(k + 1) - before(k));
        }
        return sum;
    }

    Frame frame_{};
    Buffer<double> values_;  // unique x
    Buffer<Record> records_;
    Buffer<double> first_lo_;       // what rounding took from the records' sums
    Buffer<std::uint32_t> before_;  // empty where all values are unique, since it is the record's number then
    std::vector<dd> seconds_;       // the sum of t^2 before every `block`-th record
    dd second_;
    Buffer<double> sorted_;  // all N local values; empty in the same case
    std::size_t count_ = 0;
    Buffer<std::uint32_t> index_;
    double origin_ = 0.0;
    double cells_per_unit_ = 0.0;
    double last_cell_ = 0.0;
};

}  // namespace execspec
