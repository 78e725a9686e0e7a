// A certified interval for E ||delta||_2 of pairs of lines, from a partition of the rows into cells.
//
// In a cell of weight w, mean mu and variances v, Jensen's inequality holds both ways:
//   w ||scale mu + offset||  <=  its share of E ||delta||  <=  w sqrt(||scale mu + offset||^2 + sum_d scale_d^2 v_d).
// The cost is one look per cell in the place of one per row. Rounding widens the interval, never narrows it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <queue>
#include <utility>
#include <vector>

#include "execspec/buffer.hpp"
#include "execspec/joint.hpp"

namespace execspec {

struct Interval {
    double lower;
    double upper;
};

// By channel, how much wider a unit of its variance within a cell makes the interval of a pair, as a share of the norm
// and as the mean over all pairs of lines among `maps`: scale^2 / E ||delta||^2, up to a common factor. It makes
// channels comparable, and gives every pair one vote, however large its drift. `mean` and `variance` are those of all
// rows, in the local coordinates.
inline std::vector<double> votes_of_pairs(const std::vector<const Unnormalizer*>& maps, const ActionSample& sample,
                                          const std::vector<std::size_t>& channels, const std::vector<double>& mean,
                                          const std::vector<double>& variance) {
    struct Line {
        double slope;
        double level;  // at the mean
    };
    const std::size_t dim = channels.size();
    const Unnormalizer* first = nullptr;
    std::vector<Line> lines;  // map after map, as they differ from the first: nearly equal ones keep their digits
    for (const Unnormalizer* map : maps) {
        if (!std::all_of(channels.begin(), channels.end(), [&](std::size_t d) { return map->map(d).size() == 1; }))
            continue;
        if (first == nullptr) first = map;
        for (std::size_t c = 0; c < dim; ++c) {
            const std::size_t d = channels[c];
            const Frame& frame = std::get<Empirical>(sample.column(d)).frame();
            const Affine g = frame.local(map->map(d)[0].f - first->map(d)[0].f);
            lines.push_back({double(g.scale), double(g(dd(mean[c])))});
        }
    }
    std::vector<double> votes(dim);
    std::vector<double> slopes(dim);
    for (std::size_t i = 0; i < lines.size(); i += dim)
        for (std::size_t j = 0; j < i; j += dim) {
            double largest = 0.0;
            for (std::size_t c = 0; c < dim; ++c)
                largest = std::max({largest, std::abs(lines[j + c].slope - lines[i + c].slope),
                                    std::abs(lines[j + c].level - lines[i + c].level)});
            if (largest == 0.0) continue;
            double mean_square = 0.0;
            for (std::size_t c = 0; c < dim; ++c) {
                slopes[c] = (lines[j + c].slope - lines[i + c].slope) / largest;
                const double level = (lines[j + c].level - lines[i + c].level) / largest;
                mean_square += slopes[c] * slopes[c] * variance[c] + level * level;
            }
            if (mean_square == 0.0) continue;
            for (std::size_t c = 0; c < dim; ++c) votes[c] += slopes[c] * slopes[c] / mean_square;
        }
    return votes;
}

// A partition of a sample's rows in the local coordinates. The interval of a pair is about as wide as the sum over
// cells of w sum_d scale_d^2 v_d, over twice the norm; so the cell with the most of it by the votes of all pairs is
// cut, again and again, at its mean across the channel that has the most of that.
class Cells {
  public:
    // At most `count` cells (at least one), made for pairs of `maps`; drift is asked of `channels`.
    Cells(const ActionSample& sample, const std::vector<const Unnormalizer*>& maps,
          const std::vector<std::size_t>& channels, std::size_t count)
        : channels_(channels.size()),
          n_(sample.count()),
          stride_(blocks(std::min(count, n_)) * block + 40),  // not a power of two, see RowBlock
          columns_((2 * channels_ + 1) * stride_, 0.0) {
        Buffer<double> rows(n_ * channels_);  // row after row
        RowBlock values(sample);
        for (std::size_t first = 0; first < n_; first += RowBlock::rows) {
            values.load(sample, first);
            for (std::size_t c = 0; c < channels_; ++c)
                for (std::size_t r = 0; r < values.size; ++r)
                    rows[(first + r) * channels_ + c] = values.local(channels[c])[r];
        }
        const Rows all{rows.data(), n_};
        describe(all, 0);
        size_ = 1;
        std::vector<double> middle;
        std::vector<double> spread;
        for (std::size_t c = 0; c < channels_; ++c) {
            middle.push_back(mean(c)[0]);
            spread.push_back(variance(c)[0]);
        }
        divide(all, votes_of_pairs(maps, sample, channels, middle, spread), count);
        largest_ = *std::max_element(weight(), weight() + size_);
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
            for (std::size_t c = 0; c < channels_ && !pairs[p].zero(); ++c)
                reach += std::abs(pairs[p].scale()[c]) + std::abs(pairs[p].offset()[c]);
            const double longest = static_cast<double>(16 + size_ / 8) + largest_ * static_cast<double>(n_);
            const double rounding = 1e-15 * longest * reach;  // of sums that long
            out.push_back({std::ldexp(std::max(0.0, low[p].total() - rounding), pairs[p].exponent()),
                           std::ldexp(high[p].total() + rounding, pairs[p].exponent())});
        }
        return out;
    }

  private:
    static constexpr std::size_t block = 256;
    static std::size_t blocks(std::size_t cells) { return std::max<std::size_t>(1, (cells + block - 1) / block); }

    struct Rows {
        double* first;
        std::size_t count;
    };

    // How a cell would be cut in two.
    struct Cut {
        double gain;
        std::size_t place;  // of the cell in the columns
        std::size_t channel;
        Rows rows;

        bool operator<(const Cut& other) const { return std::pair(gain, place) < std::pair(other.gain, other.place); }
    };

    // The columns of a cell table: weights, then the mean and the variance of each channel. Cells beyond size() weigh
    // 0.
    double* weight() { return columns_.data(); }
    double* mean(std::size_t c) { return columns_.data() + (1 + 2 * c) * stride_; }
    double* variance(std::size_t c) { return columns_.data() + (2 + 2 * c) * stride_; }
    const double* weight() const { return columns_.data(); }
    const double* mean(std::size_t c) const { return columns_.data() + (1 + 2 * c) * stride_; }
    const double* variance(std::size_t c) const { return columns_.data() + (2 + 2 * c) * stride_; }

    void add_block(std::size_t first, const PairNorms& pair, detail::Lanes& low, detail::Lanes& high) const {
        const std::size_t apart = 2 * stride_;
        detail::with_squares(mean(0) + first, apart, block, pair.scale(), pair.offset(), [&](auto&& square) {
            detail::with_spreads(variance(0) + first, apart, block, pair.scale(), [&](auto&& spread) {
                detail::add_weighted_roots(block, weight() + first, square, spread, low, high);
            });
        });
    }

    void divide(const Rows& all, const std::vector<double>& votes, std::size_t count) {
        std::priority_queue<Cut> cuts;
        cuts.push(best_cut(all, 0, votes));
        while (size_ < count && !cuts.empty() && cuts.top().gain > 0.0) {
            const Cut cut = cuts.top();
            cuts.pop();
            const std::size_t below = part(cut);
            // A mean that rounds onto the last value parts nothing: such a cell is as good as a point.
            if (below == 0 || below == cut.rows.count) continue;
            const Rows low{cut.rows.first, below};
            const Rows high{cut.rows.first + below * channels_, cut.rows.count - below};
            describe(low, cut.place);
            describe(high, size_);
            cuts.push(best_cut(low, cut.place, votes));
            cuts.push(best_cut(high, size_++, votes));
        }
    }

    // Writes a cell into the columns.
    void describe(const Rows& rows, std::size_t place) {
        std::vector<double> middle(channels_);
        std::vector<double> spread(channels_);
        const auto count = static_cast<double>(rows.count);
        const double* const end = rows.first + rows.count * channels_;
        for (const double* r = rows.first; r < end; r += channels_)
            for (std::size_t c = 0; c < channels_; ++c) middle[c] += r[c];
        for (double& m : middle) m /= count;
        for (const double* r = rows.first; r < end; r += channels_)
            for (std::size_t c = 0; c < channels_; ++c) {
                const double away = r[c] - middle[c];
                spread[c] += away * away;
            }
        weight()[place] = count / static_cast<double>(n_);
        for (std::size_t c = 0; c < channels_; ++c) {
            mean(c)[place] = middle[c];
            variance(c)[place] = spread[c] / count;
        }
    }

    Cut best_cut(const Rows& rows, std::size_t place, const std::vector<double>& votes) const {
        Cut cut{0.0, place, 0, rows};
        double most = 0.0;
        for (std::size_t c = 0; c < channels_; ++c) {
            const double share = weight()[place] * votes[c] * variance(c)[place];
            cut.gain += share;
            if (share > most) {
                most = share;
                cut.channel = c;
            }
        }
        return cut;
    }

    // Moves the rows up to the cell's mean in front of the others; how many they are.
    std::size_t part(const Cut& cut) {
        const double pivot = mean(cut.channel)[cut.place];
        double* low = cut.rows.first;
        double* high = low + cut.rows.count * channels_;
        while (low < high) {
            if (low[cut.channel] <= pivot) {
                low += channels_;
                continue;
            }
            high -= channels_;
            std::swap_ranges(low, low + channels_, high);
        }
        return static_cast<std::size_t>(low - cut.rows.first) / channels_;
    }

    std::size_t channels_;
    std::size_t n_;
    std::size_t stride_;
    std::size_t size_ = 0;
    double largest_ = 0.0;  // of all weights
    Buffer<double> columns_;
};

}  // namespace execspec
