// The op table's layout, its literal application, dtype flow, and thread counts that change no bit.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "execspec/ops.hpp"
#include "execspec/unnormalizer.hpp"

using execspec::Op;
using execspec::OpDType;
using execspec::OpKind;
using execspec::Rows;
using execspec::Unnormalizer;

namespace {

template <class In, class Out>
std::vector<Out> run(const Unnormalizer& f, const std::vector<In>& u, std::size_t threads) {
    const auto dim = static_cast<std::ptrdiff_t>(f.dim());
    std::vector<Out> a(u.size());
    const auto in = static_cast<std::ptrdiff_t>(sizeof(In));
    const auto out = static_cast<std::ptrdiff_t>(sizeof(Out));
    f.apply<In, Out>({u.data(), in * dim, in}, {a.data(), out * dim, out}, u.size() / f.dim(), threads);
    return a;
}

Unnormalizer one(const Op& op) { return Unnormalizer({op}, 1, {}, {0}); }

}  // namespace

int main() {
    static_assert(offsetof(Op, kind) == 0 && offsetof(Op, flags) == 4 && offsetof(Op, dtype) == 6 &&
                  offsetof(Op, p) == 8);

    const double lo = -0.1;
    const double hi = 0.3;
    const Unnormalizer own = one({OpKind::endpoint, 0, OpDType::same, {lo, hi, 1e-8, 0}});
    const Unnormalizer promoted = one({OpKind::endpoint, 0, OpDType::float64, {lo, hi, 1e-8, 0}});
    CHECK(own.native_dtype(OpDType::float32) == OpDType::float32);
    CHECK(promoted.native_dtype(OpDType::float32) == OpDType::float64);
    Random random(2);
    for (int k = 0; k < 10000; ++k) {
        const double u = random() * 3;
        const auto v = static_cast<float>(u);
        CHECK((run<double, double>(own, {u}, 1)[0] == 0.5 * (u + 1) * (hi - lo + 1e-8) + lo));
        const float w = static_cast<float>(hi) - static_cast<float>(lo) + 1e-8f;
        CHECK((run<float, float>(own, {v}, 1)[0] == 0.5f * (v + 1) * w + static_cast<float>(lo)));
        // NumPy: `0.5 * (u + 1)` in float32, then float64 statistics
        CHECK((run<float, double>(promoted, {v}, 1)[0] == static_cast<double>(0.5f * (v + 1)) * (hi - lo + 1e-8) + lo));
    }

    const Unnormalizer guarded = one({OpKind::endpoint, execspec::eps_if_zero, OpDType::same, {0.5, 0.5, 1e-8, 0}});
    CHECK((run<double, double>(guarded, {1.0}, 1)[0] == 2.0 / 2 * 1e-8 + 0.5));
    const Unnormalizer clip = one({OpKind::clip, 0, OpDType::same, {-1, 1, 0, 0}});
    CHECK((run<double, double>(clip, {-7.0}, 1)[0] == -1.0 && run<double, double>(clip, {7.0}, 1)[0] == 1.0));
    CHECK(std::isnan(run<double, double>(clip, {std::nan("")}, 1)[0]));
    const Unnormalizer step = one({OpKind::step, 0, OpDType::same, {0.5, -1, 0, 1}});
    CHECK((run<double, double>(step, {0.4}, 1)[0] == -1 && run<double, double>(step, {0.5}, 1)[0] == 0));
    CHECK((run<double, double>(step, {0.6}, 1)[0] == 1 && std::isnan(run<double, double>(step, {std::nan("")}, 1)[0])));

    std::vector<Op> ops;
    for (int d = 0; d < 7; ++d) ops.push_back({OpKind::zscore, 0, OpDType::float64, {random(), random(), 1e-6, 0}});
    const Unnormalizer f(ops, 7, {}, std::vector<std::uint8_t>(7, 0));
    std::vector<float> u(7 * 1237);
    for (float& x : u) x = static_cast<float>(random());
    const std::vector<double> single = run<float, double>(f, u, 1);
    for (const std::size_t threads : {2, 3, 64}) {
        const std::vector<double> several = run<float, double>(f, u, threads);
        CHECK(std::memcmp(single.data(), several.data(), single.size() * sizeof(double)) == 0);
    }
    return 0;
}
