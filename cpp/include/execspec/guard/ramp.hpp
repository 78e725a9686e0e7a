// A channel's stop: from any motion to rest under limits of acceleration and jerk, one control step at a time.
//
// Rates are those of commands: velocity = (position - previous) / dt, acceleration and jerk likewise, each with the dt
// of its own step. dt may differ from step to step, and what it will be next is not known.
#pragma once

#include <algorithm>
#include <cmath>

namespace execspec::guard {

struct Motion {
    double position = 0.0;
    double velocity = 0.0;
    double acceleration = 0.0;
};

// Finite and positive.
struct Brakes {
    double acceleration;
    double jerk;
};

namespace detail {

// Of a motion in the direction in which it goes, or is about to.
inline double direction(Motion m) noexcept {
    return m.velocity < 0.0 || (m.velocity == 0.0 && m.acceleration < 0.0) ? -1.0 : 1.0;
}

// How far it is to rest from speed v >= 0 while braking by `braking` (negative: while still gaining speed), at best, in
// continuous time: braking rises at the limit of jerk to a peak, stays there if it is the limit, and falls to zero as
// the speed does. v >= braking^2 / 2 jerk, so that there is no turning back.
inline double stopping_distance(double v, double braking, Brakes limit) noexcept {
    const double jerk = limit.jerk;
    const double free_peak = std::sqrt(jerk * v + braking * braking / 2.0);
    const double peak = std::max(std::min(free_peak, limit.acceleration), braking);
    if (peak <= 0.0) return 0.0;
    const double rise = (peak - braking) / jerk;
    const double at_peak = v - (peak * peak - braking * braking) / (2.0 * jerk);
    const double stay = std::max(at_peak - peak * peak / (2.0 * jerk), 0.0) / peak;
    return (v - (braking / 2.0 + jerk * rise / 6.0) * rise) * rise + (at_peak - peak * stay / 2.0) * stay +
           peak * peak * peak / (6.0 * jerk * jerk);
}

}  // namespace detail

// The next step of a stop. It brakes as hard as it may while it can still come to rest without turning back, whatever
// the dt to come: speed >= braking^2 / 2 jerk, since braking falls by jerk dt per step and a sum of such steps takes
// off no more speed than the integral. A motion that brakes harder than that already eases off, and turns back once.
inline Motion brake(Motion m, Brakes limit, double dt) noexcept {
    const double s = detail::direction(m);
    const double v = s * m.velocity;
    const double braking = -s * m.acceleration;
    const double change = limit.jerk * dt;
    const double ideal = 2.0 * v / (dt + std::sqrt(dt * dt + 2.0 * v / limit.jerk));  // v - ideal dt = ideal^2 / 2 jerk
    const double next = std::min(std::max(std::min(ideal, limit.acceleration), braking - change), braking + change);
    double left = v - next * dt;
    if (next == ideal && left <= 1e-20 * change * dt) left = 0.0;  // it falls by squares, and would reach 0 later
    return {m.position + s * left * dt, s * left, -s * next};
}

// What a stop passes through, whatever its dt: positions within [low, high], velocities up to `peak`.
struct Reach {
    double low;
    double high;
    double peak;
};

inline Reach reach(Motion m, Brakes limit) noexcept {
    const double s = detail::direction(m);
    const double v = s * m.velocity;
    const double braking = -s * m.acceleration;
    const double no_turning = std::sqrt(2.0 * limit.jerk * v);
    const double ahead = detail::stopping_distance(v, std::min(braking, no_turning), limit);
    const double excess = braking * braking - 2.0 * limit.jerk * v;
    const double behind =
        braking > no_turning ? detail::stopping_distance(0.0, -std::sqrt(std::max(excess, 0.0)), limit) : 0.0;
    const double peak = m.velocity + m.acceleration * std::fabs(m.acceleration) / (2.0 * limit.jerk);
    return {m.position - (s > 0.0 ? behind : ahead), m.position + (s > 0.0 ? ahead : behind), peak};
}

}  // namespace execspec::guard
