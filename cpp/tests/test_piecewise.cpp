// Maps against the literal ops they are compiled from, at random points and exactly at every cut.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "execspec/piecewise.hpp"

using execspec::Affine;
using execspec::compile;
using execspec::Cut;
using execspec::dd;
using execspec::Op;
using execspec::OpDType;
using execspec::OpKind;
using execspec::PiecewiseMap;

namespace {

double at(const PiecewiseMap& map, double x) {
    std::size_t k = map.size() - 1;
    while (k > 0 && Cut{dd(x), false} < map[k].from) --k;
    return double(map[k].f(dd(x)));
}

double literally(const std::vector<Op>& ops, double x) {
    for (const Op& op : ops) execspec::apply_op(op, &x, &x, 1);
    return x;
}

}  // namespace

int main() {
    const Op clip_u{OpKind::clip, 0, OpDType::same, {-1, 1, 0, 0}};
    const Op falling{OpKind::endpoint, 0, OpDType::same, {0.75, -0.25, 0, 0}};
    const Op rising{OpKind::endpoint, 0, OpDType::same, {-0.25, 0.75, 0, 0}};
    const Op clip_a{OpKind::clip, 0, OpDType::same, {-0.125, 0.125, 0, 0}};
    const Op step{OpKind::step, 0, OpDType::same, {0.125, -1, 0.5, 2}};
    const Op step_flat{OpKind::step, 0, OpDType::same, {0.25, -1, 0.5, 2}};
    const Op constant{OpKind::linear, 0, OpDType::same, {0, 0.25, 0, 0}};
    const Op linear{OpKind::linear, 0, OpDType::same, {-2, 1, 0, 0}};
    const std::vector<std::vector<Op>> programs{{},
                                                {rising},
                                                {clip_u, rising, clip_a},
                                                {clip_u, falling, clip_a},
                                                {falling, step},
                                                {rising, step, linear},
                                                {constant, step_flat},
                                                {constant, clip_a},
                                                {rising, clip_a, step}};
    Random random(3);
    for (const std::vector<Op>& ops : programs) {
        const PiecewiseMap map = compile(ops.data(), ops.size(), 1);
        CHECK(!map.empty() && !execspec::is_finite(map[0].from.at));
        for (std::size_t k = 1; k < map.size(); ++k) {
            CHECK(map[k - 1].from < map[k].from);
            const double x = map[k].from.at.hi;  // dyadic parameters: cuts are doubles, and ties are met exactly
            CHECK(map[k].from.at.lo == 0.0);
            CHECK(at(map, x) == literally(ops, x));
        }
        for (int k = 0; k < 2000; ++k) {
            const double x = 4 * random();
            CHECK(std::abs(at(map, x) - literally(ops, x)) <= 1e-15);
        }
    }

    // Around a crossing that is no double, a step is where applying crosses it, float by float.
    const std::vector<Op> rough{{OpKind::endpoint, 0, OpDType::float32, {0, 0.2, 0, 0}},
                                {OpKind::step, 0, OpDType::same, {0.1 + 0.05 / 3, -1, 0, 1}}};
    const PiecewiseMap stepped = compile(rough.data(), 2, 1);
    for (double x = 1.0 / 6 - 1e-6; x < 1.0 / 6 + 1e-6; x += 1e-11)
        CHECK(at(stepped, x) == execspec::apply_ops(rough.data(), 2, 1, x));

    // A root that overflows leaves one constant piece on the reachable side.
    const std::vector<Op> flat{{OpKind::linear, 0, OpDType::same, {1e-310, 0, 0, 0}}, clip_a};
    CHECK(at(compile(flat.data(), 2, 1), 5.0) == 5e-310);

    // walk: the pieces tile the line, and the difference of a map with itself is exactly zero.
    const std::vector<Op> a{clip_u, rising, clip_a};
    const std::vector<Op> b{falling, step};
    const PiecewiseMap fa = compile(a.data(), a.size(), 1);
    const PiecewiseMap fb = compile(b.data(), b.size(), 1);
    Cut reached = execspec::first_cut;
    std::size_t pieces = 0;
    execspec::walk(fa, fb, execspec::first_cut, execspec::last_cut,
                   [&](const Cut& from, const Cut& to, const Affine& f, const Affine& g) {
                       const Affine delta = g - f;
                       CHECK(!(from < reached) && !(reached < from) && from < to);
                       reached = to;
                       ++pieces;
                       const double x = from.at.hi + 1e-9;
                       if (std::isfinite(x) && Cut{dd(x), false} < to)
                           CHECK(std::abs(double(delta(dd(x))) - (literally(b, x) - literally(a, x))) <= 1e-14);
                   });
    CHECK(reached.at.hi == execspec::infinity && pieces > fa.size());
    execspec::walk(fa, fa, execspec::first_cut, execspec::last_cut,
                   [&](const Cut&, const Cut&, const Affine& f, const Affine& g) {
                       const Affine delta = g - f;
                       CHECK(delta.scale == dd(0.0) && delta.offset == dd(0.0));
                   });
    return 0;
}
