// Which of the candidate keys produced the actions seen: the declared one, a sibling, several, or none of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "execspec/guard/agreement.hpp"
#include "execspec/guard/bits.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/pack.hpp"

namespace execspec::guard {
inline namespace EXECSPEC_PACKS {

// The latest segment of steps that at least one candidate explains as a whole; or of steps that none does.
struct Evidence {
    std::uint64_t steps = 0;       // of the segment
    std::uint64_t segments = 0;    // so far; more than one: the key changed, or an action was not the policy's
    std::uint32_t explaining = 0;  // candidates that explain all of it
    std::uint32_t best = 0;        // the candidate of the smallest worst residual
    double worst = 0.0;            // that residual, in tolerances; at most 1 where it explains
    double margin = 0.0;           // the smallest worst residual of those that do not; `largest_finite` if all do
    std::uint32_t runner_up = 0;   // whose that is
};

class Attribution {
  public:
    Attribution() noexcept { clear(); }

    void clear() noexcept {
        steps_ = 0;
        segments_ = 0;
        explaining_ = 0;
        for (double& worst : worst_) worst = largest_finite;
    }

    // One action of finite numbers and the u it was made of. Candidates that do not explain the segment any more are
    // looked at by turns, eight a step, as long as others do; their worst residual is the worst of those looks.
    __attribute__((noinline)) void see(const Image& image, std::size_t step, const double* u,
                                       const double* a) noexcept {
        const Seen seen(image, step, u, a);
        const std::size_t lanes = image.header().lanes;
        turn_ = turn_ + lane < lanes ? turn_ + lane : 0;
        std::uint32_t explaining = 0;
        for (std::size_t k = 0; k < lanes; k += lane)
            if (k == turn_ || (explaining_ >> k / lane & 1)) explaining |= raise(k, seen.residuals(k)) << k / lane;
        explaining_ = explaining;
        if (steps_ && explaining) {
            ++steps_;
            return;
        }
        alignas(64) double now[padded(max_candidates)];
        for (std::size_t k = 0; k < lanes; k += lane) {
            const Eight eight = seen.residuals(k);
            for (std::size_t j = 0; j < Eight::packs; ++j) store(now + k + j * pack_size, eight.pack[j]);
        }
        const std::size_t candidates = image.header().candidates;
        const bool unexplained = !(*std::min_element(now, now + candidates) <= 1.0);
        const bool goes_on = steps_ && unexplained && unexplained_;
        for (std::size_t k = 0; k < candidates; ++k) worst_[k] = goes_on ? std::max(worst_[k], now[k]) : now[k];
        for (std::size_t k = 0; k < candidates; ++k) explaining_ |= (worst_[k] <= 1.0 ? 1u : 0u) << k / lane;
        segments_ += !goes_on;
        steps_ = goes_on ? steps_ + 1 : 1;
        unexplained_ = unexplained;
    }

    bool explains(std::size_t candidate) const noexcept { return steps_ && worst_[candidate] <= 1.0; }

    Evidence evidence(const Image& image) const noexcept {
        Evidence found;
        found.steps = steps_;
        found.segments = segments_;
        found.worst = largest_finite;
        found.margin = largest_finite;
        for (std::uint32_t k = 0; k < image.header().candidates; ++k) {
            found.explaining += explains(k);
            if (worst_[k] < found.worst) {
                found.worst = worst_[k];
                found.best = k;
            }
            if (!explains(k) && worst_[k] < found.margin) {
                found.margin = worst_[k];
                found.runner_up = k;
            }
        }
        return found;
    }

  private:
    struct Eight {
        static constexpr std::size_t packs = lane / pack_size;
        Pack pack[packs];
    };

    // What every candidate would have made of a u, against the action seen.
    class Seen {
      public:
        Seen(const Image& image, std::size_t step, const double* u, const double* a) noexcept
            : first_(image.line(step, 0, Line::scale)),
              lanes_(image.header().lanes),
              channels_(image.channels()),
              u_(u),
              a_(a) {
            for (std::size_t d = 0; d < channels_; ++d) weight_[d] = 1.0 / action_scale(u[d]);
        }

        // Of eight candidates, over all channels, in tolerances.
        Eight residuals(std::size_t k) const noexcept {
            Eight worst{};
            const double* line = first_ + k;
            for (std::size_t d = 0; d < channels_; ++d) {
                const Pack u = all_of(u_[d]);
                const Pack a = all_of(a_[d]);
                const Pack weight = all_of(weight_[d]);
                for (std::size_t j = 0; j < Eight::packs; ++j) {
                    const auto number = [&](Line n) {
                        return load(line + static_cast<std::size_t>(n) * lanes_ + j * pack_size);
                    };
                    const Pack raw = number(Line::scale) * u + number(Line::offset);
                    const Pack value = smaller(larger(raw, number(Line::floor)), number(Line::ceiling));
                    const Pack residual = magnitude(value - a) * (number(Line::evidence) * weight);
                    worst.pack[j] = larger(residual, worst.pack[j]);
                }
                line += static_cast<std::size_t>(Line::count) * lanes_;
            }
            return worst;
        }

      private:
        const double* first_;
        std::size_t lanes_;
        std::size_t channels_;
        const double* u_;
        const double* a_;
        double weight_[max_channels];
    };

    // Whether any of the eight still explains the segment.
    std::uint32_t raise(std::size_t k, const Eight& now) noexcept {
        Mask none = ~Mask{};
        for (std::size_t j = 0; j < Eight::packs; ++j) {
            double* place = aligned(worst_ + k + j * pack_size);
            const Pack worst = larger(now.pack[j], load(place));
            store(place, worst);
            none &= beyond(worst, all_of(1.0));
        }
        return any_top_bit(~none);
    }

    alignas(64) double worst_[padded(max_candidates)];  // beyond the candidates: never one that explains
    std::uint64_t steps_ = 0;
    std::uint64_t segments_ = 0;
    std::size_t turn_ = 0;
    std::uint32_t explaining_ = 0;  // by eights: some candidate of them explains the segment
    bool unexplained_ = false;
};

}  // namespace EXECSPEC_PACKS
}  // namespace execspec::guard
