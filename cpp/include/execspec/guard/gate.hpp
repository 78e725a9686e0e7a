// The gate: before an action of the policy is executed, that it is the one the audited spec means.
//
// For loops at the policy's rate, where both u and a are at hand. A step allocates nothing, locks nothing, calls
// nothing outside, and takes the same path for every finite input that passes. One thread per gate.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "execspec/guard/agreement.hpp"
#include "execspec/guard/attribution.hpp"
#include "execspec/guard/bits.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/latch.hpp"
#include "execspec/guard/ledger.hpp"
#include "execspec/guard/screen.hpp"
#include "execspec/guard/status.hpp"

namespace execspec::guard {
inline namespace EXECSPEC_PACKS {

class Gate {
  public:
    // Closed until it is opened: every step is stopped. The image must outlive the gate, unchanged.
    LoadStatus open(const void* image, std::size_t size) noexcept {
        *this = Gate{};
        const LoadStatus status = image_.load(image, size);
        if (status != LoadStatus::ok) return status;
        const Header& h = image_.header();
        latch_.configure(static_cast<Mode>(h.mode), h.latch_faults, h.latch_steps);
        for (std::size_t d = 0; d < h.channels; ++d) {
            relative_[d] = image_.channel(d).relative ? 1.0 : 0.0;
            bool line = image_.channel(d).values == 0;
            for (std::size_t t = 0; t < h.steps; ++t) line = line && image_.number(Column::near, t, d) >= 0.0;
            if (!line) literal_[literals_++] = d;
        }
        return status;
    }

    // One action.
    Decision step(Span u, Span a, Time time = no_time) noexcept {
        if (!image_.loaded()) return closed;
        ledger_.begin();
        if (latch_.latched()) return settle(0);
        if (u.size != image_.channels() || a.size != image_.channels() || image_.header().steps != 1)
            return settle(wrong_length(u.size != image_.channels() ? u.size : a.size));
        const Row row{u.data, a.data, 0};
        std::uint32_t faults = untimely(time);
        if (!faults && pass(row, track_, true)) {
            see(row);
            return latch_.at_rest() ? Decision{} : settle(0);
        }
        Track after = track_;
        faults |= examine(row, after, 0, true);
        if (!(faults & Fault::not_finite)) see(row);
        const Decision decision = settle(faults);
        if (decision.passes()) track_ = after;
        return decision;
    }

    // A chunk, all or nothing, of which the first `executed` rows will run.
    Decision accept(Span u, Span a, std::size_t executed, Time time = no_time) noexcept {
        if (!image_.loaded()) return closed;
        ledger_.begin();
        if (latch_.latched()) return settle(0);
        const std::size_t channels = image_.channels();
        const std::size_t rows = a.size / channels;
        const std::size_t steps = image_.header().steps;
        if (u.size != a.size || rows * channels != a.size || rows > max_rows || executed < 1 || executed > rows ||
            (steps > 1 && rows != steps))
            return settle(wrong_length(a.size));
        std::uint32_t faults = untimely(time);
        Track track = track_;
        Track ran;
        for (std::size_t k = 0; k < rows; ++k) {
            const Row row{u.data + k * channels, a.data + k * channels, steps > 1 ? k : 0};
            const bool runs = k < executed;
            if (!pass(row, track, runs)) faults |= examine(row, track, k, runs);
            if (faults & Fault::not_finite) return settle(faults);
            see(row);
            if (k + 1 == executed) ran = track;
        }
        const Decision decision = settle(faults);
        if (decision.passes()) track_ = ran;
        return decision;
    }

    // U(u), as the ecosystem computes it; of a chunk's row `step` where figures have time steps.
    void command(const double* u, double* a, std::size_t step = 0) const noexcept {
        for (std::size_t d = 0; d < image_.channels(); ++d) a[d] = unnormalized(image_, step, d, u[d]);
    }

    // What to execute in the place of a refused action: no motion. Zero for a delta, else the last action; false where
    // there is none yet, and nothing is written.
    bool hold(double* out) const noexcept {
        if (!image_.loaded()) return false;
        bool known = true;
        for (std::size_t d = 0; d < image_.channels(); ++d) known = known && (track_.moved || relative_[d] > 0.0);
        if (!known) return false;
        for (std::size_t d = 0; d < image_.channels(); ++d) out[d] = relative_[d] > 0.0 ? 0.0 : track_.last[d];
        return true;
    }

    // The action that ran, where it is neither the one accepted nor the hold. False if a number is not finite; such an
    // action cannot have run, and nothing changes.
    bool executed(const double* a) noexcept {
        for (std::size_t d = 0; d < image_.channels(); ++d)
            if (!is_finite(a[d])) return false;
        for (std::size_t d = 0; d < image_.channels(); ++d) {
            // The walk holds the delta that it replaces: the one accepted, or the zero of a hold.
            if (relative_[d] > 0.0) track_.walk[d] += a[d] - track_.last[d];
            track_.last[d] = a[d];
        }
        track_.moved = true;
        return true;
    }

    // A peer's claim to run this spec.
    Decision confirm(const Digest& digest) noexcept {
        if (!image_.loaded()) return closed;
        return digest == image_.header().digest ? Decision{} : settle(Fault::digest);
    }

    // Forgets the latch, the last action, the walk and the evidence; counters stay. Needs the spec's digest.
    bool reset(const Digest& digest) noexcept {
        if (!image_.loaded() || !(digest == image_.header().digest)) return false;
        latch_.clear();
        attribution_.clear();
        track_ = Track{};
        ledger_.end_run();
        return true;
    }

    const Image& image() const noexcept { return image_; }
    const Counters& counters() const noexcept { return ledger_.counters(); }
    const Record& record(std::size_t bit) const noexcept { return ledger_.record(bit); }
    Evidence evidence() const noexcept { return attribution_.evidence(image_); }
    bool explains(std::size_t candidate) const noexcept { return attribution_.explains(candidate); }
    bool latched() const noexcept { return latch_.latched(); }
    Worst worst_envelope() const noexcept {
        return largest(image_.channels(), [this](std::size_t d) { return worst_.envelope[d]; });
    }
    Worst worst_jump() const noexcept {
        return largest(image_.channels(),
                       [this](std::size_t d) { return worst_.jump[d] / image_.number(Column::jump, 0, d); });
    }
    Worst worst_walk() const noexcept {
        return largest(image_.channels(),
                       [this](std::size_t d) { return worst_.walk[d] / image_.number(Column::walk, 0, d); });
    }

  private:
    static constexpr Decision closed{Fault::digest | Fault::latched, Verdict::stop, false};

    // Whether a row is beyond doubt, channels without a line included. It is then part of the track.
    bool pass(const Row& row, Track& track, bool runs) noexcept {
        return with_channels(image_.channels(), [&](auto channels) {
            if (!beyond_doubt(image_, relative_, track, row, channels) || !literally(row)) return false;
            follow(image_, relative_, row, channels, runs, track, worst_);
            return true;
        });
    }

    // Whether channels without a line are what their ops make of u.
    bool literally(const Row& row) const noexcept {
        for (std::size_t i = 0; i < literals_; ++i) {
            const std::size_t d = literal_[i];
            if (!agrees(image_, row.step, d, row.u[d], row.a[d]) || !known_command(d, row.step, row.a[d])) return false;
        }
        return true;
    }

    // The same, channel by channel, with the faults and their records; overshoots within the margin are counted.
    __attribute__((noinline, cold)) std::uint32_t examine(const Row& row, Track& track, std::size_t index,
                                                          bool runs) noexcept {
        std::uint32_t faults = 0;
        const auto fault = [&](Fault code, std::size_t d, double value, double limit) {
            ledger_.note(code, index, d, value, limit);
            faults |= code;
        };
        for (std::size_t d = 0; d < image_.channels(); ++d)
            for (const double value : {row.u[d], row.a[d]})
                if (!is_finite(value)) fault(Fault::not_finite, d, value, 0.0);
        if (faults) return faults;
        for (std::size_t d = 0; d < image_.channels(); ++d) {
            const auto number = [&](Column k) { return image_.number(k, row.step, d); };
            const double u = row.u[d];
            const double a = row.a[d];
            if (!agrees(image_, row.step, d, u, a)) fault(Fault::mismatch, d, a, unnormalized(image_, row.step, d, u));
            if (!known_command(d, row.step, a)) fault(Fault::gripper, d, a, nearest_command(d, a));
            const double low = number(Column::low);
            const double high = number(Column::high);
            const double margin = number(Column::margin);
            if (!(a >= low && a <= high)) {
                const bool beyond = !(a >= low - margin && a <= high + margin);
                if (beyond) fault(Fault::envelope, d, a, a < low ? low : high);
                if (!beyond) ledger_.overshoot();
            }
            worst_.envelope[d] =
                std::max(worst_.envelope[d], std::fabs(a - number(Column::middle)) * number(Column::inverse));
            const double jump = track.moved ? std::fabs(a - track.last[d]) : 0.0;
            if (!(jump <= number(Column::jump))) fault(Fault::jump, d, jump, number(Column::jump));
            worst_.jump[d] = std::max(worst_.jump[d], jump);
            const double walk = track.walk[d] + relative_[d] * a;
            if (runs && !(std::fabs(walk) <= number(Column::walk))) fault(Fault::walk, d, walk, number(Column::walk));
            if (runs) worst_.walk[d] = std::max(worst_.walk[d], std::fabs(walk));
            track.last[d] = a;
            track.walk[d] = walk;
        }
        track.moved = true;
        return faults;
    }

    // A gripper whose commands are known gives one of them.
    bool known_command(std::size_t d, std::size_t step, double a) const noexcept {
        const Channel& channel = image_.channel(d);
        const double tolerance = image_.number(Column::tolerance, step, d);
        bool known = channel.values == 0;
        for (std::size_t k = 0; k < channel.values; ++k) known = known || std::fabs(a - channel.value[k]) <= tolerance;
        return known;
    }

    double nearest_command(std::size_t d, double a) const noexcept {
        const Channel& channel = image_.channel(d);
        double nearest = channel.value[0];
        for (std::size_t k = 1; k < channel.values; ++k)
            if (std::fabs(a - channel.value[k]) < std::fabs(a - nearest)) nearest = channel.value[k];
        return nearest;
    }

    std::uint32_t untimely(Time time) noexcept {
        const double max_age = image_.header().max_age;
        if (fresh(time, max_age)) return 0;
        ledger_.note(Fault::stale, 0, 0, time.now - time.stamp, max_age);
        return Fault::stale;
    }

    __attribute__((noinline, cold)) std::uint32_t wrong_length(std::size_t size) noexcept {
        ledger_.note(Fault::length, 0, 0, static_cast<double>(size), static_cast<double>(image_.channels()));
        return Fault::length;
    }

    void see(const Row& row) noexcept {
        if (image_.header().candidates > 1) attribution_.see(image_, row.step, row.u, row.a);
    }

    // Apart from the path of a clean step after clean ones, where a decision put together in memory would be waited
    // for.
    __attribute__((noinline)) Decision settle(std::uint32_t faults) noexcept {
        const Decision decision = latch_.decide(faults);
        ledger_.count(decision);
        if (!decision.passes())  // a hold runs in its place
            for (std::size_t d = 0; d < image_.channels(); ++d)
                if (relative_[d] > 0.0) track_.last[d] = 0.0;
        return decision;
    }

    Image image_;
    Latch latch_;
    Attribution attribution_;
    Track track_;
    Extremes worst_;
    PerChannel relative_;                     // 1 where a channel is a delta
    std::size_t literal_[max_channels] = {};  // channels that no line describes: a gripper's steps
    std::size_t literals_ = 0;
    Ledger ledger_;
};

}  // namespace EXECSPEC_PACKS
}  // namespace execspec::guard
