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
#include "execspec/past_cache.hpp"

namespace execspec {

class FlatTable {
  public:
    // Nothing where the table does several things in one stage, or needs a kind that is not made flat here.
    static std::optional<FlatTable> of(const Op* ops, std::size_t stages, std::size_t dim, OpDType in) {
        FlatTable flat;
        if (dim == 0) return std::nullopt;
        flat.dim_ = dim;
        flat.lanes_ = dim * 16;
        while (flat.lanes_ < 96) flat.lanes_ += dim * 16;
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
        isa::run([&] {
            std::size_t first = 0;
            if (n * sizeof(Out) >= streamed_bytes) {
                first = (past_cache::line - reinterpret_cast<std::uintptr_t>(out) % past_cache::line) / sizeof(Out);
                for (std::size_t l = 0; l < first; l += lanes_) block(in + l, out + l, std::min(lanes_, first - l), 0);
                const std::size_t steps = stream_bytes / (lanes_ * sizeof(Out)) + 1;
                const std::size_t phase = first % dim_;
                for (; first + streams * steps * lanes_ <= n; first += streams * steps * lanes_)
                    for (std::size_t step = 0; step < steps; ++step)
                        for (std::size_t s = 0; s < streams; ++s) {
                            const std::size_t at = first + (s * steps + step) * lanes_;
                            past_cache::fetch_ahead(in + at, lanes_ * sizeof(In));
                            alignas(past_cache::line) Out values[max_lanes];
                            block(in + at, values, lanes_, phase);
                            past_cache::store(values, out + at, lanes_ * sizeof(Out));
                        }
                past_cache::finish();
            }
            for (; first < n; first += lanes_)
                block(in + first, out + first, std::min(lanes_, n - first), first % dim_);
        });
    }

  private:
    static constexpr std::size_t max_lanes = 1024;
    static constexpr std::size_t streamed_bytes = std::size_t{1} << 25;  // beyond what a cache would keep
    // Memory answers faster where several of its pages are read and written in turn, a few lines of each.
    static constexpr std::size_t streams = 12;
    static constexpr std::size_t stream_bytes = 80'000;  // pages and a half: else all would meet in the same sets

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
        for (std::size_t l = 0; l < lanes + dim; ++l) {
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

    // A block, the first of which belongs to channel `phase`. Where its values all have a lane, and one stage leads
    // there, it goes from `in` to `out` without a stop.
    template <class In, class Out>
    void block(const In* in, Out* out, std::size_t n, std::size_t phase) const {
        if (stages_.size() == 1 && n == lanes_) {
            const Stage& stage = stages_[0];
            if (stage.to == OpDType::float64) return run(stage, stage.wide, phase, in, out);
            if constexpr (std::is_same_v<In, float>) return run(stage, stage.narrow, phase, in, out);
        }
        Work work;
        if constexpr (std::is_same_v<In, float>)
            std::copy(in, in + n, work.narrow);
        else
            std::copy(in, in + n, work.wide);
        OpDType working = in_;
        for (const Stage& stage : stages_) {
            if (stage.to == OpDType::float32)
                run(stage, stage.narrow, phase, work.narrow, work.narrow);
            else if (stage.from == OpDType::float32)
                run(stage, stage.wide, phase, work.narrow, work.wide);
            else
                run(stage, stage.wide, phase, work.wide, work.wide);
            working = stage.to;
        }
        if (working == OpDType::float32)
            for (std::size_t l = 0; l < n; ++l) out[l] = static_cast<Out>(work.narrow[l]);
        else
            for (std::size_t l = 0; l < n; ++l) out[l] = static_cast<Out>(work.wide[l]);
    }

    template <class V, class W, class Out>
    void run(const Stage& stage, const Lanes<W>& lanes, std::size_t phase, const V* in, Out* out) const {
        const W* a = lanes.a.data() + phase;
        const W* b = lanes.b.data() + phase;
        const auto* keep = lanes.keep.data() + phase;
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

    std::size_t dim_ = 0;
    std::size_t lanes_ = 0;
    OpDType in_ = OpDType::float64;
    std::vector<Stage> stages_;
};

}  // namespace execspec
