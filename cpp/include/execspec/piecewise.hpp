// A channel's op list as one piecewise-affine function of u, in exact real arithmetic (double-double coefficients).
//
// Applying reads the op table; analysing reads these maps. Both come from the same ops and meet nowhere else.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/ops.hpp"

namespace execspec {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double largest_action = 1e150;  // beyond it products of two overflow; samples and figures end there

// A place between real numbers: just before `at`, or just after it. A jump at t needs both: (-, before) (point) (after,
// +).
struct Cut {
    dd at;
    bool after = false;
};

inline bool operator<(const Cut& a, const Cut& b) { return a.at < b.at || (a.at == b.at && !a.after && b.after); }

constexpr Cut first_cut{dd(-infinity), false};
constexpr Cut last_cut{dd(infinity), true};

struct Affine {
    dd scale;
    dd offset;

    dd operator()(dd x) const { return scale * x + offset; }

    // The limit at x, which may be infinite.
    double limit(dd x) const {
        if (sign(scale) == 0) return double(offset);
        if (!is_finite(x)) return sign(scale) * x.hi;
        return double((*this)(x));
    }

    // Where the line reaches y; needs scale != 0. A root that is a double is returned as one, so that ties are seen.
    dd solve(dd y) const {
        const dd x = (y - offset) / scale;
        return (*this)(dd(x.hi)) == y ? dd(x.hi) : x;
    }
};

inline Affine operator-(const Affine& f, const Affine& g) { return {f.scale - g.scale, f.offset - g.offset}; }

// `f` holds from `from` up to the next piece's `from`.
struct Piece {
    Cut from;
    Affine f;
};

// At least one piece; the first begins at -infinity; cuts increase.
using PiecewiseMap = std::vector<Piece>;

namespace detail {

inline void add(PiecewiseMap& map, const Cut& from, const Cut& to, const Affine& f) {
    if (from < to) map.push_back({from, f});
}

inline const Cut& later(const Cut& a, const Cut& b) { return a < b ? b : a; }
inline const Cut& earlier(const Cut& a, const Cut& b) { return a < b ? a : b; }

inline dd exact_width(const Op& op) {
    const dd w = dd(op.p[1]) - dd(op.p[0]);
    if (op.flags & eps_if_zero) return sign(w) == 0 ? dd(op.p[2]) : w;
    return w + dd(op.p[2]);
}

// The affine kinds as v -> scale v + offset.
inline Affine coefficients(const Op& op) {
    switch (op.kind) {
        case OpKind::endpoint: {
            const dd half = exact_width(op) * dd(0.5);
            return {half, half + dd(op.p[0])};
        }
        case OpKind::zscore:
            return {dd(op.p[1]) + dd(op.p[2]), dd(op.p[0])};
        case OpKind::linear:
            return {dd(op.p[0]), dd(op.p[1])};
        case OpKind::to_endpoint: {
            const dd scale = dd(2.0) / exact_width(op);
            return {scale, -(scale * dd(op.p[0])) - dd(1.0)};
        }
        case OpKind::to_zscore: {
            const dd scale = dd(1.0) / (dd(op.p[1]) + dd(op.p[2]));
            return {scale, -(scale * dd(op.p[0]))};
        }
        case OpKind::to_linear: {
            const dd scale = dd(1.0) / dd(op.p[0]);
            return {scale, -(scale * dd(op.p[1]))};
        }
        default:
            return {dd(1.0), dd(0.0)};
    }
}

// One piece f on [from, to) followed by a clip: constant, f itself, constant.
inline void add_clipped(PiecewiseMap& map, const Cut& from, const Cut& to, const Affine& f, double lo, double hi) {
    const Affine floor{dd(0.0), dd(lo)};
    const Affine ceiling{dd(0.0), dd(hi)};
    if (sign(f.scale) == 0) return add(map, from, to, f.offset < dd(lo) ? floor : f.offset > dd(hi) ? ceiling : f);
    const bool rising = sign(f.scale) > 0;
    const double first = rising ? lo : hi;
    const double second = rising ? hi : lo;
    const Cut enter = std::isfinite(first) ? Cut{f.solve(dd(first)), false} : first_cut;
    const Cut leave = std::isfinite(second) ? Cut{f.solve(dd(second)), false} : last_cut;
    add(map, from, earlier(to, enter), rising ? floor : ceiling);
    add(map, later(from, enter), earlier(to, leave), f);
    add(map, later(from, leave), to, rising ? ceiling : floor);
}

// The least double at or after a cut.
inline double ceil_of(const Cut& cut) {
    const bool through = cut.at.lo > 0.0 || (cut.at.lo == 0.0 && cut.after);
    return through ? std::nextafter(cut.at.hi, infinity) : cut.at.hi;
}

// The first double in [from, to) from which on `holds`, by bisection over their bit patterns; `to` if there is none.
template <class Predicate>
double first_where(double from, double to, Predicate&& holds) {
    const auto ordered = [](double x) {  // integers in the order of the doubles
        std::int64_t bits;
        std::memcpy(&bits, &x, sizeof bits);
        return bits < 0 ? std::numeric_limits<std::int64_t>::min() - bits : bits;
    };
    const auto number = [](std::int64_t k) {
        const std::int64_t bits = k < 0 ? std::numeric_limits<std::int64_t>::min() - k : k;
        double x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    };
    std::int64_t lo = ordered(from);
    std::int64_t hi = ordered(to);
    while (lo < hi) {
        const std::int64_t middle = (lo & hi) + ((lo ^ hi) >> 1);
        if (holds(number(middle)))
            hi = middle;
        else
            lo = middle + 1;
    }
    return number(lo);
}

// One piece f on [from, to) followed by a step: constant, the value at the threshold, constant. `side(u)` is where what
// applying computes for u lies: below the threshold, at it or above, as -1, 0 or 1. That decides, and not the real
// number that it approximates; rounding keeps order, so there is one crossing.
template <class Side>
void add_stepped(PiecewiseMap& map, const Cut& from, const Cut& to, const Affine& f, const Op& op, Side&& side) {
    const auto constant = [](double value) { return Affine{dd(0.0), dd(value)}; };
    const double first = std::max(ceil_of(from), -largest_action);
    const double last = std::min(ceil_of(to), largest_action);
    if (sign(f.scale) == 0) {
        const double where = side(std::min(std::max(0.0, first), last));
        return add(map, from, to, constant(where < 0.0 ? op.p[1] : where > 0.0 ? op.p[3] : op.p[2]));
    }
    const int rising = sign(f.scale);
    const double enter = first_where(first, last, [&](double u) { return rising * side(u) >= 0.0; });
    const double leave = first_where(enter, last, [&](double u) { return rising * side(u) > 0.0; });
    const Cut at = enter < last ? Cut{dd(enter), false} : to;
    const Cut after = leave < last ? Cut{dd(leave), false} : to;
    add(map, from, earlier(to, at), constant(rising > 0 ? op.p[1] : op.p[3]));
    add(map, later(from, at), earlier(to, after), constant(op.p[2]));
    add(map, later(from, after), to, constant(rising > 0 ? op.p[3] : op.p[1]));
}

}  // namespace detail

// `side` as in `add_stepped`; only a step asks.
template <class Side>
PiecewiseMap then(const PiecewiseMap& map, const Op& op, Side&& side) {
    PiecewiseMap out;
    const Affine g = detail::coefficients(op);
    for (std::size_t k = 0; k < map.size(); ++k) {
        const Cut& from = map[k].from;
        const Cut& to = k + 1 < map.size() ? map[k + 1].from : last_cut;
        const Affine& f = map[k].f;
        if (op.kind == OpKind::identity) {
            out.push_back(map[k]);
        } else if (op.kind == OpKind::clip) {
            detail::add_clipped(out, from, to, f, op.p[0], op.p[1]);
        } else if (op.kind == OpKind::step) {
            detail::add_stepped(out, from, to, f, op, side);
        } else {
            detail::add(out, from, to, {g.scale * f.scale, g.scale * f.offset + g.offset});
        }
    }
    return out;
}

// The map of one channel: `stages` ops, `stride` apart.
inline PiecewiseMap compile(const Op* ops, std::size_t stages, std::size_t stride) {
    PiecewiseMap map{{first_cut, {dd(1.0), dd(0.0)}}};
    std::vector<Op> before;
    for (std::size_t k = 0; k < stages; ++k) {
        const Op& op = ops[k * stride];
        before.push_back({OpKind::step, op.flags, op.dtype, {op.p[0], -1.0, 0.0, 1.0}});
        map = then(map, op, [&](double u) { return apply_ops(before.data(), k + 1, 1, u); });
        before.back() = op;
    }
    return map;
}

// Calls visit(from, to, f_i, f_j) on the common pieces of two maps from left to right, restricted to [begin, end).
template <class Visit>
void walk(const PiecewiseMap& fi, const PiecewiseMap& fj, const Cut& begin, const Cut& end, Visit&& visit) {
    std::size_t i = 0;
    std::size_t j = 0;
    Cut from = begin;
    while (from < end) {
        while (i + 1 < fi.size() && !(from < fi[i + 1].from)) ++i;
        while (j + 1 < fj.size() && !(from < fj[j + 1].from)) ++j;
        Cut to = end;
        if (i + 1 < fi.size()) to = detail::earlier(to, fi[i + 1].from);
        if (j + 1 < fj.size()) to = detail::earlier(to, fj[j + 1].from);
        visit(from, to, fi[i].f, fj[j].f);
        from = to;
    }
}

}  // namespace execspec
