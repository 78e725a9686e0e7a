// The gate: what passes, what each fault needs to show, and what a refusal does to the state.
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "execspec/guard/gate.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;
using guard_image::Axis;
using guard_image::Bytes;
using guard_image::Parts;

namespace {

using Values = std::vector<double>;

Span span(const Values& values) { return {values.data(), values.size()}; }

struct Opened {
    explicit Opened(const Parts& parts) : bytes(parts.build()) {
        CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    }
    Values command(const Values& u) {
        Values a(u.size());
        gate.command(u.data(), a.data());
        return a;
    }
    std::uint32_t step(const Values& u, const Values& a, Time time = no_time) {
        return gate.step(span(u), span(a), time).faults;
    }
    Bytes bytes;
    Gate gate;
};

void right_actions_pass() {
    Opened own{Parts{}};
    Random random(1);
    for (int i = 0; i < 10000; ++i) {
        const Values u = {1.2 * random(), 1.2 * random(), random()};
        CHECK(own.step(u, own.command(u)) == 0);
    }
    CHECK(own.gate.counters().steps == 10000 && own.gate.counters().refused == 0);
}

void a_wrong_action_is_told() {
    Opened own{Parts{}};
    const Values u = {0.25, -0.5, 1.0};
    Values a = own.command(u);
    a[1] += 1e-9;
    const Decision decision = own.gate.step(span(u), span(a));
    CHECK(decision.faults == Fault::mismatch && decision.verdict == Verdict::hold);
    const Record& record = own.gate.record(3);
    CHECK(record.channel == 1 && record.value == a[1] && record.limit == own.command(u)[1] && record.step == 1);
}

// Up to the tolerance passes, twice it does not, on both sides, through the line and through the ops.
void the_tolerance_is_kept() {
    for (const bool line : {true, false}) {
        Parts parts;
        parts.axes = {guard_image::between("x", -0.5, 0.5)};
        parts.axes[0].is_line = line;
        parts.axes[0].low = -1;
        parts.axes[0].high = 1;
        parts.latch_faults = 1000;
        Opened own{parts};
        const double tolerance = own.gate.image().number(Column::tolerance, 0, 0);
        for (const double u : {-1.0, -0.3, 0.0, 0.7, 1.0})
            for (const double side : {-1.0, 1.0}) {
                const double a = own.command({u})[0];
                CHECK(own.step({u}, {a + side * 0.99 * tolerance}) == 0);
                CHECK(own.step({u}, {a + side * 1.5 * tolerance}) == Fault::mismatch);
            }
    }
}

void either_side_of_a_threshold_agrees() {
    Parts parts;
    parts.axes = {guard_image::gripper("gripper", 0.5)};
    parts.latch_faults = 1000;
    Opened own{parts};
    CHECK(own.step({0.5}, {-1.0}) == 0);
    CHECK(own.step({std::nextafter(0.5, 0.0)}, {1.0}) == 0);
    CHECK(own.step({0.49}, {1.0}) == Fault::mismatch);
    CHECK(own.step({0.49}, {-1.0}) == 0);
    CHECK(own.step({0.49}, {0.0}) == (Fault::mismatch | Fault::gripper));
}

void what_is_not_finite_latches() {
    const double quiet = std::numeric_limits<double>::quiet_NaN();
    for (const double bad : {quiet, -quiet, guard_image::infinity, -guard_image::infinity})
        for (const bool in_u : {true, false}) {
            Opened own{Parts{}};
            Values u = {0.0, 0.0, 1.0};
            Values a = own.command(u);
            const Values good = a;
            (in_u ? u : a)[1] = bad;
            const Decision decision = own.gate.step(span(u), span(a));
            CHECK(decision.faults == (Fault::not_finite | Fault::latched) && decision.verdict == Verdict::stop);
            CHECK(own.gate.record(0).channel == 1);
            CHECK(own.step({0.0, 0.0, 1.0}, good) == Fault::latched);
            CHECK(!own.gate.reset(guard_image::digest_of(8)) && own.gate.latched());
            CHECK(own.gate.reset(guard_image::digest_of(7)) && !own.gate.latched());
            CHECK(own.step({0.0, 0.0, 1.0}, good) == 0);
        }
}

void lengths_latch() {
    Opened own{Parts{}};
    const Values three(3, 0.0);
    const Values two(2, 0.0);
    CHECK(own.gate.step(span(three), span(two)).faults == (Fault::length | Fault::latched));
    CHECK(own.gate.reset(guard_image::digest_of(7)));
    const Values six(6, 0.0);
    CHECK(own.gate.step(span(six), span(six)).verdict == Verdict::stop);  // two rows are no single action
    CHECK(own.gate.reset(guard_image::digest_of(7)));
    CHECK(own.gate.accept(span(six), span(six), 3).faults == (Fault::length | Fault::latched));
}

// A channel that its ops leave as it is: a = u.
Parts plain(bool relative) {
    Parts parts;
    Axis axis;
    axis.ops = {guard_image::op(execspec::OpKind::identity)};
    axis.relative = relative;
    axis.low = -1;
    axis.high = 1;
    parts.axes = {axis};
    parts.latch_faults = 1000;
    return parts;
}

void envelope_and_margin() {
    Parts parts = plain(true);
    parts.axes[0].margin = 0.1;
    Opened own{parts};
    CHECK(own.step({1.0}, {1.0}) == 0 && own.gate.counters().overshoots == 0);
    CHECK(own.step({-1.05}, {-1.05}) == 0 && own.gate.counters().overshoots == 1);
    CHECK(own.step({1.2}, {1.2}) == Fault::envelope);
    CHECK(own.gate.record(4).limit == 1.0 && own.gate.record(4).value == 1.2);
    CHECK(own.gate.worst_envelope().value == 1.2);
}

void jumps_are_counted_from_what_ran() {
    Parts parts = plain(false);
    parts.axes[0].jump = 0.5;
    Opened own{parts};
    CHECK(own.step({0.9}, {0.9}) == 0);  // nothing ran before
    CHECK(own.step({0.3}, {0.3}) == Fault::jump);
    CHECK(own.step({0.3}, {0.3}) == Fault::jump);  // the first was refused, 0.9 is still the last
    CHECK(own.step({0.4}, {0.4}) == 0);
    double held = 0.0;
    CHECK(own.gate.hold(&held) && held == 0.4);
    const double ran = -0.5;
    CHECK(own.gate.executed(&ran));
    CHECK(own.step({0.4}, {0.4}) == Fault::jump);
    for (const double never : {guard_image::infinity, std::nan("")}) {
        CHECK(!own.gate.executed(&never));
        CHECK(own.gate.hold(&held) && held == -0.5);  // no hold that a robot cannot take
    }
}

void a_refused_delta_is_held_by_zero() {
    Parts parts = plain(true);
    parts.axes[0].jump = 0.5;
    Opened own{parts};
    double held = 9.0;
    CHECK(own.gate.hold(&held) && held == 0.0);
    CHECK(own.step({0.9}, {0.9}) == 0);
    CHECK(own.step({0.3}, {0.3}) == Fault::jump);
    CHECK(own.step({0.3}, {0.3}) == 0);  // zero ran in its place
    Opened absolute{plain(false)};
    CHECK(!absolute.gate.hold(&held));
}

void walks_add_up() {
    Parts parts = plain(true);
    parts.axes[0].walk = 1.0;
    Opened own{parts};
    CHECK(own.step({0.75}, {0.75}) == 0);
    CHECK(own.step({0.5}, {0.5}) == Fault::walk);
    CHECK(own.gate.record(6).value == 1.25 && own.gate.worst_walk().value == 1.25);
    CHECK(own.step({-0.5}, {-0.5}) == 0);
    CHECK(own.step({0.5}, {0.5}) == 0);  // the refused one did not count
    CHECK(own.gate.reset(guard_image::digest_of(7)));
    CHECK(own.step({1.0}, {1.0}) == 0);
}

void what_ran_counts_in_the_walk() {
    Parts parts = plain(true);
    parts.axes[0].walk = 1.0;
    Opened own{parts};
    const double half = 0.5, quarter = 0.25;
    CHECK(own.step({0.75}, {0.75}) == 0);
    CHECK(own.gate.executed(&half));  // in place of the one accepted
    CHECK(own.step({0.75}, {0.75}) == Fault::walk);
    CHECK(own.gate.executed(&quarter));  // in place of the hold
    CHECK(own.step({0.5}, {0.5}) == Fault::walk);
    CHECK(own.step({0.25}, {0.25}) == 0);
}

void a_gripper_is_told_its_nearest_command() {
    Parts parts;
    parts.axes = {guard_image::gripper("grip", 0.5)};
    parts.axes[0].low = -1;
    parts.axes[0].high = 1;
    Opened own{parts};
    CHECK(own.step({0.9}, {0.75}) & Fault::gripper);
    CHECK(own.gate.record(7).limit == 1.0);
}

void a_chunk_is_all_or_nothing() {
    Parts parts = plain(true);
    parts.axes[0].walk = 1.0;
    Opened own{parts};
    const Values fine = {0.25, 0.25, 0.25, 0.25, 0.25};
    CHECK(own.gate.accept(span(fine), span(fine), 4).faults == 0);  // the fifth will not run
    CHECK(own.gate.accept(span(fine), span(fine), 1).faults == Fault::walk);
    Values wrong = fine;
    wrong[4] = 0.3;
    Opened other{parts};
    CHECK(other.gate.accept(span(fine), span(wrong), 1).faults == Fault::mismatch);
    CHECK(other.gate.record(3).row == 4);
    double held = 9.0;
    CHECK(other.gate.hold(&held) && held == 0.0);
    CHECK(other.gate.accept(span(fine), span(fine), 4).faults == 0);  // and nothing of the refused one counted
}

void chunks_with_figures_per_step() {
    Parts parts;
    parts.steps = 2;
    parts.axes = {guard_image::between("x", -1, 1), guard_image::between("y", -1, 1), guard_image::between("x", -2, 2),
                  guard_image::between("y", -4, 4)};
    Opened own{parts};
    const Values u = {0.5, 0.5, 0.5, 0.5};
    const Values a = {0.5, 0.5, 1.0, 2.0};
    CHECK(own.gate.accept(span(u), span(a), 2).faults == 0);
    const Values swapped = {1.0, 2.0, 0.5, 0.5};
    CHECK(own.gate.accept(span(u), span(swapped), 2).faults & Fault::mismatch);
    const Values row = {0.5, 0.5};
    CHECK(own.gate.accept(span(row), span(row), 1).faults & Fault::length);
}

void freshness() {
    Parts parts = plain(true);
    parts.max_age = 0.1;
    Opened own{parts};
    CHECK(own.step({0.0}, {0.0}, {10.0, 10.05}) == 0);
    CHECK(own.step({0.0}, {0.0}, {10.0, 10.2}) == Fault::stale);
    CHECK(own.step({0.0}, {0.0}, {10.0, 9.9}) == Fault::stale);
    CHECK(own.step({0.0}, {0.0}) == Fault::stale);
}

// Three faults within ten steps latch; three in eleven do not, however often that repeats in a quiet hour.
void soft_faults_latch_when_they_come_often() {
    Parts parts = plain(true);
    parts.latch_faults = 3;
    parts.latch_steps = 10;
    const auto latches = [&](const std::vector<int>& faulty) {
        Opened own{parts};
        for (int i = 0; i < 200; ++i) {
            const double a = std::find(faulty.begin(), faulty.end(), i) == faulty.end() ? 0.5 : 0.6;
            own.step({0.5}, {a});
        }
        return own.gate.latched();
    };
    CHECK(latches({0, 1, 2}) && latches({0, 5, 9}) && latches({50, 51, 59}));
    CHECK(!latches({0, 1}) && !latches({0, 5, 10}) && !latches({0, 50, 100, 150}));
}

void other_modes_pass_and_tell() {
    for (const Mode mode : {Mode::observe, Mode::warn}) {
        Parts parts = plain(true);
        parts.mode = mode;
        parts.latch_faults = 3;
        Opened own{parts};
        const Values u = {0.5};
        const Values a = {0.6};
        const Decision first = own.gate.step(span(u), span(a));
        const Decision second = own.gate.step(span(u), span(a));
        const Decision third = own.gate.step(span(u), span(a));
        CHECK(first.faults == Fault::mismatch && first.passes() && second.passes() && third.passes());
        CHECK(first.announce == (mode == Mode::warn) && !second.announce);
        CHECK(third.faults == (Fault::mismatch | Fault::latched) && !own.gate.latched());
        CHECK(own.gate.counters().run == 3 && own.gate.counters().refused == 0);
        CHECK(own.step({0.5}, {0.5}) == 0 && own.gate.counters().run == 0);
    }
}

void digests() {
    Opened own{Parts{}};
    CHECK(own.gate.confirm(guard_image::digest_of(7)).passes());
    CHECK(own.gate.confirm(guard_image::digest_of(6)).verdict == Verdict::stop && own.gate.latched());
    Gate closed;
    CHECK(closed.step({nullptr, 0}, {nullptr, 0}).verdict == Verdict::stop);
    double out = 9.0;
    CHECK(!closed.hold(&out) && !closed.reset(guard_image::digest_of(0)) && out == 9.0);
}

void attribution_names_the_key() {
    Parts parts;
    parts.axes = {guard_image::between("x", -0.5, 0.5), guard_image::between("y", -0.5, 0.5)};
    parts.siblings = {{"twin", 8, parts.axes},
                      {"wide", 9, {guard_image::between("x", -1, 1), guard_image::between("y", -0.5, 0.5)}},
                      {"other", 10, {guard_image::between("x", -0.5, 0.5), guard_image::between("y", -2, 2)}}};
    parts.latch_faults = 100000;
    Opened own{parts};
    const Values u = {0.5, 0.0};
    const Values right = {0.25, 0.0};
    const Values wide = {0.5, 0.0};
    const Values none = {0.1, 0.0};
    own.step(u, right);  // y = 0 for all, so `other` explains it too
    CHECK(own.gate.evidence().explaining == 3 && own.gate.explains(0) && own.gate.explains(1) && own.gate.explains(3));
    CHECK(own.gate.evidence().runner_up == 2 && own.gate.evidence().margin > 1e6);
    const Values u2 = {0.5, 0.25};
    own.step(u2, {0.25, 0.125});
    CHECK(own.gate.evidence().explaining == 2 && own.gate.evidence().steps == 2 && own.gate.evidence().segments == 1);
    own.step(u, wide);  // the key changes
    own.step(u, wide);
    Evidence found = own.gate.evidence();
    CHECK(found.explaining == 1 && found.best == 2 && found.steps == 2 && found.segments == 2);
    own.step(u, none);
    found = own.gate.evidence();
    CHECK(found.explaining == 0 && found.worst > 1.0 && found.segments == 3);
    own.step(u, right);
    CHECK(own.gate.evidence().explaining == 3 && own.gate.evidence().segments == 4);
}

void a_float32_stream_gets_its_own_tolerance() {
    Parts parts;
    parts.axes = {guard_image::between("x", -0.3, 0.7)};
    parts.u_dtype = parts.a_dtype = execspec::OpDType::float32;
    parts.latch_faults = 100000;
    Opened own{parts};
    Random random(2);
    for (int i = 0; i < 10000; ++i) {
        const float u = static_cast<float>(random());
        const float w = 0.7f - -0.3f;
        const float a = 0.5f * (u + 1.0f) * w + -0.3f;
        CHECK(own.step({u}, {a}) == 0);
        CHECK(own.step({u}, {a * (1.0f + 1e-4f) + 1e-4f}) & Fault::mismatch);
    }
}

static_assert(noexcept(std::declval<Gate&>().step({nullptr, 0}, {nullptr, 0})), "");
static_assert(noexcept(std::declval<Gate&>().accept({nullptr, 0}, {nullptr, 0}, 1)), "");
static_assert(!std::is_polymorphic<Gate>::value, "");

}  // namespace

int main() {
    right_actions_pass();
    a_wrong_action_is_told();
    the_tolerance_is_kept();
    either_side_of_a_threshold_agrees();
    what_is_not_finite_latches();
    lengths_latch();
    envelope_and_margin();
    jumps_are_counted_from_what_ran();
    a_refused_delta_is_held_by_zero();
    walks_add_up();
    what_ran_counts_in_the_walk();
    a_gripper_is_told_its_nearest_command();
    a_chunk_is_all_or_nothing();
    chunks_with_figures_per_step();
    freshness();
    soft_faults_latch_when_they_come_often();
    other_modes_pass_and_tell();
    digests();
    attribution_names_the_key();
    a_float32_stream_gets_its_own_tolerance();
}
