// A certified interval for E ||delta||_2 of pairs of lines, from a partition of the rows into cells.
//
// In a cell of weight w, mean mu and variances v, Jensen's inequality holds both ways:
//   w ||scale mu + offset||  <=  its share of E ||delta||  <=  w sqrt(||scale mu + offset||^2 + sum_d scale_d^2 v_d).
// The cost is one look per cell in the place of one per row. Rounding widens the interval, never narrows it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/joint.hpp"

namespace execspec {

struct Interval {
    double lower;
    double upper;
};

// A kd-partition of a sample's rows in the local coordinates: halves of halves, each across its widest channel.
class Cells {
  public:
    // At most `count` cells (at least one); `channels` are those that cells are made by and drift is asked of.
    Cells(const ActionSample& sample, const std::vector<std::size_t>& channels, std::size_t count)
        : channels_(channels), room_((std::max<std::size_t>(count, 1) + block - 1) / block * block) {
        stride_ = room_ + 40;  // columns a power of two apart would share their places in the cache
        columns_.resize((2 * channels.size() + 1) * stride_, 0.0);
        const std::size_t n = sample.count();
        const std::size_t dim = channels.size();
        Buffer<double> rows(n * dim);  // row after row, so that a row is one cache line
        RowBlock values(sample);
        for (std::size_t first = 0; first < n; first += RowBlock::rows) {
            values.load(sample, first);
            for (std::size_t c = 0; c < dim; ++c)
                for (std::size_t r = 0; r < values.size; ++r)
                    rows[(first + r) * dim + c] = values.local(channels[c])[r];
        }
        std::vector<std::uint32_t> order(n);
        std::iota(order.begin(), order.end(), 0u);
        split(rows.data(), order.data(), order.data() + n, std::max<std::size_t>(1, std::min(count, n)), n);
    }

    std::size_t size() const { return size_; }

    // Of pairs of lines over exactly the channels. A block of cells stays in the first cache while all pairs pass over
    // it.
    std::vector<Interval> bounds(const std::vector<PairNorms>& pairs) const {
        std::vector<detail::Lanes> low(pairs.size());
        std::vector<detail::Lanes> high(pairs.size());
        for (std::size_t first = 0; first < size_; first += block)
            for (std::size_t p = 0; p < pairs.size(); ++p)
                if (!pairs[p].zero()) isa::run([&] { add_block(first, pairs[p], low[p], high[p]); });
        std::vector<Interval> out;
        for (std::size_t p = 0; p < pairs.size(); ++p) {
            double reach = 0.0;
            for (std::size_t c = 0; c < channels_.size() && !pairs[p].zero(); ++c)
                reach += std::abs(pairs[p].scale()[c]) + std::abs(pairs[p].offset()[c]);
            const double rounding =
                1e-15 * static_cast<double>(16 + size_ / 8 + largest_) * reach;  // of sums that long
            out.push_back({std::ldexp(std::max(0.0, low[p].total() - rounding), pairs[p].exponent()),
                           std::ldexp(high[p].total() + rounding, pairs[p].exponent())});
        }
        return out;
    }

  private:
    static constexpr std::size_t block = RowBlock::rows;

    // The columns of a cell table: weights, then the mean and the variance of each channel. Cells beyond size() weigh
    // 0.
    double* weight() { return columns_.data(); }
    double* mean(std::size_t c) { return columns_.data() + (1 + 2 * c) * stride_; }
    double* variance(std::size_t c) { return columns_.data() + (2 + 2 * c) * stride_; }
    const double* weight() const { return columns_.data(); }
    const double* mean(std::size_t c) const { return columns_.data() + (1 + 2 * c) * stride_; }
    const double* variance(std::size_t c) const { return columns_.data() + (2 + 2 * c) * stride_; }

    void add_block(std::size_t first, const PairNorms& pair, detail::Lanes& low, detail::Lanes& high) const {
        alignas(64) double squares[block];
        detail::line_squares(mean(0) + first, 2 * stride_, pair.scale(), pair.offset(), squares);
        add_roots(weight() + first, squares, low);
        detail::add_spread(variance(0) + first, 2 * stride_, pair.scale(), squares);
        add_roots(weight() + first, squares, high);
    }

    static void add_roots(const double* __restrict weight, const double* __restrict x, detail::Lanes& lanes) {
        alignas(64) float inverse[block];
        alignas(64) double shares[block];
        detail::inverse_roots(x, inverse);
        for (std::size_t r = 0; r < block; ++r) shares[r] = weight[r] * detail::root(x[r], inverse[r]);
        lanes.add(shares);
    }

    void split(const double* rows, std::uint32_t* begin, std::uint32_t* end, std::size_t cells, std::size_t n) {
        const std::size_t dim = channels_.size();
        const auto size = static_cast<double>(end - begin);
        std::vector<double> middle(dim);
        std::vector<double> spread(dim);
        for (const std::uint32_t* r = begin; r < end; ++r)
            for (std::size_t c = 0; c < dim; ++c) middle[c] += rows[*r * dim + c];
        for (double& m : middle) m /= size;
        for (const std::uint32_t* r = begin; r < end; ++r)
            for (std::size_t c = 0; c < dim; ++c) {
                const double away = rows[*r * dim + c] - middle[c];
                spread[c] += away * away;
            }
        const auto widest = static_cast<std::size_t>(std::max_element(spread.begin(), spread.end()) - spread.begin());
        if (cells == 1 || dim == 0 || spread[widest] == 0.0) {
            largest_ = std::max(largest_, static_cast<std::size_t>(end - begin));
            weight()[size_] = size / static_cast<double>(n);
            for (std::size_t c = 0; c < dim; ++c) {
                mean(c)[size_] = middle[c];
                variance(c)[size_] = spread[c] / size;
            }
            ++size_;
            return;
        }
        std::uint32_t* half = begin + (end - begin) / 2;
        std::nth_element(begin, half, end, [&](std::uint32_t a, std::uint32_t b) {
            return rows[a * dim + widest] < rows[b * dim + widest];
        });
        split(rows, begin, half, cells / 2, n);
        split(rows, half, end, cells - cells / 2, n);
    }

    std::vector<std::size_t> channels_;
    std::size_t room_;
    std::size_t stride_ = 0;
    std::size_t size_ = 0;
    std::size_t largest_ = 0;  // rows in the largest cell
    Buffer<double> columns_;
};

}  // namespace execspec
