// The watch: at every step of the control loop, that the outgoing command keeps its limits.
//
// It sees that command alone, in the command's own space, and the seconds since the one before. Rates are differences
// of commands. A step allocates nothing, locks nothing, calls nothing outside. One thread per watch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "execspec/guard/bits.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/latch.hpp"
#include "execspec/guard/ledger.hpp"
#include "execspec/guard/ramp.hpp"
#include "execspec/guard/status.hpp"

namespace execspec::guard {

// No robot's figure is larger, or smaller; between them no product of a ramp overflows.
constexpr double vast = 1e100;

class Watch {
  public:
    // Closed until it is opened: every step is stopped. The image must outlive the watch, unchanged.
    LoadStatus open(const void* image, std::size_t size) noexcept {
        *this = Watch{};
        LoadStatus status = image_.load(image, size);
        if (status == LoadStatus::ok && channels() == 0) status = LoadStatus::no_watch;
        for (std::size_t d = 0; d < channels(); ++d) limits_[d] = Limits(image_.watch_channel(d));
        for (std::size_t d = 0; d < channels() && status == LoadStatus::ok; ++d)
            if (limits_[d].brakes.acceleration < 1 / vast || limits_[d].brakes.jerk < 1 / vast)
                status = LoadStatus::malformed;
        if (status != LoadStatus::ok) {
            image_ = Image{};
            return status;
        }
        const Header& h = image_.header();
        latch_.configure(static_cast<Mode>(h.mode), h.latch_faults, h.latch_steps);
        return status;
    }

    // Whether `stop` writes commands. If not, there are verdicts only, and the loop stops the robot.
    bool writes() const noexcept { return image_.header().watch_stops != 0; }

    // Where the robot stands still, so that the first command is judged in full: without it, velocity is from the
    // second command on, acceleration from the third, jerk from the fourth; for velocities one command earlier. False
    // if a number is not finite; no robot stands there, and nothing changes.
    bool start(const double* position) noexcept {
        if (!all_finite(position)) return false;
        forget();
        for (std::size_t d = 0; d < channels(); ++d) history_[d].motion.position = position[d];
        known_ = all;
        return true;
    }

    // One command, `dt` seconds after the one before. Rates may exceed a limit by rounding: 8 ulp of it, and what 2 ulp
    // of each command make of a difference.
    Decision step(Span command, double dt, Time time = no_time) noexcept {
        if (!image_.loaded()) return closed;
        ledger_.begin();
        if (latch_.latched()) return settle(0);
        if (command.size != channels()) {
            ledger_.note(Fault::length, 0, 0, static_cast<double>(command.size), static_cast<double>(channels()));
            return settle(Fault::length);
        }
        std::uint32_t faults = 0;
        for (std::size_t d = 0; d < channels(); ++d) {
            if (is_finite(command.data[d])) continue;
            ledger_.note(Fault::not_finite, 0, d, command.data[d], 0.0);
            faults |= Fault::not_finite;
        }
        if (faults) return settle(faults);
        if (!fresh(time, image_.header().watch_max_age)) {
            ledger_.note(Fault::stale, 0, 0, time.now - time.stamp, image_.header().watch_max_age);
            faults |= Fault::stale;
        }
        const double max_dt = image_.header().watch_max_dt;
        const bool timed = passed(dt) && dt <= max_dt;
        if (!timed) {
            ledger_.note(Fault::period, 0, 0, dt, max_dt);
            faults |= Fault::period;
        }
        for (std::size_t d = 0; d < channels(); ++d) {
            next_[d] = follow(history_[d], command.data[d], dt, timed);
            faults |= judge(d, next_[d]);
        }
        const Decision decision = settle(faults);
        if (decision.passes()) adopt(timed);
        return decision;
    }

    // The command to send in the place of a refused one: the next of a ramp to rest, `dt` seconds after the command
    // before. Every command so written keeps the limits of acceleration and jerk, whatever the dt; and those of
    // velocity and position, since `step` passes only what it can be stopped from within them. Where a motion came
    // about otherwise (mode observe, `executed`), the ramp exceeds them by as little as acceleration and jerk allow.
    // A dt that is not positive repeats the last command. False, and nothing written, if the watch gives verdicts
    // only, or there is no position to start from.
    bool stop(double* out, double dt) noexcept {
        if (!writes() || (known_ == 0 && !velocities())) return false;
        const double h = std::min(dt, vast);
        for (std::size_t d = 0; d < channels(); ++d) {
            Past& past = history_[d];
            if (passed(dt)) {
                const double noise = velocities() ? 0.0 : 4.0 * ulp * std::fabs(past.motion.position) / h;
                past.motion = brake(past.motion, limits_[d].brakes, h);
                past.acceleration_noise = (noise + past.velocity_noise) / h;
                past.velocity_noise = noise;
            }
            out[d] = velocities() ? past.motion.velocity : past.motion.position;
        }
        known_ = all;
        return true;
    }

    bool at_rest() const noexcept {
        bool rest = true;
        for (std::size_t d = 0; d < channels(); ++d)
            rest = rest && history_[d].motion.velocity == 0.0 && history_[d].motion.acceleration == 0.0;
        return rest;
    }

    // The command that ran where it is neither the one that passed nor the one that `stop` wrote. Without it, and
    // without a stop, a refusal is taken to leave the robot standing at the last command that passed. False if a number
    // is not finite; such a command cannot have run, and nothing changes.
    bool executed(const double* command, double dt) noexcept {
        if (!all_finite(command)) return false;
        const bool timed = passed(dt);
        for (std::size_t d = 0; d < channels(); ++d) next_[d] = follow(history_[d], command[d], dt, timed);
        adopt(timed);
        return true;
    }

    // A peer's claim to run this spec.
    Decision confirm(const Digest& digest) noexcept {
        if (!image_.loaded()) return closed;
        return digest == image_.header().digest ? Decision{} : settle(Fault::digest);
    }

    // Forgets the latch and the history; counters stay. Needs the spec's digest.
    bool reset(const Digest& digest) noexcept {
        if (!image_.loaded() || !(digest == image_.header().digest)) return false;
        latch_.clear();
        ledger_.end_run();
        forget();
        return true;
    }

    const Image& image() const noexcept { return image_; }
    std::size_t channels() const noexcept { return image_.header().watch_channels; }
    const Counters& counters() const noexcept { return ledger_.counters(); }
    const Record& record(std::size_t bit) const noexcept { return ledger_.record(bit); }
    bool latched() const noexcept { return latch_.latched(); }
    Worst worst_position() const noexcept {
        return largest(channels(), [this](std::size_t d) { return worst_[d].position; });
    }
    Worst worst_velocity() const noexcept {
        return largest(channels(), [this](std::size_t d) { return worst_[d].velocity / limits_[d].velocity; });
    }
    Worst worst_acceleration() const noexcept {
        return largest(channels(),
                       [this](std::size_t d) { return worst_[d].acceleration / limits_[d].brakes.acceleration; });
    }
    Worst worst_jerk() const noexcept {
        return largest(channels(), [this](std::size_t d) { return worst_[d].jerk / limits_[d].brakes.jerk; });
    }

  private:
    static constexpr Decision closed{Fault::digest | Fault::latched, Verdict::stop, false};
    static constexpr double ulp = 0x1p-52;
    static constexpr std::uint32_t all = 4;  // so many commands and nothing is unknown

    struct Limits {
        Limits() = default;
        explicit Limits(const WatchChannel& c) noexcept
            : low(c.low),
              high(c.high),
              slack(8.0 * ulp *
                    std::max(is_finite(c.low) ? std::fabs(c.low) : 0.0, is_finite(c.high) ? std::fabs(c.high) : 0.0)),
              velocity(std::min(c.velocity, vast)),
              brakes{std::min(c.acceleration, vast), std::min(c.jerk, vast)} {}

        double low = 0.0;
        double high = 0.0;
        double slack = 0.0;
        double velocity = 0.0;
        Brakes brakes{0.0, 0.0};
    };

    // What the commands so far say of a channel; a rate that they do not give yet is zero.
    struct Past {
        Motion motion;
        double jerk = 0.0;
        double velocity_noise = 0.0;  // at most, from the rounding of commands
        double acceleration_noise = 0.0;
        double jerk_noise = 0.0;
    };

    struct Extremes {
        double position = 0.0;
        double velocity = 0.0;
        double acceleration = 0.0;
        double jerk = 0.0;
    };

    bool velocities() const noexcept { return image_.header().watch_order == 1; }
    static bool passed(double dt) noexcept { return is_finite(dt) && dt > 0.0; }

    bool all_finite(const double* values) const noexcept {
        bool finite = true;
        for (std::size_t d = 0; d < channels(); ++d) finite = finite && is_finite(values[d]);
        return finite;
    }

    // Magnitudes compare as integers, so that NaN is beyond every limit under -ffast-math too.
    static bool beyond(double value, double limit, double noise) noexcept {
        const double allowed = std::min(limit * (1.0 + 8.0 * ulp) + noise, vast * vast);
        return bits_of(std::fabs(value)) > bits_of(allowed);
    }

    Past follow(const Past& was, double command, double dt, bool timed) const noexcept {
        const std::uint32_t rates = timed ? known_ + (velocities() ? 1 : 0) : 0;
        Past now;
        now.motion.position = was.motion.position;
        if (velocities()) {
            now.motion.velocity = command;
            if (timed) now.motion.position += command * dt;
        } else {
            now.motion.position = command;
            if (rates >= 1) {
                now.motion.velocity = (command - was.motion.position) / dt;
                now.velocity_noise = 4.0 * ulp * std::max(std::fabs(command), std::fabs(was.motion.position)) / dt;
            }
        }
        if (rates >= 2) {
            now.motion.acceleration = (now.motion.velocity - was.motion.velocity) / dt;
            now.acceleration_noise = (now.velocity_noise + was.velocity_noise) / dt;
        }
        if (rates >= 3) {
            now.jerk = (now.motion.acceleration - was.motion.acceleration) / dt;
            now.jerk_noise = (now.acceleration_noise + was.acceleration_noise) / dt;
        }
        return now;
    }

    // Against the limits; a watch that writes asks the same of all that a stop from there passes through.
    std::uint32_t judge(std::size_t d, const Past& now) noexcept {
        const Limits& limit = limits_[d];
        const Motion& m = now.motion;
        std::uint32_t faults = 0;
        const auto fault = [&](Fault code, double value, double against) {
            ledger_.note(code, 0, d, value, against);
            faults |= code;
        };
        const auto rate = [&](Fault code, double value, double against, double noise, double& worst) {
            if (beyond(value, against, noise)) fault(code, value, against);
            if (is_finite(value)) worst = std::max(worst, std::fabs(value));
        };
        const auto place = [&](double p) {
            const bool within = is_finite(p) && p >= limit.low - limit.slack && p <= limit.high + limit.slack;
            if (!within) fault(Fault::position, p, p < limit.low ? limit.low : limit.high);
        };
        Extremes& worst = worst_[d];
        place(m.position);
        rate(Fault::velocity, m.velocity, limit.velocity, now.velocity_noise, worst.velocity);
        rate(Fault::acceleration, m.acceleration, limit.brakes.acceleration, now.acceleration_noise,
             worst.acceleration);
        rate(Fault::jerk, now.jerk, limit.brakes.jerk, now.jerk_noise, worst.jerk);
        const double half = (limit.high - limit.low) / 2.0;
        if (is_finite(half) && half > 0.0)
            worst.position = std::max(worst.position, std::fabs(m.position - limit.low - half) / half);
        if (faults || !writes()) return faults;
        const Reach ahead = reach(m, limit.brakes);
        if (is_finite(limit.low)) place(ahead.low);
        if (is_finite(limit.high)) place(ahead.high);
        if (beyond(ahead.peak, limit.velocity, now.velocity_noise)) fault(Fault::velocity, ahead.peak, limit.velocity);
        return faults;
    }

    // Rates beyond what a ramp can start from are as good as unknown.
    void adopt(bool timed) noexcept {
        bool usable = true;
        for (std::size_t d = 0; d < channels(); ++d) {
            history_[d] = next_[d];
            for (const double rate : {next_[d].motion.velocity, next_[d].motion.acceleration, next_[d].jerk})
                usable = usable && !beyond(rate, vast, 0.0);
        }
        if (!usable) stand();
        known_ = timed && usable ? std::min(known_ + 1, all) : 1;
    }

    void stand() noexcept {
        for (Past& past : history_) {
            const double position = past.motion.position;
            past = Past{};
            past.motion.position = position;
        }
    }

    void forget() noexcept {
        for (Past& past : history_) past = Past{};
        known_ = 0;
    }

    Decision settle(std::uint32_t faults) noexcept {
        const Decision decision = latch_.decide(faults);
        ledger_.count(decision);
        if (!decision.passes() && !writes()) stand();  // a hold runs in its place
        return decision;
    }

    Image image_;
    Latch latch_;
    Ledger ledger_;
    Limits limits_[max_channels];
    Past history_[max_channels];
    Past next_[max_channels];
    Extremes worst_[max_channels];
    std::uint32_t known_ = 0;  // commands in a row
};

}  // namespace execspec::guard
