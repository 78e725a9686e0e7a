// Rotations written as three numbers, and the angle between two readings of the same three.
//
// Which reading is meant is a convention no per-channel map expresses; the angle says what mistaking it costs.
#pragma once

#include <cmath>
#include <cstddef>

#include "execspec/parallel.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

enum class RotationReading {
    axis_angle,       // unit axis times angle, rad
    euler_extrinsic,  // angles about fixed x, then y, then z, rad: R = Rz Ry Rx
    euler_intrinsic,  // angles about the moving x, then y, then z, rad: R = Rx Ry Rz
};

struct Quaternion {
    double w;
    double x;
    double y;
    double z;
};

inline Quaternion operator*(const Quaternion& p, const Quaternion& q) {
    return {p.w * q.w - p.x * q.x - p.y * q.y - p.z * q.z, p.w * q.x + p.x * q.w + p.y * q.z - p.z * q.y,
            p.w * q.y - p.x * q.z + p.y * q.w + p.z * q.x, p.w * q.z + p.x * q.y - p.y * q.x + p.z * q.w};
}

inline Quaternion conjugate(const Quaternion& q) { return {q.w, -q.x, -q.y, -q.z}; }

inline Quaternion to_quaternion(RotationReading reading, double a, double b, double c) {
    if (reading == RotationReading::axis_angle) {
        const double angle = std::hypot(a, b, c);
        const double s = angle == 0.0 ? 0.5 : std::sin(angle / 2) / angle;
        return {std::cos(angle / 2), s * a, s * b, s * c};
    }
    const Quaternion x{std::cos(a / 2), std::sin(a / 2), 0.0, 0.0};
    const Quaternion y{std::cos(b / 2), 0.0, std::sin(b / 2), 0.0};
    const Quaternion z{std::cos(c / 2), 0.0, 0.0, std::sin(c / 2)};
    return reading == RotationReading::euler_extrinsic ? z * y * x : x * y * z;
}

// The angle in [0, pi] of the rotation from p to q; an arctangent, since an arccosine loses half its digits near 0.
inline double geodesic(const Quaternion& p, const Quaternion& q) {
    const Quaternion d = conjugate(p) * q;
    return 2 * std::atan2(std::hypot(d.x, d.y, d.z), std::abs(d.w));
}

// out[i]: the angle between row i (three channels) read as `one` and read as `other`. NaN or infinity gives NaN.
template <class T>
void geodesic(Rows<const T> rows, std::size_t count, RotationReading one, RotationReading other, double* out,
              std::size_t threads) {
    parallel_for(count, threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const auto a = static_cast<double>(rows.at(i, 0));
            const auto b = static_cast<double>(rows.at(i, 1));
            const auto c = static_cast<double>(rows.at(i, 2));
            out[i] = geodesic(to_quaternion(one, a, b, c), to_quaternion(other, a, b, c));
        }
    });
}

}  // namespace execspec
