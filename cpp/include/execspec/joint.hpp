// Joint drift ||delta||_2 over several channels: a norm does not separate into channels, so the rows are swept.
//
// One primitive, `PairNorms::block`, gives the norms of a block of rows; mean, maximum and quantiles are folds over it.
// A block's columns stay in the first cache while all pairs pass over it.
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
#include "execspec/sample.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

// A block of rows, channel after channel: the values, and where they lie in the local coordinates.
struct RowBlock {
    static constexpr std::size_t rows = 256;

    std::size_t size = 0;
    std::vector<const double*> x;  // by channel of the sample
    std::vector<double> t;

    explicit RowBlock(const ActionSample& sample) : x(sample.dim()), t(sample.dim() * rows) {}

    void load(const ActionSample& sample, std::size_t first) {
        size = std::min(rows, sample.count() - first);
        for (std::size_t d = 0; d < sample.dim(); ++d) {
            x[d] = sample.rows(d) + first;
            const Frame& frame = std::get<Empirical>(sample.column(d)).frame();
            const int half = frame.exponent / 2;
            const double unit = std::ldexp(1.0, -half);
            const double rest = std::ldexp(1.0, half - frame.exponent);
            for (std::size_t r = 0; r < rows; ++r)
                t[d * rows + r] = r < size ? (x[d][r] - frame.centre) * unit * rest : 0.0;
        }
    }
    const double* local(std::size_t channel) const { return t.data() + channel * rows; }
};

namespace detail {

// norm[r] = sqrt(sum_c (scale[c] t_c[r] + offset[c])^2). C is known to the compiler so that nothing leaves registers.
template <std::size_t C>
void line_norms(const double* const* t, const double* scale, const double* offset, double* __restrict norm) {
    const double* column[C];
    double slope[C];
    double level[C];
    for (std::size_t c = 0; c < C; ++c) {
        column[c] = t[c];
        slope[c] = scale[c];
        level[c] = offset[c];
    }
    for (std::size_t r = 0; r < RowBlock::rows; ++r) {
        double squares = 0.0;
        for (std::size_t c = 0; c < C; ++c) {
            const double y = slope[c] * column[c][r] + level[c];
            squares += y * y;
        }
        norm[r] = std::sqrt(squares);
    }
}

// Fixed lanes and order, so that the sum has the same bits on every instruction set.
inline double sum_of_lanes(const double* x, std::size_t n) {
    double lanes[8] = {};
    for (std::size_t r = 0; r < RowBlock::rows; r += 8)
        for (std::size_t l = 0; l < 8; ++l) lanes[l] += r + l < n ? x[r + l] : 0.0;
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

}  // namespace detail

// The difference of two executables over `channels`, ready to be swept. In units of 2^exponent near the largest
// |delta|, so that no square under- or overflows.
class PairNorms {
  public:
    PairNorms(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
              const std::vector<std::size_t>& channels)
        : channels_(channels) {
        double steepest = 0.0;
        for (const std::size_t d : channels) {
            const auto& column = std::get<Empirical>(sample.column(d));
            const PiecewiseMap& fi = i.map(d);
            const PiecewiseMap& fj = j.map(d);
            const auto add = [&](const Affine& f, const Affine& h) {
                const Affine g = column.frame().local(h - f);
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
        if (largest_ == 0.0) return;
        exponent_ = std::max(std::ilogb(largest_), std::ilogb(steepest) - 1000);
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

    // The norms of a block, in units of 2^exponent; beyond its size they mean nothing.
    void block(const RowBlock& rows, double* norm) const {
        isa::run([&] {
            if (lines() && line_norms(rows, norm)) return;
            for (std::size_t r = 0; r < RowBlock::rows; ++r) norm[r] = 0.0;
            for (std::size_t c = 0; c < channels_.size(); ++c) {
                const double* t = rows.local(channels_[c]);
                const double* x = rows.x[channels_[c]];
                if (lines() || bends_[c].empty()) {
                    for (std::size_t r = 0; r < RowBlock::rows; ++r) add_square(scale_[c], offset_[c], t[r], norm[r]);
                    continue;
                }
                const std::vector<Bend>& bends = bends_[c];
                for (std::size_t r = 0; r < rows.size; ++r) {
                    std::size_t k = bends.size() - 1;
                    while (k > 0 && x[r] < bends[k].from) --k;
                    add_square(bends[k].scale, bends[k].offset, t[r], norm[r]);
                }
            }
            for (std::size_t r = 0; r < RowBlock::rows; ++r) norm[r] = std::sqrt(norm[r]);
        });
    }

  private:
    struct Bend {
        double from;  // the first value of the piece
        double scale;
        double offset;
    };

    static void add_square(double scale, double offset, double t, double& sum) {
        const double y = scale * t + offset;
        sum += y * y;
    }

    bool line_norms(const RowBlock& rows, double* norm) const {
        const double* t[8];
        const std::size_t n = channels_.size();
        if (n > 8) return false;
        for (std::size_t c = 0; c < n; ++c) t[c] = rows.local(channels_[c]);
        const double* s = scale_.data();
        const double* o = offset_.data();
        switch (n) {
            case 1:
                detail::line_norms<1>(t, s, o, norm);
                break;
            case 2:
                detail::line_norms<2>(t, s, o, norm);
                break;
            case 3:
                detail::line_norms<3>(t, s, o, norm);
                break;
            case 4:
                detail::line_norms<4>(t, s, o, norm);
                break;
            case 5:
                detail::line_norms<5>(t, s, o, norm);
                break;
            case 6:
                detail::line_norms<6>(t, s, o, norm);
                break;
            case 7:
                detail::line_norms<7>(t, s, o, norm);
                break;
            case 8:
                detail::line_norms<8>(t, s, o, norm);
                break;
            default:
                return false;
        }
        return true;
    }

    std::vector<std::size_t> channels_;
    std::vector<double> scale_;  // of channels that are lines
    std::vector<double> offset_;
    std::vector<std::vector<Bend>> bends_;  // of the others; empty if there is none
    double largest_ = 0.0;
    int exponent_ = 0;
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
    double norm[RowBlock::rows];
    if (metric.kind == JointMetric::quantile) {
        std::vector<double> norms(n);
        const auto rank = static_cast<std::ptrdiff_t>(std::max(1.0, std::ceil(metric.p * static_cast<double>(n)))) - 1;
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            for (std::size_t first = 0; first < n && !pairs[p].zero(); first += RowBlock::rows) {
                rows.load(sample, first);
                pairs[p].block(rows, norm);
                std::copy(norm, norm + rows.size, norms.data() + first);
            }
            std::nth_element(norms.begin(), norms.begin() + rank, norms.end());
            out[p] = pairs[p].zero() ? 0.0 : std::ldexp(norms[static_cast<std::size_t>(rank)], pairs[p].exponent());
        }
        return;
    }
    std::vector<dd> sums(pairs.size());
    for (std::size_t first = 0; first < n; first += RowBlock::rows) {
        rows.load(sample, first);
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            if (pairs[p].zero()) continue;
            pairs[p].block(rows, norm);
            if (metric.kind == JointMetric::max)
                sums[p] = std::max(double(sums[p]), *std::max_element(norm, norm + rows.size));
            else
                sums[p] += dd(detail::sum_of_lanes(norm, rows.size));
        }
    }
    const double weight = metric.kind == JointMetric::max ? 1.0 : static_cast<double>(n);
    for (std::size_t p = 0; p < pairs.size(); ++p)
        out[p] = pairs[p].zero() ? 0.0 : std::ldexp(double(sums[p] / dd(weight)), pairs[p].exponent());
}

}  // namespace execspec
