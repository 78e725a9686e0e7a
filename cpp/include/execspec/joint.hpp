// Joint drift ||delta||_2 over several channels: a norm does not separate into channels, so the rows are swept.
//
// One primitive, `PairNorms::squares`, gives the squared norms of a block of rows; maximum and quantiles are folds over
// it, and so is the mean, which leaves them in registers (`sum_of_norms`). A block's columns stay in the first cache
// while all pairs pass over it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/drift.hpp"
#include "execspec/isa.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/roots.hpp"
#include "execspec/row_block.hpp"
#include "execspec/sample.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

// The difference of two executables over `channels`, ready to be swept. In units of 2^exponent, in which the largest
// |delta| is about 2^50, so that no square under- or overflows, not even as a float.
class PairNorms {
  public:
    PairNorms(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
              const std::vector<std::size_t>& channels)
        : channels_(channels) {
        scale_.reserve(channels.size());
        offset_.reserve(channels.size());
        double steepest = 0.0;
        for (const std::size_t d : channels) {
            const auto& column = std::get<Empirical>(sample.column(d));
            const PiecewiseMap& fi = i.map(d);
            const PiecewiseMap& fj = j.map(d);
            const auto add = [&](const Affine& f, const Affine& h) {
                Affine g = column.frame().local(h - f);
                if (column.unique() == 1) g.scale = dd();  // no step to take: it must not overflow
                steepest = std::max({steepest, std::abs(g.scale.hi), std::abs(g.offset.hi)});
                return g;
            };
            if (fi.size() == 1 && fj.size() == 1) {
                const Affine g = add(fi[0].f, fj[0].f);
                for (const std::size_t end : {std::size_t{0}, column.unique() - 1})
                    largest_ = std::max(largest_, std::abs(double(g(column.local_value(end)))));
                scale_.push_back(g.scale.hi);
                offset_.push_back(g.offset.hi);
                continue;
            }
            if (bends_.empty()) bends_.resize(channels.size());
            std::vector<Bend>& bends = bends_[scale_.size()];
            largest_ = std::max(largest_, max_abs(column, fi, fj));
            walk(fi, fj, first_cut, last_cut, [&](const Cut& from, const Cut&, const Affine& f, const Affine& h) {
                const Affine g = add(f, h);
                bends.push_back({detail::ceil_of(from), g.scale.hi, g.offset.hi});
            });
            scale_.push_back(0.0);
            offset_.push_back(0.0);
        }
        for (std::size_t c = 1; c < channels.size(); ++c) neighbours_ = neighbours_ && channels[c] == channels[0] + c;
        if (largest_ == 0.0) return;
        exponent_ = std::max(std::ilogb(largest_) - 50, std::ilogb(steepest) - 1000);
        const auto scaled = [this](double x) { return std::ldexp(x, -exponent_); };
        std::transform(scale_.begin(), scale_.end(), scale_.begin(), scaled);
        std::transform(offset_.begin(), offset_.end(), offset_.begin(), scaled);
        for (std::vector<Bend>& bends : bends_)
            for (Bend& bend : bends) bend = {bend.from, scaled(bend.scale), scaled(bend.offset)};
    }

    bool zero() const { return largest_ == 0.0; }
    bool lines() const { return bends_.empty(); }
    int exponent() const { return exponent_; }
    const std::vector<double>& scale() const { return scale_; }  // in units of 2^exponent
    const std::vector<double>& offset() const { return offset_; }

    // The squared norms of a block, in units of 4^exponent; beyond its size they mean nothing.
    void squares(const RowBlock& rows, double* squares) const {
        if (in_step()) {
            return isa::run([&] {
                detail::with_squares(first_column(rows), RowBlock::stride, RowBlock::rows, scale_, offset_,
                                     [&](auto&& square) {
                                         double* __restrict out = squares;
                                         for (std::size_t r = 0; r < RowBlock::rows; ++r) out[r] = square(r);
                                     });
            });
        }
        std::fill(squares, squares + RowBlock::rows, 0.0);
        for (std::size_t c = 0; c < channels_.size(); ++c) {
            const double* own = rows.local(channels_[c]);
            if (lines() || bends_[c].empty()) {
                isa::run([&] {
                    for (std::size_t r = 0; r < RowBlock::rows; ++r)
                        squares[r] = detail::add_square(scale_[c], offset_[c], own[r], squares[r]);
                });
                continue;
            }
            const double* x = rows.x[channels_[c]];
            const std::vector<Bend>& bends = bends_[c];
            for (std::size_t r = 0; r < rows.size; ++r) {
                std::size_t k = bends.size() - 1;
                while (k > 0 && x[r] < bends[k].from) --k;
                squares[r] = detail::add_square(bends[k].scale, bends[k].offset, own[r], squares[r]);
            }
        }
    }

    // The sum of the norms of a block, in units of 2^exponent. `room` is for its squares, if they must be kept.
    double sum_of_norms(const RowBlock& rows, double* room) const {
        double sum = 0.0;
        const auto add_up = [&](auto&& square) { sum = detail::sum_of_roots(RowBlock::rows, square); };
        if (in_step() && rows.size == RowBlock::rows) {
            isa::run([&] {
                detail::with_squares(first_column(rows), RowBlock::stride, RowBlock::rows, scale_, offset_, add_up);
            });
            return sum;
        }
        squares(rows, room);
        std::fill(room + rows.size, room + RowBlock::rows, 0.0);
        isa::run([&] { add_up([&](std::size_t r) { return room[r]; }); });
        return sum;
    }

  private:
    struct Bend {
        double from;  // the first value of the piece
        double scale;
        double offset;
    };

    // Lines whose columns follow one another: a loop over rows needs nothing else.
    bool in_step() const { return lines() && neighbours_; }
    const double* first_column(const RowBlock& rows) const { return rows.local(channels_.empty() ? 0 : channels_[0]); }

    std::vector<std::size_t> channels_;
    std::vector<double> scale_;  // of channels that are lines
    std::vector<double> offset_;
    std::vector<std::vector<Bend>> bends_;  // of the others; empty if there is none
    double largest_ = 0.0;
    int exponent_ = 0;
    bool neighbours_ = true;  // channels follow one another
};

// E ||delta||_2, its maximum, or its p-quantile (inverted distribution function).
struct JointMetric {
    enum Kind { mean, max, quantile } kind;
    double p = 1.0;
};

// The metric of each pair, the rows swept once for all of them. NaN where `sample` has no joint rows.
inline void sweep(const JointMetric& metric, const ActionSample& sample, const std::vector<PairNorms>& pairs,
                  double* out) {
    std::fill(out, out + pairs.size(), std::numeric_limits<double>::quiet_NaN());
    if (!sample.joint()) return;
    const std::size_t n = sample.count();
    RowBlock rows(sample);
    double* const squares = rows.squares();
    if (metric.kind == JointMetric::quantile) {
        std::vector<double> all(n);
        const auto rank = static_cast<std::ptrdiff_t>(std::max(1.0, std::ceil(metric.p * static_cast<double>(n)))) - 1;
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            if (pairs[p].zero()) {
                out[p] = 0.0;
                continue;
            }
            for (std::size_t first = 0; first < n; first += RowBlock::rows) {
                rows.load(sample, first);
                pairs[p].squares(rows, squares);
                std::copy(squares, squares + rows.size, all.data() + first);
            }
            std::nth_element(all.begin(), all.begin() + rank, all.end());
            out[p] = std::ldexp(std::sqrt(all[static_cast<std::size_t>(rank)]), pairs[p].exponent());
        }
        return;
    }
    const bool mean = metric.kind == JointMetric::mean;
    std::vector<dd> folded(pairs.size());  // the sum of the norms, or the largest square
    for (std::size_t first = 0; first < n; first += RowBlock::rows) {
        rows.load(sample, first);
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            if (pairs[p].zero()) continue;
            if (mean) {
                folded[p] += dd(pairs[p].sum_of_norms(rows, squares));
                continue;
            }
            pairs[p].squares(rows, squares);
            folded[p] = std::max(double(folded[p]), *std::max_element(squares, squares + rows.size));
        }
    }
    for (std::size_t p = 0; p < pairs.size(); ++p) {
        const double value = mean ? double(folded[p] / dd(static_cast<double>(n))) : std::sqrt(double(folded[p]));
        out[p] = pairs[p].zero() ? 0.0 : std::ldexp(value, pairs[p].exponent());
    }
}

}  // namespace execspec
