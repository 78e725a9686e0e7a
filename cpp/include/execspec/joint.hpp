// Joint drift ||delta||_2 over several channels: a norm does not separate into channels, so the rows are swept.
//
// One primitive, `PairNorms::squares`, gives the squared norms of a block of rows; mean, maximum and quantiles are
// folds over it. A block's columns stay in the first cache while all pairs pass over it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "execspec/buffer.hpp"
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

// The difference of two executables over `channels`, ready to be swept. In units of 2^exponent, in which the largest
// |delta| is about 2^50, so that no square under- or overflows, not even as a float.
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
        if (lines() && neighbours_) {
            const double* t = rows.local(channels_.empty() ? 0 : channels_[0]);
            return isa::run([&] { detail::line_squares(t, RowBlock::stride, scale_, offset_, squares); });
        }
        std::fill(squares, squares + RowBlock::rows, 0.0);
        for (std::size_t c = 0; c < channels_.size(); ++c) {
            const double* own = rows.local(channels_[c]);
            if (lines() || bends_[c].empty()) {
                isa::run([&] {
                    for (std::size_t r = 0; r < RowBlock::rows; ++r)
                        add_square(scale_[c], offset_[c], own[r], squares[r]);
                });
                continue;
            }
            const double* x = rows.x[channels_[c]];
            const std::vector<Bend>& bends = bends_[c];
            for (std::size_t r = 0; r < rows.size; ++r) {
                std::size_t k = bends.size() - 1;
                while (k > 0 && x[r] < bends[k].from) --k;
                add_square(bends[k].scale, bends[k].offset, own[r], squares[r]);
            }
        }
    }

  private:
    struct Bend {
        double from;  // the first value of the piece
        double scale;
        double offset;
    };

    static void add_square(double scale, double offset, double t, double& sum) {
        const double y = std::fma(scale, t, offset);
        sum = std::fma(y, y, sum);
    }

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
            pairs[p].squares(rows, squares);
            if (!mean) {
                folded[p] = std::max(double(folded[p]), *std::max_element(squares, squares + rows.size));
                continue;
            }
            std::fill(squares + rows.size, squares + RowBlock::rows, 0.0);
            double sum = 0.0;
            isa::run([&] {
                detail::Lanes lanes;
                float* __restrict inverse = rows.inverse_roots();
                detail::inverse_roots(squares, inverse);
                for (std::size_t r = 0; r < RowBlock::rows; ++r) squares[r] = detail::root(squares[r], inverse[r]);
                lanes.add(squares);
                sum = lanes.total();
            });
            folded[p] += dd(sum);
        }
    }
    for (std::size_t p = 0; p < pairs.size(); ++p) {
        const double value = mean ? double(folded[p] / dd(static_cast<double>(n))) : std::sqrt(double(folded[p]));
        out[p] = pairs[p].zero() ? 0.0 : std::ldexp(value, pairs[p].exponent());
    }
}

}  // namespace execspec
