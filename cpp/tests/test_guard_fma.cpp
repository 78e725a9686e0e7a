// Compiled so that products and sums fuse: the consumer's own U(u) differs from the spec's in its last bits, and so may
// the gate's; both ways round, the tolerance covers it, and it covers nothing else.
#include <cmath>

#include "check.hpp"
#include "execspec/guard/gate.hpp"
#include "guard_image.hpp"

using namespace execspec::guard;

namespace {

// As a consumer writes it, for the compiler to fuse.
double fused(double u, double q01, double q99) { return 0.5 * (u + 1.0) * (q99 - q01) + q01; }

// Every operation rounded.
double rounded(double u, double q01, double q99) {
    volatile double shifted = u + 1.0;
    volatile double half = 0.5 * shifted;
    volatile double width = q99 - q01;
    volatile double product = half * width;
    return product + q01;
}

}  // namespace

int main() {
#if defined(__FMA__)
    if (!__builtin_cpu_supports("fma")) return 77;  // skipped
#endif
    Random random(1);
    int different = 0;
    for (int i = 0; i < 300; ++i) {
        const double q01 = std::pow(10.0, 3 * random()) * random();
        const double q99 = q01 + std::pow(10.0, 3 * random());
        guard_image::Parts parts;
        parts.axes = {guard_image::between("x", q01, q99)};
        const guard_image::Bytes bytes = parts.build();
        static Gate gate;
        CHECK(gate.open(bytes.data(), bytes.size()) == LoadStatus::ok);
        for (int k = 0; k < 1000; ++k) {
            const double u = random();
            const double a = fused(u, q01, q99);
            const double b = rounded(u, q01, q99);
            different += a != b;
            CHECK(gate.step({&u, 1}, {&a, 1}).passes());
            CHECK(gate.step({&u, 1}, {&b, 1}).passes());
        }
        const double u = random() / 2;
        const double size = std::fmax(std::fmax(std::fabs(q01), std::fabs(q99)), q99 - q01);
        const double wrong = fused(u, q01, q99) + 16 * 0x1p-52 * size;
        CHECK(gate.step({&u, 1}, {&wrong, 1}).faults == Fault::mismatch);
    }
#if defined(__FMA__) || defined(__aarch64__)
    CHECK(different > 1000);  // else nothing was fused
#endif
    return 0;
}
