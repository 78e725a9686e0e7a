// Angles against closed forms, the ends 0 and pi, and the same bits for every thread count.
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "execspec/rotation.hpp"

using execspec::geodesic;
using execspec::Quaternion;
using execspec::RotationReading;
using execspec::to_quaternion;

namespace {

const double pi = std::acos(-1.0);
constexpr auto axis_angle = RotationReading::axis_angle;
constexpr auto extrinsic = RotationReading::euler_extrinsic;
constexpr auto intrinsic = RotationReading::euler_intrinsic;

bool close(double computed, double exact, double tolerance = 1e-15) {
    return std::abs(computed - exact) <= tolerance * std::abs(exact);
}

double between(RotationReading one, RotationReading other, double a, double b, double c) {
    return geodesic(to_quaternion(one, a, b, c), to_quaternion(other, a, b, c));
}

}  // namespace

int main() {
    const Quaternion none{1.0, 0.0, 0.0, 0.0};
    for (const double angle : {0.0, 5e-324, 1e-300, 1e-9, 1e-6, 0.5, 3.0, pi}) {
        CHECK(close(geodesic(none, to_quaternion(axis_angle, 0, angle, 0)), angle) || angle < 1e-307);
        for (const auto reading : {extrinsic, intrinsic})  // about one axis, all readings agree
            CHECK(between(axis_angle, reading, 0, 0, angle) <= 4e-16 * angle);
    }
    CHECK(close(geodesic(none, to_quaternion(axis_angle, 0, 2 * pi - 0.5, 0)), 0.5));  // the short way round

    // Quarter turns: Rz Ry Rx = Ry, and Ry Rx is 120 degrees from Rx Ry.
    const double right = pi / 2;
    CHECK(geodesic(to_quaternion(extrinsic, right, right, right), to_quaternion(extrinsic, 0, right, 0)) < 1e-15);
    CHECK(close(between(extrinsic, intrinsic, right, right, 0), 2 * pi / 3));

    // The two orders of (s, s, 0) differ by the commutator of two rotations: s^2 for small s, to all digits.
    for (const double s : {1e-3, 1e-6, 1e-9}) CHECK(close(between(extrinsic, intrinsic, s, s, 0), s * s, 1e-6));

    std::vector<double> rows(3 * 1000);
    Random random(7);
    for (double& x : rows) x = 3.0 * random();
    rows[0] = std::numeric_limits<double>::quiet_NaN();
    rows[3] = std::numeric_limits<double>::infinity();
    const execspec::Rows<const double> view{rows.data(), 24, 8};
    std::vector<double> one(1000);
    std::vector<double> many(1000);
    geodesic(view, 1000, axis_angle, extrinsic, one.data(), 1);
    geodesic(view, 1000, axis_angle, extrinsic, many.data(), 7);
    CHECK(std::isnan(one[0]) && std::isnan(one[1]) && std::isnan(many[0]) && std::isnan(many[1]));
    for (std::size_t i = 2; i < 1000; ++i) CHECK(one[i] == many[i] && one[i] >= 0.0 && one[i] <= pi);
    return 0;
}
