// The op table: what an un-normalizer does to a channel, as rows of plain numbers, and its literal application.
//
// `Op` is laid out as `OP` of python/execspec_fast/ops.py, byte for byte. A table has `stages` rows of `dim` ops,
// row-major; stage k of channel d is ops[k * dim + d], applied from stage 0 on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace execspec {

enum class OpKind : std::int32_t {
    identity = 0,     // v; with a dtype: a cast
    clip = 1,         // lo, hi
    endpoint = 2,     // lo, hi, eps: 0.5 (v + 1) w + lo, w = hi - lo + eps
    zscore = 3,       // mean, std, eps: v (std + eps) + mean
    linear = 4,       // scale, offset
    step = 5,         // threshold, below, at, above
    to_endpoint = 6,  // lo, hi, eps: 2 (v - lo) / w - 1
    to_zscore = 7,    // mean, std, eps: (v - mean) / (std + eps)
    to_linear = 8,    // scale, offset: (v - offset) / scale
};
constexpr std::int32_t op_kinds = 9;

enum OpFlag : std::int16_t {
    eps_if_zero = 1,  // w = hi - lo, replaced by eps where it is exactly zero
    half_last = 2,    // endpoint as (v + 1) w / 2 + lo
};

// The dtype in which an op's parameters meet the value; `same` is the value's own.
enum class OpDType : std::int16_t { same = 0, float32 = 1, float64 = 2 };

struct Op {
    OpKind kind;
    std::int16_t flags;
    OpDType dtype;
    double p[4];
};
static_assert(sizeof(Op) == 40, "Op is part of the table's binary layout");

// A value of dtype V leaves an op in the op's dtype.
inline OpDType after(OpDType value, const Op& op) { return op.dtype == OpDType::same ? value : op.dtype; }

// The dtype in which a column of dtype V leaves the whole table: the widest over its channels, as an array has one.
inline OpDType result_dtype(const Op* ops, std::size_t stages, std::size_t dim, OpDType value) {
    bool wide = dim == 0 && value == OpDType::float64;
    for (std::size_t d = 0; d < dim; ++d) {
        OpDType t = value;
        for (std::size_t k = 0; k < stages; ++k) t = after(t, ops[k * dim + d]);
        wide = wide || t == OpDType::float64;
    }
    return wide ? OpDType::float64 : OpDType::float32;
}

// hi - lo + eps as the op's dtype W computes it.
template <class W>
W width(const Op& op, W lo, W hi, W eps) {
    const W w = hi - lo;
    if (op.flags & eps_if_zero) return w == W(0) ? eps : w;
    return w + eps;
}

// One op on n values, literally: what precedes the parameters in dtype V, the rest in W. `in` may equal `out`.
template <class V, class W>
void apply_op(const Op& op, const V* in, W* out, std::size_t n) noexcept {
    const W a = static_cast<W>(op.p[0]);
    const W b = static_cast<W>(op.p[1]);
    const W c = static_cast<W>(op.p[2]);
    const W d = static_cast<W>(op.p[3]);
    const auto each = [=](auto f) {
        for (std::size_t i = 0; i < n; ++i) out[i] = f(in[i]);
    };
    switch (op.kind) {
        case OpKind::identity:
            return each([](V v) { return static_cast<W>(v); });
        case OpKind::clip:
            return each([=](V u) {
                const W v = static_cast<W>(u);
                const W floored = v < a ? a : v;
                return floored > b ? b : floored;
            });
        case OpKind::endpoint: {
            const W w = width(op, a, b, c);
            if (op.flags & half_last) return each([=](V v) { return static_cast<W>(v + V(1)) * w / W(2) + a; });
            return each([=](V v) { return static_cast<W>(V(0.5) * (v + V(1))) * w + a; });
        }
        case OpKind::zscore: {
            const W s = b + c;
            return each([=](V v) { return static_cast<W>(v) * s + a; });
        }
        case OpKind::linear:
            return each([=](V v) { return static_cast<W>(v) * a + b; });
        case OpKind::step:
            return each([=](V u) {
                const W v = static_cast<W>(u);
                return v < a ? b : v > a ? d : v == a ? c : v;
            });
        case OpKind::to_endpoint: {
            const W w = width(op, a, b, c);
            return each([=](V v) { return W(2) * (static_cast<W>(v) - a) / w - W(1); });
        }
        case OpKind::to_zscore: {
            const W s = b + c;
            return each([=](V v) { return (static_cast<W>(v) - a) / s; });
        }
        case OpKind::to_linear:
            return each([=](V v) { return (static_cast<W>(v) - b) / a; });
    }
}

// The first `stages` ops of a channel on one value of dtype float32 or float64; the result, widened.
inline double apply_ops(const Op* ops, std::size_t stages, std::size_t stride, double u,
                        OpDType dtype = OpDType::float64) noexcept {
    float narrow = static_cast<float>(u);
    for (std::size_t k = 0; k < stages; ++k) {
        const Op& op = ops[k * stride];
        const OpDType next = after(dtype, op);
        if (dtype == OpDType::float64 && next == OpDType::float64) apply_op(op, &u, &u, 1);
        if (dtype == OpDType::float64 && next == OpDType::float32) apply_op(op, &u, &narrow, 1);
        if (dtype == OpDType::float32 && next == OpDType::float64) apply_op(op, &narrow, &u, 1);
        if (dtype == OpDType::float32 && next == OpDType::float32) apply_op(op, &narrow, &narrow, 1);
        dtype = next;
    }
    return dtype == OpDType::float64 ? u : static_cast<double>(narrow);
}

}  // namespace execspec
