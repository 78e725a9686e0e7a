// The watch's verdicts: what passes at the limit and not beyond it, and what a refusal leaves.
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "watches.hpp"

static_assert(noexcept(std::declval<Watch&>().step(Span{}, 0.0)));
static_assert(noexcept(std::declval<Watch&>().stop(nullptr, 0.0)));
static_assert(noexcept(std::declval<Watch&>().executed(nullptr, 0.0)));
static_assert(!std::is_polymorphic_v<Watch>);

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

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
    channels_are_judged_apart();
    return 0;
}
