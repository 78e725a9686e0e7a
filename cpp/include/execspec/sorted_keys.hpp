// Sorted numbers that answer in one look how many of them lie before another.
//
// A coarse grid over their range, small enough to stay in the first cache, gives each of its cells as many fine cells
// as it holds keys: about one key to each, however they are spread. A fine cell knows of its first keys how far into
// the cell they are, in 1,023rds: their marks. Only where a number has the same mark as a key, the keys themselves
// decide.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/isa.hpp"

namespace execspec {

class SortedKeys {
  public:
    static constexpr std::size_t batch = 256;  // what `find` takes at once,
    static constexpr std::size_t step = 16;    // in steps of so many

    SortedKeys() = default;

    // `keys`: n > 0 of them, ascending and finite.
    explicit SortedKeys(Buffer<double> keys) : keys_(std::move(keys)) {
        const std::size_t coarse = std::clamp<std::size_t>(size() / 8, 1, 1024);
        // A quarter of a cell is left over at either end, so that what lies beyond the keys is in no doubt.
        const double cells = static_cast<double>(coarse) - 0.5;
        coarse_per_unit_ = std::min(cells / (keys_.back() - keys_.front()), 1e300);  // finite, if all keys are one
        origin_ = keys_.front() - 0.25 / coarse_per_unit_;
        last_ = static_cast<double>(coarse) - 1e-10;
        isa::run([&] {
            share_out(coarse);
            fill();
        });
    }

    std::size_t size() const { return keys_.size(); }

    // How many keys are less than t lies in this range, ends included.
    std::pair<std::size_t, std::size_t> range(double t) const { return held(spot(t).cell); }

    // For each of n <= batch numbers, how many keys are less; for NaN any number. `t` has room for whole steps. The
    // cache misses of all overlap.
    void find(const double* t, std::size_t n, std::uint32_t* __restrict less) const {
        std::uint32_t cell[batch];
        std::uint32_t mark[batch];
        std::uint32_t doubt[batch];
        std::uint32_t doubts = 0;
        const std::uint64_t* cells = cells_.data();
        for (std::size_t first = 0; first < n; first += step) {
            for (std::size_t k = first; k < first + step; ++k) {
                const Spot at = spot(t[k]);
                cell[k] = at.cell;
                mark[k] = at.mark;
            }
            for (std::size_t k = first; k < first + step; ++k) __builtin_prefetch(cells + cell[k]);
        }
        for (std::size_t k = 0; k < n; ++k) {
            const std::uint64_t own = cells[cell[k]];
            const auto first = static_cast<std::uint32_t>(own >> 32 & none);
            const auto second = static_cast<std::uint32_t>(own >> 42 & none);
            const auto third = static_cast<std::uint32_t>(own >> 52 & none);  // behind it there may be more
            less[k] = static_cast<std::uint32_t>(own) + (first < mark[k]) + (second < mark[k]);
            doubt[k] = (first == mark[k]) | (second == mark[k]) | (third <= mark[k]);
            doubts |= doubt[k];
        }
        for (std::size_t k = 0; doubts && k < n; ++k)
            if (doubt[k]) less[k] = search(cell[k], t[k]);
    }

  private:
    static constexpr std::int32_t none = 1023;  // in the place of a mark; what there is has less

    struct Spot {
        std::uint32_t cell;
        std::uint32_t mark;
    };

    double coarse(double t) const {
        double z = (t - origin_) * coarse_per_unit_;
        z = z < last_ ? z : last_;  // in this order NaN ends up at a valid cell
        return z > 0.0 ? z : 0.0;
    }

    // Never less for a larger t: each operation, rounded, keeps the order.
    Spot spot(double t) const {
        const double z = coarse(t);
        const auto c = static_cast<std::int32_t>(z);
        const double fine = (z - c) * fine_cells_[static_cast<std::size_t>(c)];
        const auto whole = static_cast<std::int32_t>(fine);
        return {first_cell_[static_cast<std::size_t>(c)] + static_cast<std::uint32_t>(whole),
                static_cast<std::uint32_t>(static_cast<std::int32_t>((fine - whole) * none))};
    }

    std::pair<std::size_t, std::size_t> held(std::size_t cell) const {
        return {static_cast<std::uint32_t>(cells_[cell]), static_cast<std::uint32_t>(cells_[cell + 1])};
    }

    std::uint32_t search(std::size_t cell, double t) const {
        const auto [begin, end] = held(cell);
        return static_cast<std::uint32_t>(std::lower_bound(keys_.data() + begin, keys_.data() + end, t) - keys_.data());
    }

    // To each coarse cell its fine ones: as many as it holds keys, one at least.
    void share_out(std::size_t cells) {
        first_cell_.resize(cells);
        fine_cells_.resize(cells);
        std::size_t total = 0;
        const double* const end = keys_.data() + size();
        const double* begin = keys_.data();
        for (std::size_t c = 0; c < cells; ++c) {
            const double* next =
                std::partition_point(begin, end, [&](double t) { return coarse(t) < static_cast<double>(c + 1); });
            const std::size_t count = std::clamp<std::size_t>(static_cast<std::size_t>(next - begin), 1, 1 << 30);
            first_cell_[c] = static_cast<std::uint32_t>(total);
            fine_cells_[c] = static_cast<double>(count);
            total += count;
            begin = next;
        }
        cells_.assign(total + 1, ~std::uint64_t{0} << 32 | size());
    }

    // Of a cell, in its bits: how many keys lie before it, and from the 32nd on its first three marks.
    void fill() {
        std::uint32_t cell[batch];
        std::uint32_t mark[batch];
        for (std::size_t end = size(); end > 0;) {
            const std::size_t begin = (end - 1) / batch * batch;
            for (std::size_t k = begin; k < end; ++k) {
                const Spot at = spot(keys_[k]);
                cell[k - begin] = at.cell;
                mark[k - begin] = at.mark;
            }
            for (std::size_t k = end; k-- > begin;) {  // the first keys come last, and push the others out
                std::uint64_t& held = cells_[cell[k - begin]];
                held = (held >> 32 << 10 | mark[k - begin]) << 32 | k;
            }
            end = begin;
        }
        constexpr std::uint64_t low = 0xffffffff;
        for (std::size_t c = cells_.size() - 1; c-- > 0;)  // before an empty cell are as many as before the next
            cells_[c] = (cells_[c] & ~low) | std::min(cells_[c] & low, cells_[c + 1] & low);
    }

    Buffer<double> keys_;
    Buffer<std::uint64_t> cells_;
    std::vector<std::uint32_t> first_cell_;
    std::vector<double> fine_cells_;
    double origin_ = 0.0;
    double coarse_per_unit_ = 0.0;
    double last_ = 0.0;
};

}  // namespace execspec
