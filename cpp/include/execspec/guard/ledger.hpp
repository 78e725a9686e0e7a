// What a step is told, and what a gate or a watch keeps of its steps: counters, and the latest of each fault.
#pragma once

#include <cstddef>
#include <cstdint>

#include "execspec/guard/bits.hpp"
#include "execspec/guard/status.hpp"

namespace execspec::guard {

// Values of one action, or of the rows of a chunk one after the other.
struct Span {
    const double* data;
    std::size_t size;
};

// When the action was made, and the time now, in seconds of one monotonic clock.
struct Time {
    double stamp;
    double now;
};
constexpr Time no_time{__builtin_nan(""), __builtin_nan("")};

// Whether a time lies in [now - max_age, now]. A limit that is infinite asks for no time.
inline bool fresh(Time time, double max_age) noexcept {
    if (!is_finite(max_age)) return true;
    if (!is_finite(time.stamp) || !is_finite(time.now)) return false;
    const double age = time.now - time.stamp;
    return age >= 0.0 && age <= max_age;
}

// The latest occurrence of a fault.
struct Record {
    std::uint64_t step = 0;  // from 1; 0: it never occurred
    std::uint32_t row = 0;   // of the chunk
    std::uint32_t channel = 0;
    double value = 0.0;
    double limit = 0.0;
};

// The nearest that any channel came to a limit, in units of it: 1 is at the limit. The unit of limits low and high is
// half the width between them.
struct Worst {
    double value = 0.0;
    std::uint32_t channel = 0;
};

// The largest of `worst(d)` over channels d.
template <class Of>
Worst largest(std::size_t channels, Of&& worst) noexcept {
    Worst found;
    for (std::size_t d = 0; d < channels; ++d) {
        const double value = worst(d);
        if (value > found.value) found = {value, static_cast<std::uint32_t>(d)};
    }
    return found;
}

struct Counters {
    std::uint64_t steps = 0;
    std::uint64_t refused = 0;     // steps that were not to be executed
    std::uint64_t overshoots = 0;  // values outside the envelope, within the margin
    std::uint64_t run = 0;         // steps with faults, up to now without a clean one between
    std::uint64_t faults[fault_codes] = {};
};

class Ledger {
  public:
    void begin() noexcept { ++counters_.steps; }
    void overshoot() noexcept { ++counters_.overshoots; }
    void end_run() noexcept { counters_.run = 0; }

    void note(Fault code, std::size_t row, std::size_t channel, double value, double limit) noexcept {
        std::size_t bit = 0;
        while (code != 1u << bit) ++bit;
        records_[bit] = {counters_.steps, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(channel), value,
                         limit};
    }

    void count(Decision decision) noexcept {
        counters_.run = decision.faults ? counters_.run + 1 : 0;
        counters_.refused += !decision.passes();
        for (std::size_t bit = 0; decision.faults >> bit; ++bit) counters_.faults[bit] += decision.faults >> bit & 1;
    }

    const Counters& counters() const noexcept { return counters_; }
    const Record& record(std::size_t bit) const noexcept { return records_[bit]; }

  private:
    Counters counters_;
    Record records_[fault_codes];
};

}  // namespace execspec::guard
