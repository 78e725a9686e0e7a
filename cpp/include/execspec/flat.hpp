// An op table applied to contiguous rows as to one flat array: parameters repeat every D values, and are laid out
// repeated, so that a loop over them runs at the width of the machine's vectors and not at that of a row.
//
// Only for tables that in every stage do one thing, or nothing, to all channels: those of nearly every checkpoint.
// Literally what `apply_op` does, in the same dtype flow, hence with the same bits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

#include "execspec/isa.hpp"
#include "execspec/ops.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace execspec {

class FlatTable {
  public:
    // Nothing where the table does several things in one stage, or needs a kind that is not made flat here.
    static std::optional<FlatTable> of(const Op* ops, std::size_t stages, std::size_t dim, OpDType in) {
        FlatTable flat;
        if (dim == 0) return std::nullopt;
        flat.lanes_ = dim * 16;
        while (flat.lanes_ < 128) flat.lanes_ += dim * 16;
        if (flat.lanes_ > max_lanes) return std::nullopt;
        flat.in_ = in;
        std::vector<OpDType> dtype(dim, in);  // of each channel
        OpDType working = in;                 // of the lanes; a channel that nothing is done to may be narrower
        for (std::size_t k = 0; k < stages; ++k) {
            const Op* row = ops + k * dim;
            const Op* busy = std::find_if(row, row + dim, [](const Op& op) { return op.kind != OpKind::identity; });
            const Op& op = busy == row + dim ? row[0] : *busy;
            const OpDType next = after(working, op);
            if (!flattens(op.kind) || (working == OpDType::float64 && next == OpDType::float32)) return std::nullopt;
            for (std::size_t d = 0; d < dim; ++d) {
                const OpDType own = after(dtype[d], row[d]);
                const bool kept = row[d].kind == OpKind::identity && (own == dtype[d] || own == next);
                const bool done =
                    row[d].kind == op.kind && row[d].flags == op.flags && dtype[d] == working && own == next;
                if (!kept && !done) return std::nullopt;
                dtype[d] = own;
            }
            flat.stages_.push_back({op.kind, op.flags, working, next, {}, {}});
            if (next == OpDType::float32)
                flat.stages_.back().narrow = lay_out<float>(row, dim, flat.lanes_);
            else
                flat.stages_.back().wide = lay_out<double>(row, dim, flat.lanes_);
            working = next;
        }
        return working == result_dtype(ops, stages, dim, in) ? std::optional<FlatTable>(flat) : std::nullopt;
    }

    // `n` values of whole rows. `in` and `out` are the same memory, or disjoint.
    template <class In, class Out>
    void apply(const In* in, Out* out, std::size_t n) const {
        const bool stream = n * sizeof(Out) >= streamed_bytes;
        isa::run([&] {
            for (std::size_t first = 0; first < n; first += lanes_)
                block(in + first, out + first, std::min(lanes_, n - first), stream);
        });
    }

  private:
    static constexpr std::size_t max_lanes = 1024;
    static constexpr std::size_t streamed_bytes = std::size_t{1} << 25;  // beyond what a cache would keep

    template <class W>
    struct Lanes {
        std::vector<W> a, b;  // per kind: clip lo, hi; endpoint lo, width; zscore mean, deviation; linear scale, offset
        std::vector<std::conditional_t<std::is_same_v<W, float>, std::int32_t, std::int64_t>> keep;
    };

    struct Stage {
        OpKind kind;
        std::int16_t flags;
        OpDType from;
        OpDType to;
        Lanes<float> narrow;
        Lanes<double> wide;
    };

    struct Work {
        alignas(64) float narrow[max_lanes];
        alignas(64) double wide[max_lanes];
    };

    static bool flattens(OpKind kind) {
        return kind == OpKind::identity || kind == OpKind::clip || kind == OpKind::endpoint || kind == OpKind::zscore ||
               kind == OpKind::linear;
    }

    template <class W>
    static Lanes<W> lay_out(const Op* row, std::size_t dim, std::size_t lanes) {
        Lanes<W> out;
        for (std::size_t l = 0; l < lanes; ++l) {
            const Op& op = row[l % dim];
            const W a = static_cast<W>(op.p[0]);
            const W b = static_cast<W>(op.p[1]);
            const W c = static_cast<W>(op.p[2]);
            out.keep.push_back(op.kind == OpKind::identity ? -1 : 0);
            out.a.push_back(a);
            out.b.push_back(op.kind == OpKind::endpoint ? width(op, a, b, c) : op.kind == OpKind::zscore ? b + c : b);
        }
        return out;
    }

    // A block whose values all have a lane goes from `in` to `out` without a stop where one stage leads there.
    template <class In, class Out>
    void block(const In* in, Out* out, std::size_t n, bool stream) const {
        if (stages_.size() == 1 && n == lanes_) {
            if (!stream && in_place<In, Out>(stages_[0], in, out)) return;
            // Stores past the cache leave the machine's own reading ahead behind.
            for (std::size_t l = 0; stream && l < n; l += 64 / sizeof(In)) __builtin_prefetch(in + 4 * n + l);
            alignas(64) Out cast[max_lanes];
            if (stream && in_place<In, Out>(stages_[0], in, cast)) return store_past_cache(cast, out, n);
        }
        Work work;
        if constexpr (std::is_same_v<In, float>)
            std::copy(in, in + n, work.narrow);
        else
            std::copy(in, in + n, work.wide);
        OpDType working = in_;
        for (const Stage& stage : stages_) {
            if (stage.to == OpDType::float32)
                run(stage, stage.narrow, work.narrow, work.narrow);
            else if (stage.from == OpDType::float32)
                run(stage, stage.wide, work.narrow, work.wide);
            else
                run(stage, stage.wide, work.wide, work.wide);
            working = stage.to;
        }
        if (working == OpDType::float32)
            store(work.narrow, out, n, stream);
        else
            store(work.wide, out, n, stream);
    }

    template <class In, class Out>
    bool in_place(const Stage& stage, const In* in, Out* out) const {
        if (stage.to == OpDType::float64) {
            run(stage, stage.wide, in, out);
            return true;
        }
        if constexpr (std::is_same_v<In, float>) {
            run(stage, stage.narrow, in, out);
            return true;
        }
        return false;
    }

    template <class V, class W, class Out>
    void run(const Stage& stage, const Lanes<W>& lanes, const V* in, Out* out) const {
        const W* a = lanes.a.data();
        const W* b = lanes.b.data();
        const auto* keep = lanes.keep.data();
        const auto each = [=, this](auto f) {
            for (std::size_t l = 0; l < lanes_; ++l) {
                const V v = in[l];
                const W value = f(v, a[l], b[l]);
                out[l] = static_cast<Out>(keep[l] ? static_cast<W>(v) : value);
            }
        };
        switch (stage.kind) {
            case OpKind::clip:
                return each([](V u, W lo, W hi) {
                    const W v = static_cast<W>(u);
                    const W floored = v < lo ? lo : v;
                    return floored > hi ? hi : floored;
                });
            case OpKind::endpoint:
                if (stage.flags & half_last)
                    return each([](V v, W lo, W w) { return static_cast<W>(v + V(1)) * w / W(2) + lo; });
                return each([](V v, W lo, W w) { return static_cast<W>(V(0.5) * (v + V(1))) * w + lo; });
            case OpKind::zscore:
                return each([](V v, W mean, W s) { return static_cast<W>(v) * s + mean; });
            case OpKind::linear:
                return each([](V v, W scale, W offset) { return static_cast<W>(v) * scale + offset; });
            default:
                return each([](V v, W, W) { return static_cast<W>(v); });
        }
    }

    template <class W, class Out>
    static void store(const W* work, Out* out, std::size_t n, bool stream) {
        if (!stream) {
            for (std::size_t l = 0; l < n; ++l) out[l] = static_cast<Out>(work[l]);
            return;
        }
        alignas(64) Out cast[max_lanes];
        for (std::size_t l = 0; l < n; ++l) cast[l] = static_cast<Out>(work[l]);
        store_past_cache(cast, out, n);
    }

    // A large result would be read into the cache before it is written, and push out what is there.
    template <class Out>
    static void store_past_cache(const Out* from, Out* out, std::size_t n) {
#if defined(__SSE2__)
        if (reinterpret_cast<std::uintptr_t>(out) % 16 == 0 && n * sizeof(Out) % 16 == 0) {
            for (std::size_t l = 0; l < n; l += 16 / sizeof(Out))
                _mm_stream_si128(reinterpret_cast<__m128i*>(out + l),
                                 _mm_load_si128(reinterpret_cast<const __m128i*>(from + l)));
            return;
        }
#endif
        std::copy(from, from + n, out);
    }

    std::size_t lanes_ = 0;
    OpDType in_ = OpDType::float64;
    std::vector<Stage> stages_;
};

}  // namespace execspec
