// A watch that writes: whatever is asked of it, what is executed keeps every limit, to a stand.
#include <cmath>

#include "watches.hpp"

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What was executed, and its rates by differences in long double, with a bound on what rounding does to them.
class Executed {
  public:
    Executed(const WatchAxis& axis, bool velocities) : axis_(axis), velocities_(velocities) {}

    void start(double position) { position_ = position; }
    double position() const { return static_cast<double>(position_); }

    void run(double command, double dt) {
        const long double h = dt;
        long double v = command, v_noise = 0;
        if (!velocities_) {
            v = (static_cast<long double>(command) - position_) / h;
            v_noise = 0x1p-52L * std::fmax(std::fabs(command), std::fabs(static_cast<double>(position_))) / h;
        }
        position_ = velocities_ ? position_ + v * h : static_cast<long double>(command);
        const long double a = (v - v_) / h, a_noise = (v_noise + v_noise_) / h;
        const long double j = (a - a_) / h, j_noise = (a_noise + a_noise_) / h;
        CHECK(position_ >= axis_.low - 1e-12L && position_ <= axis_.high + 1e-12L);
        CHECK(std::fabs(v) <= axis_.velocity * (1 + 1e-12L) + v_noise);
        CHECK(std::fabs(a) <= axis_.acceleration * (1 + 1e-9L) + 2 * a_noise);
        CHECK(std::fabs(j) <= axis_.jerk * (1 + 1e-9L) + 4 * j_noise);
        v_ = v, a_ = a, v_noise_ = v_noise, a_noise_ = a_noise;
    }

  private:
    WatchAxis axis_;
    bool velocities_;
    long double position_ = 0, v_ = 0, a_ = 0, v_noise_ = 0, a_noise_ = 0;
};

// A policy that wants too much of everything: steps at the edge of the limits, jumps, and NaN.
void what_is_executed_keeps_every_limit(std::uint32_t order) {
    Random random(11 + order);
    std::uint64_t passed = 0, refused = 0;
    for (int episode = 0; episode < 400; ++episode) {
        WatchAxis axis;
        axis.low = -0.3 + 0.2 * random();
        axis.high = 0.4 + 0.3 * random();
        axis.velocity = std::pow(10.0, 0.5 * random());
        axis.acceleration = axis.velocity * std::pow(10.0, 1 + random());
        axis.jerk = axis.acceleration * std::pow(10.0, 1 + random());
        Parts parts = one(axis);
        parts.watch_stops = true;
        parts.watch_order = order;
        parts.latch_faults = 1000000;
        Opened own(parts);
        Executed executed(axis, order == 1);
        const double start = 0.1 * random();
        CHECK(own.start(start));
        executed.start(start);
        double p = start, v = 0, a = 0, wanted_jerk = 0;
        for (int i = 0; i < 1000; ++i) {
            const double dt = 0.004 * std::pow(8.0, random());
            if (i % 10 == 0) wanted_jerk = axis.jerk * std::fmax(-1, std::fmin(1, 2 * random()));
            const double next_a = std::fmax(-axis.acceleration, std::fmin(axis.acceleration, a + wanted_jerk * dt));
            const double next_v = v + next_a * dt;
            double command = order == 1 ? next_v : p + next_v * dt;
            if (i % 97 == 50) command += axis.high;
            if (i % 89 == 50) command = nan;
            const Decision decision = own.watch.step({&command, 1}, dt);
            double out = command;
            (decision.passes() ? passed : refused) += 1;
            if (!decision.passes()) CHECK(own.watch.stop(&out, dt));
            if (own.watch.latched()) {
                while (!own.watch.at_rest()) {
                    executed.run(out, dt);
                    CHECK(own.watch.stop(&out, dt));
                }
                executed.run(out, dt);
                CHECK(own.watch.reset(guard_image::digest_of(7)));
                p = executed.position(), v = a = 0;
                CHECK(own.start(p));
                continue;
            }
            executed.run(out, dt);
            const double now_v = order == 1 ? out : (out - p) / dt;
            a = (now_v - v) / dt;
            v = now_v;
            p = executed.position();
        }
        double out = 0, before = nan;
        int steps = 0;
        if (own.watch.at_rest()) continue;
        while (!own.watch.at_rest()) {
            const double dt = 0.004 * std::pow(8.0, random());
            CHECK(own.watch.stop(&out, dt));
            executed.run(out, dt);
            CHECK(++steps < 10000);
        }
        before = out;
        CHECK(own.watch.stop(&out, 0.01) && out == before);
        CHECK(own.watch.step({&out, 1}, 0.01).passes());  // and it may go on from there
    }
    CHECK(passed > 20000 && refused > 20000);
}

// At full speed towards an end: refused no later than it can stop, and no earlier than by one step's way.
void it_stops_in_time() {
    for (const double sign : {1.0, -1.0}) {
        WatchAxis axis;  // 1 m/s, 10 m/s^2, 1000 m/s^3, +-1 m
        Parts parts = one(axis);
        parts.watch_stops = true;
        Opened own(parts);
        CHECK(own.start(0.0));
        own.executed(sign * 0.001, 0.001);
        own.executed(sign * 0.002, 0.001);
        double p = sign * 0.003;
        own.watch.executed(&p, 0.001);
        Decision decision;
        while ((decision = own.step(p + sign * 0.001, 0.001)).passes()) p += sign * 0.001;
        CHECK(decision.faults == Fault::position && own.watch.record(9).limit == sign);
        CHECK(std::fabs(own.watch.record(9).value) > 1.0);  // where a stop from there would have led
        const double reach = 0.5 * (1.0 / 10 + 10.0 / 1000);
        CHECK(std::fabs(p) <= 1.0 - reach + 1e-12 && std::fabs(p) >= 1.0 - reach - 0.001 - 1e-12);
        double out = p;
        while (!own.watch.at_rest()) CHECK(own.watch.stop(&out, 0.001));
        CHECK(std::fabs(out) <= 1.0 && std::fabs(out) >= 1.0 - 0.0025);
    }
}

// In `observe` everything runs; a stop from there keeps acceleration and jerk, and is finite whatever was sent.
void observing_lets_everything_run() {
    Parts parts = one(WatchAxis{});
    parts.watch_stops = true;
    parts.mode = Mode::observe;
    Opened own(parts);
    Random random(5);
    for (int i = 0; i < 20000; ++i) {
        const double wild[] = {nan, infinity, 1e308, -1e308, 5e-324, random(), 1e6 * random()};
        const double dts[] = {0.01, 0.0, nan, 1e-300, 1e300, 0.001, 0.02};
        const unsigned k = static_cast<unsigned>(i * 2654435761u) >> 20;
        const double dt = dts[k % 7];
        CHECK(own.step(wild[k / 7 % 7], dt).passes());
        double out = 0;
        if (i % 5 == 0 && own.watch.stop(&out, dts[k / 49 % 7])) CHECK(std::isfinite(out));
    }
    CHECK(own.watch.counters().refused == 0 && own.watch.counters().faults[0] > 0);
}

}  // namespace

int main() {
    what_is_executed_keeps_every_limit(0);
    what_is_executed_keeps_every_limit(1);
    it_stops_in_time();
    observing_lets_everything_run();
    return 0;
}
