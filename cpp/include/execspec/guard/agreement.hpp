// Whether an action is what the spec makes of u: the op table, literally, within the tolerance of the column.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "execspec/guard/image.hpp"
#include "execspec/ops.hpp"

namespace execspec::guard {

// What a tolerance is multiplied by: rounding grows with u where u is large. Bounded, so that no product overflows.
constexpr double largest_scale = 1e150;

inline double action_scale(double u) noexcept { return std::max(std::min(std::fabs(u), largest_scale), 1.0); }

namespace detail {

inline double rounded(double a, OpDType dtype) noexcept {
    return dtype == OpDType::float32 ? static_cast<double>(static_cast<float>(a)) : a;
}

}  // namespace detail

// U(u) of one channel, bit for bit as the ecosystem computes it from a u of `u_dtype`.
inline double unnormalized(const Image& image, std::size_t step, std::size_t d, double u) noexcept {
    const Header& h = image.header();
    return detail::rounded(apply_ops(image.ops(step, d), h.stages, image.op_stride(), u, h.u_dtype), h.a_dtype);
}

// Near the threshold of a step, where a last bit decides, either side of it agrees.
inline bool agrees(const Image& image, std::size_t step, std::size_t d, double u, double a) noexcept {
    const Header& h = image.header();
    const double tolerance = image.number(Column::tolerance, step, d);
    const double allowed = tolerance * action_scale(u);
    const auto close = [&](double value) { return std::fabs(a - detail::rounded(value, h.a_dtype)) <= allowed; };
    const Op* ops = image.ops(step, d);
    const std::size_t stride = image.op_stride();
    if (close(apply_ops(ops, h.stages, stride, u, h.u_dtype))) return true;
    OpDType dtype = h.u_dtype;
    for (std::size_t k = 0; k < h.stages; ++k) {
        const Op& op = ops[k * stride];
        dtype = after(dtype, op);
        if (op.kind != OpKind::step) continue;
        const double before = apply_ops(ops, k, stride, u, h.u_dtype);
        if (!(std::fabs(before - op.p[0]) <= tolerance * action_scale(before))) continue;
        for (const double side : {op.p[1], op.p[2], op.p[3]})
            if (close(apply_ops(ops + (k + 1) * stride, h.stages - k - 1, stride, side, dtype))) return true;
    }
    return false;
}

}  // namespace execspec::guard
