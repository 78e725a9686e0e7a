// Drift of a pair: the difference f_j - f_i of two channels' maps, measured over a column of actions.
//
// Each metric is a fold over `visit_pieces`; a new one is a new fold. This is the definition, for any maps and any
// column; `line_pairs.hpp` computes the same for pairs of lines, faster.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "execspec/empirical.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/place.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

// E |delta|: |delta| is affine on either side of a root.
template <class Column>
double mean_abs(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    dd sum;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        const Affine delta = h - f;
        const Affine g = x.frame().local(delta);
        if (sign(delta.scale) != 0) {
            const Cut root{delta.solve(dd(0.0)), false};
            if (a.cut < root && root < b.cut) {
                const Place m = x.place(root);
                sum += abs(integrate(g, a, m)) + abs(integrate(g, m, b));
                return;
            }
        }
        sum += abs(integrate(g, a, b));
    });
    return double(sum / x.total());
}

// E delta.
template <class Column>
double bias(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    dd sum;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        sum += integrate(x.frame().local(h - f), a, b);
    });
    return double(sum / x.total());
}

// max |delta| over the support: an affine piece is largest at one of its ends.
template <class Column>
double max_abs(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    double largest = 0.0;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        const Affine delta = h - f;
        largest = std::max({largest, std::abs(delta.limit(dd(a.next))), std::abs(delta.limit(dd(b.last)))});
    });
    return largest;
}

// The mass of delta < lo or delta > hi. A value at a limit is inside.
template <class Column>
dd mass_outside(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj, double lo, double hi) {
    dd mass;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        const Affine delta = h - f;
        if (sign(delta.scale) == 0) {
            if (delta.offset < dd(lo) || delta.offset > dd(hi)) mass += b.mass - a.mass;
            return;
        }
        const bool rising = sign(delta.scale) > 0;
        const double first = rising ? lo : hi;
        const double second = rising ? hi : lo;
        const Cut enter = std::isfinite(first) ? Cut{delta.solve(dd(first)), false} : first_cut;
        const Cut leave = std::isfinite(second) ? Cut{delta.solve(dd(second)), true} : last_cut;
        if (a.cut < enter) mass += x.place(detail::earlier(enter, b.cut)).mass - a.mass;
        if (leave < b.cut) mass += b.mass - x.place(detail::later(leave, a.cut)).mass;
    });
    return mass;
}

// P(|delta| > eps).
template <class Column>
double exceeds(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj, double eps) {
    return double(mass_outside(x, fi, fj, -eps, eps) / x.total());
}

// P(f(u) < lo or f(u) > hi): how often a clip to [lo, hi] changes an action.
template <class Column>
double outside(const Column& x, const PiecewiseMap& f, double lo, double hi) {
    const PiecewiseMap zero{{first_cut, {dd(0.0), dd(0.0)}}};
    return double(mass_outside(x, zero, f, lo, hi) / x.total());
}

// The p-quantile of |delta|, 0 < p <= 1: the least double that p of the mass does not exceed (inverted distribution
// function), by bisection over the doubles.
template <class Column>
double quantile(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj, double p) {
    const double largest = max_abs(x, fi, fj);
    const dd most = x.total() - x.quota(p);
    return detail::first_where(0.0, largest, [&](double y) { return mass_outside(x, fi, fj, -y, y) <= most; });
}

// P(f_i f_j < 0), or with `zeros` P(f_i f_j = 0).
template <class Column>
double flips(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj, bool zeros) {
    struct Sign {  // of a line: `-rising` before the root, zero at it, `rising` after; the same everywhere if constant
        int rising;
        Cut root;
        Cut past;

        explicit Sign(const Affine& f) : rising(sign(f.scale)), root(last_cut), past(last_cut) {
            if (rising == 0) {
                rising = -sign(f.offset);
                return;
            }
            const dd at = f.solve(dd(0.0));
            root = {at, false};
            past = {at, true};
        }
        int before(const Cut& to) const { return to < root || !(root < to) ? -rising : past < to ? rising : 0; }
    };
    dd mass;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        const Sign si(f);
        const Sign sj(h);
        Cut cuts[] = {si.root, si.past, sj.root, sj.past, b.cut};
        std::sort(std::begin(cuts), std::end(cuts));
        Place from = a;
        for (const Cut& cut : cuts) {  // between two cuts neither sign changes
            const Cut& end = detail::earlier(cut, b.cut);
            if (!(from.cut < end)) continue;
            const int product = si.before(end) * sj.before(end);
            const Place to = x.place(end);
            if (zeros ? product == 0 : product < 0) mass += to.mass - from.mass;
            from = to;
        }
    });
    return double(mass / x.total());
}

// sqrt(E delta^2), in units of a power of two near the largest |delta| so that no square under- or overflows.
template <class Column>
double rms(const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    double largest = max_abs(x, fi, fj);
    double steepest = 0.0;
    visit_pieces(x, fi, fj, [&](const Place&, const Place&, const Affine& f, const Affine& h) {
        const Affine g = x.frame().local(h - f);
        steepest = std::max({steepest, std::abs(g.scale.hi), std::abs(g.offset.hi)});
    });
    if (largest == 0.0) return 0.0;
    if (!std::isfinite(largest)) largest = steepest;
    const int exponent = std::max(std::ilogb(largest), std::ilogb(steepest) - 1000);
    dd sum;
    visit_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& f, const Affine& h) {
        const Affine g = x.frame().local(h - f);
        sum += x.integrate_square({scale_by_power(g.scale, -exponent), scale_by_power(g.offset, -exponent)}, a, b);
    });
    return std::ldexp(std::sqrt(std::max(0.0, double(sum / x.total()))), exponent);
}

// sup |delta| over the domain of u, one-sided limits at jumps included; infinite if nothing bounds it.
inline double worst_case(const Domain& domain, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    if (!domain.points.empty()) return max_abs(Empirical(domain.points), fi, fj);
    double largest = 0.0;
    walk(fi, fj, Cut{dd(domain.lo), false}, Cut{dd(domain.hi), true},
         [&](const Cut& from, const Cut& to, const Affine& f, const Affine& h) {
             const Affine delta = h - f;
             largest = std::max({largest, std::abs(delta.limit(from.at)), std::abs(delta.limit(to.at))});
         });
    return largest;
}

}  // namespace execspec
