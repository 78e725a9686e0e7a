// The quantile of |t - root| over a column: the values that close to a root are neighbours, a window of so many ranks.
//
// A window moves one rank up where the root passes the middle between the value it loses and the one it gains. So the
// middles of all windows, sorted as the values are, answer for every root at once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "execspec/buffer.hpp"
#include "execspec/empirical.hpp"
#include "execspec/sorted_keys.hpp"

namespace execspec {

class Windows {
  public:
    // Windows of `quota` values. As many middles are looked up beforehand as there are `queries` to come, or all.
    Windows(const Empirical& x, std::size_t quota, std::size_t queries) : x_(&x), quota_(quota) {
        moves_ = x.count() - quota;
        if (moves_ == 0) return;
        stride_ = std::max<std::size_t>(1, moves_ / std::max<std::size_t>(1, queries));
        const std::size_t known = (moves_ + stride_ - 1) / stride_;
        Buffer<double> keys(known);
        for (std::size_t k = 0; k < known; ++k) keys[k] = twice_middle(k * stride_);
        twice_middles_ = SortedKeys(std::move(keys));
    }

    std::size_t quota() const { return quota_; }

    // For each of n <= SortedKeys::batch roots the first rank of the window around it.
    void find(const double* root, std::size_t n, std::uint32_t* first) const {
        if (moves_ == 0) return std::fill(first, first + n, 0);
        double twice[SortedKeys::batch] = {};
        for (std::size_t k = 0; k < n; ++k) twice[k] = 2.0 * root[k];
        twice_middles_.find(twice, n, first);
        for (std::size_t k = 0; k < n; ++k)  // past the last middle known to be passed
            first[k] = first[k] > 0 ? static_cast<std::uint32_t>((first[k] - 1) * stride_ + 1) : 0;
        // All bisections take the same steps, so that their cache misses overlap. `length` places are left to each.
        for (std::size_t length = stride_; length > 1; length -= length / 2) {
            const auto half = static_cast<std::uint32_t>(length / 2);
            for (std::size_t k = 0; k < n; ++k) {
                const std::size_t move = first[k] + half - 1;
                first[k] += first[k] > 0 && move < moves_ && twice_middle(move) < twice[k] ? half : 0;
            }
        }
    }

  private:
    double twice_middle(std::size_t move) const { return x_->t(move) + x_->t(move + quota_); }

    const Empirical* x_;
    std::size_t quota_;
    std::size_t moves_ = 0;
    std::size_t stride_ = 1;
    SortedKeys twice_middles_;
};

}  // namespace execspec
