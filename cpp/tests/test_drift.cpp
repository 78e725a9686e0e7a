// Metrics against sums over the values themselves in 128-bit floats, and the continuous columns against closed forms.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "execspec/drift.hpp"
#include "execspec/laws.hpp"

using execspec::Affine;
using execspec::dd;
using execspec::Empirical;
using execspec::Gaussian;
using execspec::infinity;
using execspec::Op;
using execspec::OpDType;
using execspec::OpKind;
using execspec::PiecewiseMap;
using execspec::Segments;

namespace {

PiecewiseMap bounds(double lo, double hi, double eps = 0.0, double limit = 0.0) {
    const Op endpoint{OpKind::endpoint, 0, OpDType::same, {lo, hi, eps, 0}};
    const Op clip{OpKind::clip, 0, OpDType::same, {-limit, limit, 0, 0}};
    const Op ops[2] = {endpoint, clip};
    return execspec::compile(ops, limit > 0.0 ? 2 : 1, 1);
}

quad value(const PiecewiseMap& map, double x) {
    std::size_t k = map.size() - 1;
    while (k > 0 && execspec::Cut{dd(x), false} < map[k].from) --k;
    const auto wide = [](dd v) { return static_cast<quad>(v.hi) + static_cast<quad>(v.lo); };
    return wide(map[k].f.scale) * static_cast<quad>(x) + wide(map[k].f.offset);
}

bool close(double computed, double exact) { return std::abs(computed - exact) <= 1e-13 * std::abs(exact); }

void compare(const std::vector<double>& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    quad absolute = 0;
    quad plain = 0;
    quad squared = 0;
    quad largest = 0;
    for (const double u : x) {
        const quad delta = value(fj, u) - value(fi, u);
        const quad size = delta < 0 ? -delta : delta;
        absolute += size;
        plain += delta;
        squared += delta * delta;
        largest = std::max(largest, size);
    }
    const auto n = static_cast<quad>(x.size());
    const Empirical column(x);
    CHECK(close(execspec::mean_abs(column, fi, fj), static_cast<double>(absolute / n)));
    CHECK(close(execspec::bias(column, fi, fj), static_cast<double>(plain / n)));
    const quad unit = largest > 0 ? largest : 1;  // squares of subnormals do not fit a double
    const double root = static_cast<double>(unit) * std::sqrt(static_cast<double>(squared / n / unit / unit));
    CHECK(close(execspec::rms(column, fi, fj), root));
    CHECK(close(execspec::max_abs(column, fi, fj), static_cast<double>(largest)));
}

}  // namespace

int main() {
    Random random(4);
    const std::vector<PiecewiseMap> maps{bounds(-0.0287, 0.0283), bounds(-0.0287, 0.0283, 1e-8),
                                         bounds(-0.2, 0.17, 1e-6), bounds(-0.5, 0.7, 0, 0.25), bounds(0.1, 0.1)};
    for (const double offset : {0.0, 1.0, 1e6}) {
        for (const double spread : {1.0, 1e-3}) {
            std::vector<double> x(1001);
            for (double& u : x) u = offset + spread * std::round(300 * random()) / 300;  // with ties
            for (const PiecewiseMap& fi : maps)
                for (const PiecewiseMap& fj : maps) compare(x, fi, fj);
        }
    }
    // The root of delta inside data at 1e6 with spread 1e-3.
    const PiecewiseMap one = bounds(-1.0, 1.0);
    const PiecewiseMap steep = bounds(-1.0 - 1e6, 1.0 - 1e6 + 2.0);
    std::vector<double> x(1001);
    for (double& u : x) u = 1e6 + 1e-3 * random();
    compare(x, one, steep);
    compare({0.25}, one, maps[0]);
    compare({0.25, 0.25, 0.25}, one, maps[0]);
    compare({-1.0, 1.0}, one, maps[1]);
    compare({1e-310, 2e-310, -3e-310}, one, bounds(-2.0, 2.0));

    const Segments uniform({{-1.0, 1.0, 1.0}});
    const PiecewiseMap twice = bounds(-2.0, 2.0);  // delta = u
    CHECK(close(execspec::mean_abs(uniform, one, twice), 0.5));
    CHECK(close(execspec::rms(uniform, one, twice), std::sqrt(1.0 / 3.0)));
    CHECK(execspec::bias(uniform, one, twice) == 0.0);
    CHECK(execspec::max_abs(uniform, one, twice) == 1.0);
    const Segments pieces({{-2.0, -1.0, 0.25}, {0.5, 0.5, 0.5}, {1.0, 3.0, 0.25}});
    CHECK(close(execspec::mean_abs(pieces, one, twice), 0.25 * 1.5 + 0.5 * 0.5 + 0.25 * 2.0));
    CHECK(close(execspec::bias(pieces, one, twice), -0.25 * 1.5 + 0.5 * 0.5 + 0.25 * 2.0));
    const PiecewiseMap clipped = bounds(-1.0, 1.0, 0.0, 0.5);
    CHECK(close(execspec::mean_abs(uniform, one, clipped), 0.125));

    const Gaussian normal(0.5, 2.0);
    CHECK(close(execspec::bias(normal, one, twice), 0.5));
    CHECK(close(execspec::rms(normal, one, twice), std::sqrt(4.0 + 0.25)));
    const double folded =
        2.0 * std::sqrt(2.0 / std::acos(-1.0)) * std::exp(-0.03125) + 0.5 * std::erf(0.25 / std::sqrt(2.0));
    CHECK(close(execspec::mean_abs(normal, one, twice), folded));
    CHECK(std::isinf(execspec::max_abs(normal, one, twice)));

    const Empirical ties({-1.0, -0.5, -0.5, 0.25, 0.5, 1.0, 1.0, 1.0});  // a value at the limit is not outside it
    CHECK(execspec::outside(ties, twice, -1.0, 1.0) == 0.5);
    CHECK(execspec::outside(ties, bounds(2.0, -2.0), -1.0, 1.0) == 0.5);
    CHECK(execspec::outside(ties, one, -1.0, 1.0) == 0.0);
    CHECK(execspec::outside(ties, one, -0.5, 0.75) == 0.5);
    CHECK(execspec::outside(ties, clipped, -0.25, 0.25) == 7.0 / 8.0);
    CHECK(execspec::outside(ties, one, -infinity, 0.5) == 3.0 / 8.0);
    CHECK(execspec::outside(uniform, twice, -1.0, infinity) == 0.25);
    CHECK(close(execspec::outside(normal, one, -1.5, 2.5), std::erfc(1.0 / std::sqrt(2.0))));

    CHECK(execspec::worst_case({-1.0, 1.0, {}}, one, twice) == 1.0);
    CHECK(std::isinf(execspec::worst_case({}, one, twice)));
    CHECK(execspec::worst_case({-1.0, 1.0, {-0.75, 0.5}}, one, twice) == 0.75);
    return 0;
}
