// The watch: what passes at the limit and not beyond it, what a refusal leaves, and that whatever is asked of a watch
// that writes, what is executed keeps every limit.
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "check.hpp"
#include "execspec/guard/watch.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;
using guard_image::Bytes;
using guard_image::Parts;
using guard_image::WatchAxis;

static_assert(noexcept(std::declval<Watch&>().step(Span{}, 0.0)));
static_assert(noexcept(std::declval<Watch&>().stop(nullptr, 0.0)));
static_assert(noexcept(std::declval<Watch&>().executed(nullptr, 0.0)));
static_assert(!std::is_polymorphic_v<Watch>);

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

struct Opened {
    explicit Opened(const Parts& parts) : bytes(parts.build()) {
        CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    }
    Decision step(double command, double dt, Time time = no_time) { return watch.step({&command, 1}, dt, time); }
    void executed(double command, double dt) { watch.executed(&command, dt); }
    bool start(double position) { return watch.start(&position); }
    Bytes bytes;
    Watch watch;
};

Parts one(const WatchAxis& axis) {
    Parts parts;
    parts.watch = {axis};
    parts.watch_stops = false;
    return parts;
}

const WatchAxis unlimited{"x", "m", -infinity, infinity, infinity, infinity, infinity};

WatchAxis limited(double WatchAxis::* which, double limit) {
    WatchAxis axis = unlimited;
    axis.*which = limit;
    return axis;
}

// A rate exactly at its limit passes, a billionth above it does not. `steady` commands come before the last one.
void a_rate_is_kept(Fault code, double WatchAxis::* which, std::uint32_t order) {
    Random random(static_cast<unsigned>(code) + order);
    for (int i = 0; i < 200; ++i) {
        const double limit = std::pow(10.0, 3 * random());
        const double dt = 0.01 * (1.5 + random());
        for (const double factor : {1.0, -1.0, 1 + 1e-9, -1 - 1e-9}) {
            Parts parts = one(limited(which, limit));
            parts.watch_order = order;
            Opened own(parts);
            const double zero = 0.0;
            CHECK(own.watch.start(&zero));
            const int power = static_cast<int>(code == Fault::velocity       ? 1
                                               : code == Fault::acceleration ? 2
                                                                             : 3) -
                              static_cast<int>(order);
            const double command = limit * factor * std::pow(dt, power);
            const Decision decision = own.step(command, dt);
            const bool beyond = std::fabs(factor) > 1.0;
            CHECK(decision.faults == (beyond ? code : 0u));
            CHECK(decision.verdict == (beyond ? Verdict::hold : Verdict::pass));
            if (!beyond) continue;
            std::size_t bit = 0;
            while (code != 1u << bit) ++bit;
            const Record& record = own.watch.record(bit);
            CHECK(record.step == 1 && record.channel == 0 && record.limit == limit);
            CHECK(std::fabs(record.value / (limit * factor) - 1) < 1e-12);
        }
    }
}

void rates_are_kept() {
    for (const std::uint32_t order : {0u, 1u}) {
        a_rate_is_kept(Fault::velocity, &WatchAxis::velocity, order);
        a_rate_is_kept(Fault::acceleration, &WatchAxis::acceleration, order);
        a_rate_is_kept(Fault::jerk, &WatchAxis::jerk, order);
    }
}

// At a constant rate, exactly the limit, commands that are rounded pass for ever.
void a_limit_may_be_ridden() {
    WatchAxis axis = unlimited;
    axis.velocity = 0.3;
    axis.acceleration = 1e-6;
    Opened own(one(axis));
    const double at = 0.1;
    CHECK(own.watch.start(&at));
    own.executed(at + 0.3 * 0.001, 0.001);
    for (int i = 2; i < 100000; ++i) CHECK(own.step(at + 0.3 * 0.001 * i, 0.001).faults == 0);
}

void positions_are_kept() {
    WatchAxis axis = unlimited;
    axis.low = -0.5;
    axis.high = 0.25;
    Opened own(one(axis));
    CHECK(own.step(-0.5, 0.01).faults == 0);
    CHECK(own.step(0.25, 0.01).faults == 0);
    CHECK(own.watch.worst_position().value == 1.0);
    CHECK(own.step(0.25 + 1e-9, 0.01).faults == Fault::position);
    CHECK(own.watch.record(9).limit == 0.25 && own.watch.record(9).value == 0.25 + 1e-9);
    CHECK(own.step(-0.5 - 1e-9, 0.01).faults == Fault::position);
    CHECK(own.watch.record(9).limit == -0.5);
}

// Velocities add up to a position, from where the watch was started.
void velocities_add_up() {
    WatchAxis axis = unlimited;
    axis.low = -1;
    axis.high = 1;
    Parts parts = one(axis);
    parts.watch_order = 1;
    Opened own(parts);
    CHECK(own.start(0.875));
    CHECK(own.step(1.0, 0.0625).faults == 0);
    CHECK(own.step(1.0, 0.0625).faults == 0);
    CHECK(own.step(1.0, 0x1p-20).faults == Fault::position);
    CHECK(own.step(-1.0, 0.0625).faults == 0);
}

// Without a start, each rate is judged as soon as there are commands enough for it, and no sooner.
void history_grows() {
    struct Case {
        double WatchAxis::* which;
        Fault code;
        int power;
        double commands[4];
    };
    const Case cases[] = {{&WatchAxis::velocity, Fault::velocity, 1, {100, 101, 102, 103}},
                          {&WatchAxis::acceleration, Fault::acceleration, 2, {100, 101, 104, 109}},
                          {&WatchAxis::jerk, Fault::jerk, 3, {100, 101, 108, 127}}};
    for (const Case& one_case : cases) {
        for (const int order : {0, 1}) {
            Parts parts = one(limited(one_case.which, 0.5));
            parts.mode = Mode::observe;
            parts.watch_order = static_cast<std::uint32_t>(order);
            parts.latch_faults = 100;
            Opened own(parts);
            for (int i = 0; i < 4; ++i) {
                const bool judged = i >= one_case.power - order;
                CHECK(own.step(one_case.commands[i], 0.1).faults == (judged ? one_case.code : 0u));
            }
            CHECK(own.watch.counters().run == static_cast<unsigned>(4 - one_case.power + order));
        }
    }
}

void time_must_pass() {
    for (const double dt : {0.0, -0.01, nan, infinity, -infinity, std::nextafter(0.1, 1.0)}) {
        Opened own(one(unlimited));
        CHECK(own.step(0.0, dt).faults == Fault::period);
        CHECK(own.watch.record(13).limit == 0.1);
    }
    Opened own(one(unlimited));
    CHECK(own.step(0.0, 0.1).faults == 0);
    CHECK(own.step(1.0, std::numeric_limits<double>::denorm_min()).faults != 0);  // faster than any number
}

void commands_must_be_fresh() {
    Parts parts = one(unlimited);
    parts.watch_max_age = 0.5;
    Opened own(parts);
    CHECK(own.step(0.0, 0.01, {10.0, 10.5}).faults == 0);
    CHECK(own.step(0.0, 0.01, {10.0, 10.0}).faults == 0);
    CHECK(own.step(0.0, 0.01, {10.0, 10.5 + 1e-12}).faults == Fault::stale);
    CHECK(own.step(0.0, 0.01, {10.0, 9.99}).faults == Fault::stale);
}

void not_numbers_latch() {
    for (const double bad : {nan, -nan, infinity, -infinity}) {
        Opened own(one(unlimited));
        CHECK(own.step(0.0, 0.01).passes());
        const Decision decision = own.step(bad, 0.01);
        CHECK(decision.verdict == Verdict::stop && decision.faults == (Fault::not_finite | Fault::latched));
        CHECK(own.step(0.0, 0.01).verdict == Verdict::stop);
        CHECK(!own.watch.reset(guard_image::digest_of(8)));
        CHECK(own.step(0.0, 0.01).verdict == Verdict::stop);
        CHECK(own.watch.reset(guard_image::digest_of(7)));
        CHECK(own.step(0.0, 0.01).passes());
    }
    Opened own(one(unlimited));
    const double two[2] = {0, 0};
    CHECK(own.watch.step({two, 2}, 0.01).faults == (Fault::length | Fault::latched));
    CHECK(own.watch.latched());
}

// Nothing else that is not a number changes anything: what is known of the motion still judges the next command.
void what_cannot_have_run_changes_nothing() {
    Opened own(one(limited(&WatchAxis::velocity, 1)));
    CHECK(own.start(0.0));
    for (const double never : {nan, infinity}) {
        CHECK(!own.start(never));
        CHECK(!own.watch.executed(&never, 0.01));
        CHECK(own.step(0.1, 0.01).faults == Fault::velocity);
        CHECK(own.watch.reset(guard_image::digest_of(7)) && own.start(0.0));
    }
}

void another_digest_latches() {
    Opened own(one(unlimited));
    CHECK(own.watch.confirm(guard_image::digest_of(7)).passes());
    const Decision decision = own.watch.confirm(guard_image::digest_of(6));
    CHECK(decision.verdict == Verdict::stop && decision.faults == (Fault::digest | Fault::latched));
    CHECK(own.step(0.0, 0.01).verdict == Verdict::stop);
}

void soft_faults_are_debounced() {
    WatchAxis axis = unlimited;
    axis.high = 1;
    Opened own(one(axis));
    CHECK(own.step(2.0, 0.01).verdict == Verdict::hold);
    CHECK(own.step(2.0, 0.01).verdict == Verdict::hold);
    CHECK(own.step(2.0, 0.01).verdict == Verdict::stop);
    CHECK(own.watch.counters().faults[9] == 3 && own.watch.counters().faults[14] == 1);
}

// A refusal without a stop: the robot is taken to stand at the last command that passed.
void a_refusal_is_a_hold() {
    WatchAxis axis = unlimited;
    axis.velocity = 1;
    Opened own(one(axis));
    const double at = 0.0;
    CHECK(own.watch.start(&at));
    CHECK(own.step(0.01, 0.01).passes());
    CHECK(own.step(0.05, 0.01).faults == Fault::velocity);
    CHECK(own.step(0.02, 0.01).passes());
    Opened velocity(one(limited(&WatchAxis::acceleration, 10)));
    CHECK(velocity.watch.start(&at));
    CHECK(velocity.step(0.001, 0.01).passes());   // 0.1 m/s
    CHECK(!velocity.step(0.01, 0.01).passes());   // and held: 0 m/s
    CHECK(!velocity.step(0.003, 0.01).passes());  // 0.2 m/s from there is too much, 0.1 m/s is not
    CHECK(velocity.step(0.002, 0.01).passes());
    const double elsewhere = 5.0;
    velocity.watch.executed(&elsewhere, nan);  // where it was moved otherwise
    CHECK(velocity.step(5.0, 0.01).passes());
}

void nothing_is_written_without_leave() {
    Opened own(one(WatchAxis{}));
    double out = 42.0;
    CHECK(!own.watch.writes() && own.step(0.0, 0.01).passes() && !own.watch.stop(&out, 0.01) && out == 42.0);
    Parts parts = one(WatchAxis{});
    parts.watch_stops = true;
    Opened writing(parts);
    CHECK(writing.watch.writes() && !writing.watch.stop(&out, 0.01) && out == 42.0);  // from where?
    CHECK(writing.step(0.5, 0.01).passes() && writing.watch.stop(&out, 0.01) && out == 0.5);
}

void closed_watches_stop() {
    Watch watch;
    const double command = 0.0;
    CHECK(watch.step({&command, 1}, 0.01).verdict == Verdict::stop);
    double out = 42.0;
    CHECK(!watch.stop(&out, 0.01) && !watch.writes() && out == 42.0);
    CHECK(watch.confirm(guard_image::digest_of(7)).verdict == Verdict::stop);
    Parts parts;
    parts.watch.clear();
    const Bytes none = parts.build();
    CHECK(watch.open(none.data(), none.size()) == LoadStatus::no_watch);
    CHECK(watch.step({&command, 1}, 0.01).verdict == Verdict::stop);
    CHECK(watch.step({&command, 0}, 0.01).verdict == Verdict::stop);
    const Bytes slow = one(limited(&WatchAxis::jerk, 1e-200)).build();
    CHECK(watch.open(slow.data(), slow.size()) == LoadStatus::malformed);
}

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

void channels_are_judged_apart() {
    Parts parts;
    parts.watch_stops = false;
    parts.watch = std::vector<WatchAxis>(64);
    parts.watch[63].high = 0.5;
    const Bytes bytes = parts.build();
    Watch watch;
    CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    std::vector<double> command(64, 0.6);
    CHECK(watch.step({command.data(), 64}, 0.01).faults == Fault::position);
    CHECK(watch.record(9).channel == 63);
    command[63] = 0.5;
    CHECK(watch.step({command.data(), 64}, 0.01).faults == 0);
}

}  // namespace

int main() {
    rates_are_kept();
    a_limit_may_be_ridden();
    positions_are_kept();
    velocities_add_up();
    history_grows();
    time_must_pass();
    commands_must_be_fresh();
    not_numbers_latch();
    what_cannot_have_run_changes_nothing();
    another_digest_latches();
    soft_faults_are_debounced();
    a_refusal_is_a_hold();
    nothing_is_written_without_leave();
    closed_watches_stop();
    what_is_executed_keeps_every_limit(0);
    what_is_executed_keeps_every_limit(1);
    it_stops_in_time();
    observing_lets_everything_run();
    channels_are_judged_apart();
    return 0;
}
