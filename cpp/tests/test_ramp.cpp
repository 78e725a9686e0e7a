// The stop of one channel: rates kept, no turning back, rest in finite time, whatever the dt; and where it goes.
#include <cmath>

#include "check.hpp"
#include "execspec/guard/ramp.hpp"

using namespace execspec::guard;

namespace {

double power(Random& random, double low, double high) {
    return std::pow(10.0, low + (high - low) * (0.5 + 0.5 * random()));
}

// Any motion within the limit of acceleration; speeds from far below to far above what jerk alone takes off.
Motion any(Random& random, Brakes limit) {
    const double speed = power(random, -4, 2) * limit.acceleration * limit.acceleration / limit.jerk;
    const double shrink = random() < 0 ? 1.0 : power(random, -3, 0);
    return {0.0, (random() < 0 ? -1 : 1) * speed, limit.acceleration * random() * shrink};
}

Brakes brakes(Random& random) {
    const double acceleration = power(random, -1, 2);
    return {acceleration, acceleration * power(random, -1, 3)};
}

void rates_are_kept_and_rest_is_reached() {
    Random random(1);
    for (int i = 0; i < 20000; ++i) {
        const Brakes limit = brakes(random);
        Motion m = any(random, limit);
        const double ramp = limit.acceleration / limit.jerk;
        const double base = power(random, -2, 1) * ramp;
        int turns = 0;
        int steps = 0;
        double moved = std::fabs(m.velocity) / limit.acceleration + 4 * ramp;  // seconds, at least those needed
        while (m.velocity != 0.0 || m.acceleration != 0.0) {
            const double dt = base * power(random, -1.5, 1.5);
            const Motion next = brake(m, limit, dt);
            const double jerk = (next.acceleration - m.acceleration) / dt;
            CHECK(std::fabs(jerk) <= limit.jerk * (1 + 1e-9));
            CHECK(std::fabs(next.acceleration) <= limit.acceleration * (1 + 1e-12));
            CHECK(std::fabs(next.velocity - m.velocity - next.acceleration * dt) <=
                  1e-12 * (std::fabs(m.velocity) + limit.jerk * dt * dt));
            CHECK(next.position == m.position + next.velocity * dt);
            turns += next.velocity * m.velocity < 0.0;
            m = next;
            moved -= dt;
            CHECK(++steps < 100000);
        }
        CHECK(turns <= 1);
        CHECK(moved > -2000 * base);  // a few steps more than in continuous time, of which one has up to 32 base
        const Motion still = brake(m, limit, base);
        CHECK(still.position == m.position && still.velocity == 0.0 && still.acceleration == 0.0);
    }
}

// What jerk alone can still take off is never exceeded, so that the motion does not turn back.
void it_does_not_turn_back() {
    Random random(2);
    for (int i = 0; i < 20000; ++i) {
        const Brakes limit = brakes(random);
        Motion m = any(random, limit);
        m.velocity = std::fabs(m.velocity);
        if (m.acceleration < 0.0 && m.velocity < m.acceleration * m.acceleration / (2 * limit.jerk)) continue;
        double before = m.position;
        while (m.velocity != 0.0 || m.acceleration != 0.0) {
            m = brake(m, limit, limit.acceleration / limit.jerk * power(random, -2, 1));
            CHECK(m.position >= before);
            before = m.position;
        }
    }
}

// The reach of a motion holds that of the next, for any dt: so no sequence of steps leaves it.
void the_reach_only_shrinks() {
    Random random(3);
    for (int i = 0; i < 1000000; ++i) {
        const Brakes limit = brakes(random);
        const Motion m = any(random, limit);
        const double dt = limit.acceleration / limit.jerk * power(random, -4, 3);
        const Reach all = reach(m, limit);
        const Motion next = brake(m, limit, dt);
        const Reach rest = reach(next, limit);
        const double size = 1e-12 * (std::fabs(m.velocity) + limit.acceleration) * limit.acceleration / limit.jerk +
                            1e-12 * (all.high - all.low);
        CHECK(all.low <= next.position + size && next.position <= all.high + size);
        if (next.velocity == 0.0) {  // it stands, for every dt that is no billion times shorter than the last
            CHECK(brake(next, limit, 1e-9 * dt).velocity == 0.0 || m.velocity == 0.0);
            continue;
        }
        CHECK(all.low <= rest.low + size && rest.high <= all.high + size);
        const double fast = 1e-12 * (std::fabs(m.velocity) + std::fabs(all.peak));
        CHECK(std::fabs(next.velocity) <= std::max(std::fabs(m.velocity), std::fabs(all.peak)) + fast);
        CHECK(std::fabs(rest.peak) <= std::max(std::fabs(m.velocity), std::fabs(all.peak)) + fast);
    }
}

// With short steps the ramp takes the whole reach: it is no looser than it must be, and braking no gentler.
void short_steps_come_to_its_end() {
    Random random(4);
    for (int i = 0; i < 300; ++i) {
        const Brakes limit = brakes(random);
        Motion m = any(random, limit);
        m.velocity = std::fabs(m.velocity) / 10;
        m.acceleration = std::fabs(m.acceleration);
        const Reach all = reach(m, limit);
        const double dt = 1e-3 * std::min(limit.acceleration / limit.jerk, std::sqrt(m.velocity / limit.jerk));
        double peak = m.velocity;
        while (m.velocity != 0.0 || m.acceleration != 0.0) {
            m = brake(m, limit, dt);
            peak = std::max(peak, m.velocity);
        }
        CHECK(m.position <= all.high * (1 + 1e-12) && m.position >= all.high * (1 - 0.02));
        CHECK(peak <= all.peak * (1 + 1e-12) && peak >= all.peak * (1 - 0.02));
    }
}

// Against the textbook: from speed v at constant speed, 0.5 v (v / a + a / j) where the limit of acceleration is met,
// v sqrt(v / j) where it is not.
void the_reach_is_the_textbooks() {
    const Reach met = reach({0.25, 2.0, 0.0}, {4.0, 40.0});
    CHECK(std::fabs(met.high - (0.25 + 0.5 * 2.0 * (2.0 / 4.0 + 4.0 / 40.0))) < 1e-15 && met.low == 0.25);
    const Reach unmet = reach({0.0, -0.1, 0.0}, {4.0, 40.0});
    CHECK(std::fabs(unmet.low + 0.1 * std::sqrt(0.1 / 40.0)) < 1e-16 && unmet.high == 0.0);
    CHECK(met.peak == 2.0);
    CHECK(reach({0.0, 1.0, 2.0}, {4.0, 40.0}).peak == 1.0 + 2.0 * 2.0 / 80.0);
}

// A step that comes late, by whatever, leads no farther than the reach.
void steps_may_be_late() {
    Random random(6);
    for (int i = 0; i < 1000; ++i) {
        const Motion m{0.5, 1.0 + 0.5 * random(), 2.0};
        const Motion next = brake(m, {10.0, 1000.0}, power(random, 0, 100));
        CHECK(next.position >= m.position && next.position <= reach(m, {10.0, 1000.0}).high);
    }
}

// Without a limit of jerk it brakes at once; without one of acceleration either, it stands at once.
void limits_may_be_vast() {
    const Motion m = brake({0.0, 1.0, 0.0}, {10.0, 1e100}, 0.01);
    CHECK(m.acceleration == -10.0 && std::fabs(m.velocity - 0.9) < 1e-15);
    const Motion still = brake({0.0, 1.0, 0.0}, {1e100, 1e100}, 0.01);
    CHECK(still.velocity == 0.0 && still.position == 0.0);
    CHECK(reach({0.0, 1.0, 0.0}, {10.0, 1e100}).high > 0.05 - 1e-15);
    CHECK(reach({0.0, 1.0, 0.0}, {10.0, 1e100}).high < 0.05 + 1e-15);
    CHECK(reach({0.0, 1.0, 0.0}, {1e100, 1e100}).high < 1e-40);
}

}  // namespace

int main() {
    rates_are_kept_and_rest_is_reached();
    it_does_not_turn_back();
    the_reach_only_shrinks();
    short_steps_come_to_its_end();
    the_reach_is_the_textbooks();
    steps_may_be_late();
    limits_may_be_vast();
    return 0;
}
