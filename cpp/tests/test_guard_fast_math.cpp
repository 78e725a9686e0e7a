// Compiled with -Ofast, which lets the compiler take every number for finite and flushes subnormals: gate, watch and
// loader still refuse what is no number, and are not upset by what is nearly zero.
#include <cstring>

#include "check.hpp"
#include "execspec/guard.hpp"
#include "guard_image.hpp"

#if defined(__SSE2__)
#include <pmmintrin.h>
#include <xmmintrin.h>
#endif

#if !defined(__FAST_MATH__)
#error "this test is about -Ofast"
#endif

using namespace execspec::guard;
using guard_image::Bytes;
using guard_image::Parts;

namespace {

double from_bits(std::uint64_t bits) {
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Infinite, quiet and signalling NaN with payloads, of both signs.
const std::uint64_t not_numbers[] = {0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000,
                                     0x7ff0000000000001, 0xfff0000000000001, 0x7ff4deadbeef0001, 0xfff8deadbeefcafe,
                                     0x7fffffffffffffff, 0xffffffffffffffff};
const std::uint64_t nearly_zero[] = {1, 0x8000000000000001, 0x000fffffffffffff, 0x800fffffffffffff, 0x0010000000000000,
                                     0, 0x8000000000000000};

void not_numbers_are_refused() {
    const Bytes bytes = Parts{}.build();
    static Gate gate;
    static Watch watch;
    for (const std::uint64_t bits : not_numbers) {
        const double bad = from_bits(bits);
        for (int place = 0; place < 6; ++place) {
            for (const bool chunk : {false, true}) {
                CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
                double ua[6] = {0.5, -0.5, 1, 0, 0, 0};
                gate.command(ua, ua + 3);
                ua[place] = bad;
                const Decision decision =
                    chunk ? gate.accept({ua, 3}, {ua + 3, 3}, 1) : gate.step({ua, 3}, {ua + 3, 3});
                CHECK(decision.verdict == Verdict::stop);
                CHECK(decision.faults == (Fault::not_finite | Fault::latched));
            }
        }
        CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
        CHECK(watch.step({&bad, 1}, 0.01).verdict == Verdict::stop);
        CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
        const double zero = 0.0;
        CHECK(watch.step({&zero, 1}, bad).faults == Fault::period);
        double out = 42.0;
        CHECK(!watch.stop(&out, bad) && !watch.start(&bad));
    }
}

void clocks_that_are_not_numbers_are_refused() {
    Parts parts;
    parts.max_age = 0.5;
    const Bytes bytes = parts.build();
    static Gate gate;
    for (const std::uint64_t bits : not_numbers) {
        for (const Time time : {Time{from_bits(bits), 1.0}, Time{1.0, from_bits(bits)}}) {
            CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
            double ua[6] = {0.5, -0.5, 1, 0, 0, 0};
            gate.command(ua, ua + 3);
            CHECK(gate.step({ua, 3}, {ua + 3, 3}, time).faults == Fault::stale);
            CHECK(gate.step({ua, 3}, {ua + 3, 3}, {1.0, 1.25}).faults == 0);
        }
    }
}

// Every limit of an image that is NaN is refused by the loader.
void limits_that_are_not_numbers_are_refused() {
    Bytes bytes = Parts{}.build();
    Gate gate;
    for (const std::uint64_t bits : not_numbers) {
        if ((bits & 0xfffffffffffff) == 0) continue;  // an infinite limit checks nothing, and may say so
        const double bad = from_bits(bits);
        const std::uint64_t places[] = {bytes.header().column,
                                        bytes.header().line,
                                        bytes.header().watch_channel + 48,
                                        bytes.header().watch_channel + 80,
                                        offsetof(Header, max_age),
                                        offsetof(Header, watch_max_dt)};
        for (const std::uint64_t place : places) {
            double good;
            std::memcpy(&good, bytes.data() + place, sizeof good);
            std::memcpy(bytes.data() + place, &bad, sizeof bad);
            bytes.seal();
            CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::malformed);
            std::memcpy(bytes.data() + place, &good, sizeof good);
        }
    }
    bytes.seal();
    CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
}

void nearly_nothing_passes() {
    const Bytes bytes = Parts{}.build();
    static Gate gate;
    static Watch watch;
    CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    for (const std::uint64_t bits : nearly_zero) {
        const double small = from_bits(bits);
        const double u[3] = {small, small, 1.0};
        double a[3];
        gate.command(u, a);
        CHECK(gate.step({u, 3}, {a, 3}).faults == 0);
        a[0] = small;  // U(0) = 0 in channel 0
        CHECK(gate.step({u, 3}, {a, 3}).faults == 0);
        CHECK(watch.step({&small, 1}, 0.01).faults == 0);
    }
}

void wrong_actions_are_refused() {
    const Bytes bytes = Parts{}.build();
    static Gate gate;
    CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    Random random(3);
    for (int i = 0; i < 1000; ++i) {
        const double u[3] = {random(), random(), random()};
        double a[3];
        gate.command(u, a);
        CHECK(gate.step({u, 3}, {a, 3}).passes());
        a[i % 2] += a[i % 2] < 0 ? 1e-9 : -1e-9;
        CHECK(gate.step({u, 3}, {a, 3}).faults & Fault::mismatch);
        CHECK(gate.reset(guard_image::digest_of(7)));
    }
}

// The ramp ends at rest, and refusals of a watch are what they are without -Ofast.
void the_watch_stops() {
    const Bytes bytes = Parts{}.build();
    static Watch watch;
    CHECK(watch.open(bytes.data(), bytes.size()) == LoadStatus::ok);
    double p = 0.0;
    CHECK(watch.start(&p));
    for (int i = 0; i < 10; ++i) {
        p += 1e-9 * (i + 1) * (i + 2) / 2 * 50;
        CHECK(watch.step({&p, 1}, 1e-3).passes());
    }
    const double far = 2.0;
    CHECK(watch.step({&far, 1}, 1e-3).faults ==
          (Fault::position | Fault::velocity | Fault::acceleration | Fault::jerk));
    int steps = 0;
    while (!watch.at_rest()) {
        CHECK(watch.stop(&p, 1e-3));
        CHECK(p > 0.0 && p < 1e-3 && ++steps < 1000);
    }
}

}  // namespace

int main() {
#if defined(__SSE2__)
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
#endif
    not_numbers_are_refused();
    clocks_that_are_not_numbers_are_refused();
    limits_that_are_not_numbers_are_refused();
    nearly_nothing_passes();
    wrong_actions_are_refused();
    the_watch_stops();
    return 0;
}
