// Double-double arithmetic against 128-bit floats (113 bits), and the exactness of its building blocks.
#include "check.hpp"
#include "execspec/dd.hpp"

using execspec::dd;

namespace {

quad wide(dd x) { return static_cast<quad>(x.hi) + static_cast<quad>(x.lo); }

bool close(dd computed, quad exact) {
    const quad error = wide(computed) - exact;
    const quad bound = exact * static_cast<quad>(1e-31);
    return (error < 0 ? -error : error) <= (bound < 0 ? -bound : bound);
}

// A small second part on a grid that 113 bits hold.
double tail(double x) { return std::ldexp(std::round(std::ldexp(x, 45)), -102); }

}  // namespace

int main() {
    Random random(1);
    for (int k = 0; k < 200000; ++k) {
        const double a = random();
        const double b = random() * 1e-9;
        CHECK(wide(execspec::two_sum(a, b)) == static_cast<quad>(a) + static_cast<quad>(b));
        CHECK(wide(execspec::two_prod(a, b)) == static_cast<quad>(a) * static_cast<quad>(b));
        const dd x = execspec::two_sum(a, tail(random()));
        const dd y = execspec::two_sum(random(), tail(random()));
        CHECK(close(x + y, wide(x) + wide(y)));
        // Cancellation loses nothing: multiples of 2^-80, so that the 113-bit difference is exact.
        const dd p =
            execspec::two_sum(std::ldexp(std::round(std::ldexp(a, 40)), -40), std::ldexp(std::round(1e5 * b), -80));
        const dd q = p + dd(std::ldexp(std::round(1e4 * random()), -80));
        CHECK(wide(p - q) == wide(p) - wide(q));
        CHECK(close(x * y, wide(x) * wide(y)));
        CHECK(close(x / y, wide(x) / wide(y)));
        CHECK((x < y) == (wide(x) < wide(y)));
    }
    CHECK(dd(1.0) - dd(1.0) == dd(0.0));
    CHECK(!execspec::is_finite(dd(1e150) / dd(1e-300)));
    CHECK(execspec::sign(dd(-0.0)) == 0);
    return 0;
}
