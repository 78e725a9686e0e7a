// From faults to a verdict: hard faults latch at once, soft ones when they come too often, and only a reset clears.
#pragma once

#include <cstdint>

#include "execspec/guard/status.hpp"

namespace execspec::guard {

// A leaky bucket in whole numbers: a faulty step adds `steps`, every step leaks 1, and above (faults - 1) * steps it
// trips. So `faults` faulty steps within `steps` steps trip it, and one now and then never does.
class Latch {
  public:
    void configure(Mode mode, std::uint32_t faults, std::uint32_t steps) noexcept {
        mode_ = mode;
        weight_ = steps;
        brim_ = static_cast<std::uint64_t>(faults - 1) * steps;
        clear();
    }

    // Where faults do not bind (`observe`, `warn`) nothing latches; the bit tells the step at which it would have.
    Decision decide(std::uint32_t faults) noexcept {
        if (level_ > 0) --level_;
        if (faults & ~hard_faults) level_ += weight_;
        if ((faults & hard_faults) || level_ > brim_) {
            latched_ = mode_ == Mode::enforce;
            level_ = 0;
            faults |= Fault::latched;
        }
        if (latched_) faults |= Fault::latched;
        const bool news = (faults & ~before_) != 0;
        before_ = faults;
        if (mode_ != Mode::enforce) return {faults, Verdict::pass, mode_ == Mode::warn && news};
        return {faults, latched_ ? Verdict::stop : faults ? Verdict::hold : Verdict::pass, false};
    }

    // Whether a clean step changes nothing, and passes.
    bool at_rest() const noexcept { return level_ == 0 && before_ == 0 && !latched_; }

    bool latched() const noexcept { return latched_; }
    Mode mode() const noexcept { return mode_; }

    void clear() noexcept {
        level_ = 0;
        before_ = 0;
        latched_ = false;
    }

  private:
    Mode mode_ = Mode::enforce;
    std::uint64_t weight_ = 1;
    std::uint64_t brim_ = 0;
    std::uint64_t level_ = 0;
    std::uint32_t before_ = 0;
    bool latched_ = false;
};

}  // namespace execspec::guard
