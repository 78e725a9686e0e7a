// A certified interval for E ||delta||_2 of pairs of lines, from a partition of the rows into cells.
//
// In a cell of weight w, mean mu and variances v, Jensen's inequality holds both ways:
//   w ||scale mu + offset||  <=  its share of E ||delta||  <=  w sqrt(||scale mu + offset||^2 + sum_d scale_d^2 v_d).
// The cost is one look per cell in the place of one per row. Rounding widens the interval, never narrows it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

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
        : channels_(channels), columns_(2 * channels.size() + 1) {
        const std::size_t n = sample.count();
        std::vector<std::vector<double>> t(channels.size(), std::vector<double>(n));
        RowBlock rows(sample);
        for (std::size_t first = 0; first < n; first += RowBlock::rows) {
            rows.load(sample, first);
            for (std::size_t c = 0; c < channels.size(); ++c)
                std::copy_n(rows.local(channels[c]), rows.size, t[c].data() + first);
        }
        std::vector<std::uint32_t> order(n);
        std::iota(order.begin(), order.end(), 0u);
        split(t, order.data(), order.data() + n, std::max<std::size_t>(1, std::min(count, n)), n);
        size_ = columns_[0].size();
        for (std::vector<double>& column : columns_) column.resize((size_ + 7) / 8 * 8);  // of weight 0
    }

    std::size_t size() const { return size_; }
    const std::vector<std::size_t>& channels() const { return channels_; }

    // Of a pair of lines over exactly `channels()`.
    Interval bounds(const PairNorms& pair) const {
        if (pair.zero()) return {0.0, 0.0};
        const std::size_t dim = channels_.size();
        const double* scale = pair.scale().data();
        const double* offset = pair.offset().data();
        double lower = 0.0;
        double upper = 0.0;
        isa::run([&] {
            double low[8] = {};
            double high[8] = {};
            const double* w = columns_[0].data();
            for (std::size_t first = 0; first < columns_[0].size(); first += 8) {
                double squares[8] = {};
                double spread[8] = {};
                for (std::size_t c = 0; c < dim; ++c) {
                    const double* mean = columns_[1 + 2 * c].data() + first;
                    const double* variance = columns_[2 + 2 * c].data() + first;
                    const double slope = scale[c];
                    const double level = offset[c];
                    for (std::size_t l = 0; l < 8; ++l) {
                        const double y = slope * mean[l] + level;
                        squares[l] += y * y;
                        spread[l] += slope * slope * variance[l];
                    }
                }
                for (std::size_t l = 0; l < 8; ++l) {
                    low[l] += w[first + l] * std::sqrt(squares[l]);
                    high[l] += w[first + l] * std::sqrt(squares[l] + spread[l]);
                }
            }
            for (std::size_t l = 0; l < 8; ++l) {
                lower += low[l];
                upper += high[l];
            }
        });
        double reach = 0.0;
        for (std::size_t c = 0; c < dim; ++c) reach += std::abs(scale[c]) + std::abs(offset[c]);
        const double rounding = 1e-15 * static_cast<double>(16 + size_ / 8 + largest_) * reach;  // of sums that long
        return {std::ldexp(std::max(0.0, lower - rounding), pair.exponent()),
                std::ldexp(upper + rounding, pair.exponent())};
    }

  private:
    void split(const std::vector<std::vector<double>>& t, std::uint32_t* begin, std::uint32_t* end, std::size_t cells,
               std::size_t n) {
        const auto size = static_cast<double>(end - begin);
        std::vector<double> mean(t.size());
        std::vector<double> variance(t.size());
        for (std::size_t c = 0; c < t.size(); ++c) {
            double sum = 0.0;
            for (const std::uint32_t* r = begin; r < end; ++r) sum += t[c][*r];
            mean[c] = sum / size;
            double squares = 0.0;
            for (const std::uint32_t* r = begin; r < end; ++r) squares += (t[c][*r] - mean[c]) * (t[c][*r] - mean[c]);
            variance[c] = squares / size;
        }
        const auto widest =
            static_cast<std::size_t>(std::max_element(variance.begin(), variance.end()) - variance.begin());
        if (cells == 1 || variance.empty() || variance[widest] == 0.0) {
            largest_ = std::max(largest_, static_cast<std::size_t>(end - begin));
            columns_[0].push_back(size / static_cast<double>(n));
            for (std::size_t c = 0; c < t.size(); ++c) {
                columns_[1 + 2 * c].push_back(mean[c]);
                columns_[2 + 2 * c].push_back(variance[c]);
            }
            return;
        }
        std::uint32_t* middle = begin + (end - begin) / 2;
        std::nth_element(begin, middle, end,
                         [&](std::uint32_t a, std::uint32_t b) { return t[widest][a] < t[widest][b]; });
        split(t, begin, middle, cells / 2, n);
        split(t, middle, end, cells - cells / 2, n);
    }

    std::vector<std::size_t> channels_;
    std::size_t size_ = 0;
    std::size_t largest_ = 0;                   // rows in the largest cell
    std::vector<std::vector<double>> columns_;  // weight; mean and variance of each channel
};

}  // namespace execspec
