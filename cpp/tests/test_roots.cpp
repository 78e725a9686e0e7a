// Roots by products against the machine's, and sums of both kinds: near, and with the same bits on every instruction
// set.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "execspec/isa.hpp"
#include "execspec/roots.hpp"

using execspec::Isa;
using execspec::detail::Lanes;

namespace {

double root(double x) {
    const auto factors = execspec::detail::root_by_products(x);
    return std::fma(factors.near, factors.correction, 0.0);
}

void every_root() {
    CHECK(root(0.0) == 0.0);
    Random random(1);
    const auto near = [](double x) { return std::abs(root(x) - std::sqrt(x)) <= 4.5e-16 * std::sqrt(x); };
    for (int exponent = -1000; exponent <= 1000; ++exponent)
        for (const double x : {1.0, std::nextafter(1.0, 2.0), std::nextafter(2.0, 1.0), 1.5 + 0.5 * random()})
            CHECK(near(std::ldexp(x, exponent)));
    for (int k = 0; k < 1 << 20; ++k) CHECK(near(1.0 + k * 0x3p-20));  // two octaves: all there is but for the exponent
}

void sums() {
    constexpr std::size_t count = 128;
    Random random(2);
    std::vector<double> square(count);
    std::vector<double> spread(count);
    std::vector<double> weight(count);
    for (std::size_t r = 0; r < count; ++r) {
        square[r] = r % 16 == 3 ? 0.0 : std::ldexp(1.0 + random(), static_cast<int>(r) / 4);
        spread[r] = 1.0 + random();
        weight[r] = 1.0 + random();
    }
    double sum = 0.0;
    double low = 0.0;
    double high = 0.0;
    for (std::size_t r = 0; r < count; ++r) {
        sum += std::sqrt(square[r]);
        low += weight[r] * std::sqrt(square[r]);
        high += weight[r] * std::sqrt(square[r] + spread[r]);
    }
    const Isa before = execspec::isa::active();
    std::vector<double> found;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (!execspec::isa::supported(isa)) continue;
        execspec::isa::active() = isa;
        double total = 0.0;
        Lanes lower;
        Lanes upper;
        execspec::isa::run([&] {
            const auto own = [&](std::size_t r) { return square[r]; };
            const auto more = [&](std::size_t r) { return spread[r]; };
            total = execspec::detail::sum_of_roots(count, own);
            execspec::detail::add_weighted_roots(count, weight.data(), own, more, lower, upper);
        });
        const auto close = [](double a, double b) { return std::abs(a - b) <= 1e-14 * b; };
        CHECK(close(total, sum) && close(lower.total(), low) && close(upper.total(), high));
        const std::vector<double> bits{total, lower.total(), upper.total()};
        if (found.empty()) found = bits;
        CHECK(found == bits);
    }
    execspec::isa::active() = before;
}

}  // namespace

int main() {
    every_root();
    sums();
}
