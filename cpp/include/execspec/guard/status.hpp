// What a guard can say: faults, verdicts, modes. The one list; Python and the docs are tested against it.
#pragma once

#include <cstdint>

namespace execspec::guard {

// name, bit, whether it latches at once, meaning
#define EXECSPEC_FAULTS(X)                                                                                     \
    X(not_finite, 0, true, "a value is NaN or infinite")                                                       \
    X(length, 1, true, "wrong number of channels or rows")                                                     \
    X(digest, 2, true, "the digest named is not the guard's")                                                  \
    X(mismatch, 3, false, "the action is not what the spec makes of u")                                        \
    X(envelope, 4, false, "the action leaves what the spec and the controller allow, by more than the margin") \
    X(jump, 5, false, "the action is too far from the one before")                                             \
    X(walk, 6, false, "the deltas since the start add up to more than allowed")                                \
    X(gripper, 7, false, "the gripper command is none that the spec can give")                                 \
    X(stale, 8, false, "too old, from the future, or without a time")                                          \
    X(position, 9, false, "the command leaves its position limits")                                            \
    X(velocity, 10, false, "the command is faster than allowed")                                               \
    X(acceleration, 11, false, "the command accelerates more than allowed")                                    \
    X(jerk, 12, false, "the command's acceleration changes faster than allowed")                               \
    X(period, 13, false, "dt is not positive, or longer than allowed")                                         \
    X(latched, 14, true, "an earlier fault has latched; reset by naming the digest")

enum Fault : std::uint32_t {
#define X(name, bit, hard, meaning) name = 1u << bit,
    EXECSPEC_FAULTS(X)
#undef X
};

constexpr std::uint32_t hard_faults = 0
#define X(name, bit, hard, meaning) | (hard ? 1u << bit : 0u)
    EXECSPEC_FAULTS(X)
#undef X
    ;

constexpr std::uint32_t fault_codes = 0
#define X(name, bit, hard, meaning) +1
    EXECSPEC_FAULTS(X)
#undef X
    ;

struct FaultInfo {
    const char* name;
    bool hard;
    const char* meaning;
};

// By bit.
constexpr FaultInfo fault_info[fault_codes] = {
#define X(name, bit, hard, meaning) {#name, hard, meaning},
    EXECSPEC_FAULTS(X)
#undef X
};

// What the caller does with the action: execute it, execute `hold` in its place, or stop the robot.
enum class Verdict : std::uint32_t { pass = 0, hold = 1, stop = 2 };

// `observe` and `warn` pass everything; a warning is said once for each run of faults.
enum class Mode : std::uint32_t { observe = 0, warn = 1, enforce = 2 };

struct Decision {
    std::uint32_t faults = 0;  // bits of Fault; 0 is a clean step
    Verdict verdict = Verdict::pass;
    bool announce = false;  // mode warn: a fault that the step before did not have

    bool passes() const noexcept { return verdict == Verdict::pass; }
};

}  // namespace execspec::guard
