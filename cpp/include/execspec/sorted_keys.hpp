// Sorted numbers that answer in two looks how many of them lie before another.
//
// A uniform grid over their range tells of each cell which keys it holds: on data without far outliers one or two, of
// which a few comparisons choose; else a binary search does.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "execspec/buffer.hpp"
#include "execspec/isa.hpp"

namespace execspec {

class SortedKeys {
  public:
    static constexpr std::size_t batch = 256;      // what `find` takes at once
    static constexpr std::size_t steps = 4;        // comparisons that choose among the keys of a cell
    static constexpr std::size_t padding = steps;  // keys of +infinity behind the last, which none of them passes

    SortedKeys() = default;

    // `keys`: n > 0 of them, ascending and finite, and the padding.
    explicit SortedKeys(Buffer<double> keys) : keys_(std::move(keys)), size_(keys_.size() - padding) {
        origin_ = keys_[0];
        const double width = keys_[size_ - 1] - origin_;
        cells_per_unit_ = width > 0.0 ? static_cast<double>(size_) / width : 0.0;
        last_cell_ = static_cast<double>(size_ - 1);
        starts_.resize(size_ + 1);
        std::fill(starts_.begin(), starts_.end(), static_cast<std::uint32_t>(size_));
        isa::run([&] {  // each cell keeps the first of its keys, an empty one the next cell's
            for (std::size_t k = size_; k-- > 0;) starts_[cell(keys_[k])] = static_cast<std::uint32_t>(k);
            for (std::size_t c = size_; c-- > 0;) starts_[c] = std::min(starts_[c], starts_[c + 1]);
        });
    }

    std::size_t size() const { return size_; }
    const double* data() const { return keys_.data(); }  // the padding behind them

    // How many keys are less than t lies in this range, ends included.
    std::pair<std::size_t, std::size_t> range(double t) const {
        const std::size_t c = cell(t);
        return {starts_[c], starts_[c + 1]};
    }

    // For each of n <= batch numbers, how many keys are less; for NaN any number. The cache misses of all
    // overlap.
    void find(const double* t, std::size_t n, std::uint32_t* __restrict less) const {
        const std::uint32_t* starts = starts_.data();
        const double* keys = keys_.data();
        std::uint32_t cells[batch];
        for (std::size_t k = 0; k < n; ++k) cells[k] = static_cast<std::uint32_t>(cell(t[k]));
        for (std::size_t k = 0; k < n; ++k) __builtin_prefetch(starts + cells[k]);
        for (std::size_t k = 0; k < n; ++k) {
            less[k] = starts[cells[k]];
            __builtin_prefetch(keys + less[k]);
        }
        for (std::size_t k = 0; k < n; ++k) {
            std::uint32_t end = starts[cells[k] + 1];
            while (end - less[k] > steps) {
                const std::uint32_t middle = less[k] + (end - less[k]) / 2;
                (keys[middle] < t[k] ? less[k] : end) = middle;
            }
        }
        for (std::size_t step = 0; step < steps; ++step)  // those of the next cell are not less
            for (std::size_t k = 0; k < n; ++k) less[k] += keys[less[k]] < t[k] ? 1 : 0;
    }

  private:
    std::size_t cell(double t) const {
        double z = (t - origin_) * cells_per_unit_;
        z = z < last_cell_ ? z : last_cell_;  // in this order NaN ends up at a valid cell
        z = z > 0.0 ? z : 0.0;
        return static_cast<std::size_t>(z);
    }

    Buffer<double> keys_;
    std::size_t size_ = 0;
    Buffer<std::uint32_t> starts_;
    double origin_ = 0.0;
    double cells_per_unit_ = 0.0;
    double last_cell_ = 0.0;
};

}  // namespace execspec
