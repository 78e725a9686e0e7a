// What a spec compiles to: the op table, its literal application to batches, and one piecewise-affine map per channel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "execspec/flat.hpp"
#include "execspec/ops.hpp"
#include "execspec/parallel.hpp"
#include "execspec/piecewise.hpp"

namespace execspec {

// What the policy head can emit: an interval, possibly unbounded, or exactly `points` (sorted).
struct Domain {
    double lo = -infinity;
    double hi = infinity;
    std::vector<double> points;
};

// Rows of channels in memory, strides in bytes.
template <class T>
struct Rows {
    T* data;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t channel_stride;

    T& at(std::size_t row, std::size_t channel) const {
        using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        return *reinterpret_cast<T*>(reinterpret_cast<Byte*>(data) + static_cast<std::ptrdiff_t>(row) * row_stride +
                                     static_cast<std::ptrdiff_t>(channel) * channel_stride);
    }
};

class Unnormalizer {
  public:
    // `ops`: stages x dim, row-major. `gripper`: one flag per channel; such channels stay out of means over channels.
    Unnormalizer(std::vector<Op> ops, std::size_t dim, Domain domain, std::vector<std::uint8_t> gripper)
        : ops_(std::move(ops)), dim_(dim), domain_(std::move(domain)), gripper_(std::move(gripper)) {
        for (std::size_t d = 0; d < dim_; ++d) maps_.push_back(compile(ops_.data() + d, stages(), dim_));
        flat_narrow_ = FlatTable::of(ops_.data(), stages(), dim_, OpDType::float32);
        flat_wide_ = FlatTable::of(ops_.data(), stages(), dim_, OpDType::float64);
    }

    std::size_t dim() const { return dim_; }
    std::size_t stages() const { return dim_ ? ops_.size() / dim_ : 0; }
    const Op* ops() const { return ops_.data(); }
    const PiecewiseMap& map(std::size_t channel) const { return maps_[channel]; }
    const Domain& domain() const { return domain_; }
    bool is_gripper(std::size_t channel) const { return gripper_[channel] != 0; }

    OpDType native_dtype(OpDType in) const { return result_dtype(ops(), stages(), dim_, in); }

    // A single line with a slope has an inverse; a constant, a clip or a step has none.
    bool invertible(std::size_t channel) const {
        const PiecewiseMap& m = maps_[channel];
        return m.size() == 1 && sign(m[0].f.scale) != 0;
    }

    // The op table, literally. The ecosystem's own result (`native_dtype`) is rounded to Out if that differs.
    // `in` and `out` are the same memory, or disjoint.
    template <class In, class Out>
    void apply(Rows<const In> in, Rows<Out> out, std::size_t rows, std::size_t threads) const {
        constexpr OpDType in_dtype = std::is_same_v<In, float> ? OpDType::float32 : OpDType::float64;
        const OpDType native = native_dtype(in_dtype);
        const std::optional<FlatTable>& flat = in_dtype == OpDType::float32 ? flat_narrow_ : flat_wide_;
        const bool contiguous = is_contiguous(in) && is_contiguous(out);
        parallel_for(rows, threads, [&](std::size_t begin, std::size_t end) {
            if (flat && contiguous && end - begin >= 16) {
                flat->apply(in.data + begin * dim_, out.data + begin * dim_, (end - begin) * dim_);
                return;
            }
            Block block;
            for (std::size_t row = begin; row < end; row += block_rows) {
                const std::size_t n = std::min(block_rows, end - row);
                for (std::size_t d = 0; d < dim_; ++d) {
                    In* u = block.as<In>();
                    for (std::size_t r = 0; r < n; ++r) u[r] = in.at(row + r, d);
                    OpDType dtype = in_dtype;
                    for (std::size_t k = 0; k < stages(); ++k) dtype = block.apply(ops_[k * dim_ + d], dtype, n);
                    if (native == OpDType::float64)
                        block.store<double>(dtype, out, row, d, n);
                    else
                        block.store<float>(dtype, out, row, d, n);
                }
            }
        });
    }

    // The exact inverse, rounded once: u = (a - offset) / scale in double-double. Needs invertible(d) for all d.
    template <class T>
    void inverse(Rows<const T> in, Rows<T> out, std::size_t rows, std::size_t threads) const {
        parallel_for(rows, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t d = 0; d < dim_; ++d) {
                const Affine f = maps_[d][0].f;
                for (std::size_t r = begin; r < end; ++r) {
                    const double a = static_cast<double>(in.at(r, d));
                    const double u = std::isfinite(a) ? double((dd(a) - f.offset) / f.scale) : a * sign(f.scale);
                    out.at(r, d) = static_cast<T>(u);
                }
            }
        });
    }

  private:
    static constexpr std::size_t block_rows = 64;

    // One channel of a block of rows on its way through the ops, as float or as double.
    class Block {
      public:
        template <class T>
        T* as() {
            if constexpr (std::is_same_v<T, float>)
                return narrow_;
            else
                return wide_;
        }

        OpDType apply(const Op& op, OpDType dtype, std::size_t n) {
            const OpDType next = after(dtype, op);
            if (dtype == OpDType::float32 && next == OpDType::float32) apply_op(op, narrow_, narrow_, n);
            if (dtype == OpDType::float32 && next == OpDType::float64) apply_op(op, narrow_, wide_, n);
            if (dtype == OpDType::float64 && next == OpDType::float32) apply_op(op, wide_, narrow_, n);
            if (dtype == OpDType::float64 && next == OpDType::float64) apply_op(op, wide_, wide_, n);
            return next;
        }

        template <class Native, class Out>
        void store(OpDType dtype, Rows<Out> out, std::size_t row, std::size_t channel, std::size_t n) {
            for (std::size_t r = 0; r < n; ++r) {
                const Native v =
                    dtype == OpDType::float32 ? static_cast<Native>(narrow_[r]) : static_cast<Native>(wide_[r]);
                out.at(row + r, channel) = static_cast<Out>(v);
            }
        }

      private:
        float narrow_[block_rows];
        double wide_[block_rows];
    };

    template <class T>
    bool is_contiguous(const Rows<T>& rows) const {
        constexpr auto size = static_cast<std::ptrdiff_t>(sizeof(T));
        return (dim_ == 1 || rows.channel_stride == size) &&
               rows.row_stride == size * static_cast<std::ptrdiff_t>(dim_);
    }

    std::vector<Op> ops_;
    std::size_t dim_;
    std::vector<PiecewiseMap> maps_;
    std::optional<FlatTable> flat_narrow_;  // for float32 input
    std::optional<FlatTable> flat_wide_;    // for float64
    Domain domain_;
    std::vector<std::uint8_t> gripper_;
};

}  // namespace execspec
