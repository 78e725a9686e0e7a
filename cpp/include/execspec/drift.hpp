// Drift of a pair: the difference f_j - f_i of two channels' maps, measured over a column of actions.
//
// Each metric is a fold over `integrate_pieces`; a new one is a new fold.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <variant>
#include <vector>

#include "execspec/piecewise.hpp"
#include "execspec/sample.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

// E |delta|: |delta| is affine on either side of a root.
template <class AnyColumn>
double mean_abs(const AnyColumn& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    dd sum;
    integrate_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& delta) {
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
template <class AnyColumn>
double bias(const AnyColumn& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    dd sum;
    integrate_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& delta) {
        sum += integrate(x.frame().local(delta), a, b);
    });
    return double(sum / x.total());
}

// max |delta| over the support: an affine piece is largest at one of its ends.
template <class AnyColumn>
double max_abs(const AnyColumn& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    double largest = 0.0;
    integrate_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& delta) {
        largest = std::max({largest, std::abs(delta.limit(dd(a.next))), std::abs(delta.limit(dd(b.last)))});
    });
    return largest;
}

// P(f(u) < lo or f(u) > hi): how often a clip to [lo, hi] changes an action. A value at a limit stays.
template <class AnyColumn>
double outside(const AnyColumn& x, const PiecewiseMap& f, double lo, double hi) {
    const PiecewiseMap zero{{first_cut, {dd(0.0), dd(0.0)}}};
    dd mass;
    integrate_pieces(x, zero, f, [&](const Place& a, const Place& b, const Affine& g) {
        if (sign(g.scale) == 0) {
            if (g.offset < dd(lo) || g.offset > dd(hi)) mass += b.mass - a.mass;
            return;
        }
        const bool rising = sign(g.scale) > 0;
        const double first = rising ? lo : hi;
        const double second = rising ? hi : lo;
        const Cut enter = std::isfinite(first) ? Cut{g.solve(dd(first)), false} : first_cut;
        const Cut leave = std::isfinite(second) ? Cut{g.solve(dd(second)), true} : last_cut;
        if (a.cut < enter) mass += x.place(detail::earlier(enter, b.cut)).mass - a.mass;
        if (leave < b.cut) mass += b.mass - x.place(detail::later(leave, a.cut)).mass;
    });
    return double(mass / x.total());
}

// sqrt(E delta^2), in units of a power of two near the largest |delta| so that no square under- or overflows.
template <class AnyColumn>
double rms(const AnyColumn& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    double largest = max_abs(x, fi, fj);
    double steepest = 0.0;
    integrate_pieces(x, fi, fj, [&](const Place&, const Place&, const Affine& delta) {
        const Affine g = x.frame().local(delta);
        steepest = std::max({steepest, std::abs(g.scale.hi), std::abs(g.offset.hi)});
    });
    if (largest == 0.0) return 0.0;
    if (!std::isfinite(largest)) largest = steepest;
    const int exponent = std::max(std::ilogb(largest), std::ilogb(steepest) - 1000);
    dd sum;
    integrate_pieces(x, fi, fj, [&](const Place& a, const Place& b, const Affine& delta) {
        const Affine g = x.frame().local(delta);
        sum += x.integrate_square({scale_by_power(g.scale, -exponent), scale_by_power(g.offset, -exponent)}, a, b);
    });
    return std::ldexp(std::sqrt(std::max(0.0, double(sum / x.total()))), exponent);
}

// sup |delta| over the domain of u, one-sided limits at jumps included; infinite if nothing bounds it.
inline double worst_case(const Domain& domain, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    if (!domain.points.empty()) return max_abs(Empirical(domain.points), fi, fj);
    double largest = 0.0;
    walk(fi, fj, Cut{dd(domain.lo), false}, Cut{dd(domain.hi), true},
         [&](const Cut& from, const Cut& to, const Affine& delta) {
             largest = std::max({largest, std::abs(delta.limit(from.at)), std::abs(delta.limit(to.at))});
         });
    return largest;
}

enum class Metric { mean_abs, bias, rms, max, worst_case };

inline double measure(Metric metric, const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
                      std::size_t channel) {
    const PiecewiseMap& fi = i.map(channel);
    const PiecewiseMap& fj = j.map(channel);
    if (metric == Metric::worst_case) return worst_case(i.domain(), fi, fj);
    return std::visit(
        [&](const auto& x) {
            switch (metric) {
                case Metric::bias:
                    return bias(x, fi, fj);
                case Metric::rms:
                    return rms(x, fi, fj);
                case Metric::max:
                    return max_abs(x, fi, fj);
                default:
                    return mean_abs(x, fi, fj);
            }
        },
        sample.column(channel));
}

// E ||delta||_2 over `channels`: a sweep over the joint rows, since a norm does not separate into channels.
// NaN without joint rows.
inline double mean_l2(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
                      const std::vector<std::size_t>& channels) {
    if (sample.rows().empty()) return std::numeric_limits<double>::quiet_NaN();
    struct Line {  // delta on one piece: slope (x - root), or the constant `level`; exact near the root, where it is
                   // small
        Cut from;
        double slope;
        dd root;
        double level;
    };
    std::vector<std::vector<Line>> deltas;
    double largest = 0.0;
    double steepest = 0.0;
    for (const std::size_t d : channels) {
        largest = std::max(largest, max_abs(std::get<Empirical>(sample.column(d)), i.map(d), j.map(d)));
        deltas.emplace_back();
        walk(i.map(d), j.map(d), first_cut, last_cut, [&](const Cut& from, const Cut&, const Affine& f) {
            const dd root = sign(f.scale) == 0 ? dd(infinity) : f.solve(dd(0.0));
            const double slope = is_finite(root) ? double(f.scale) : 0.0;
            deltas.back().push_back({from, slope, slope == 0.0 ? dd(0.0) : root, double(f.offset)});
            steepest = std::max(steepest, std::abs(slope));
        });
    }
    if (largest == 0.0) return 0.0;
    // In units of a power of two near the largest, so that no square under- or overflows.
    const int exponent = std::max(std::ilogb(largest), steepest > 0.0 ? std::ilogb(steepest) - 1000 : -1000);
    for (std::vector<Line>& lines : deltas)
        for (Line& line : lines) {
            line.slope = std::ldexp(line.slope, -exponent);
            line.level = std::ldexp(line.level, -exponent);
        }
    const std::size_t dim = sample.dim();
    const std::size_t n = sample.rows().size() / dim;
    dd sum;
    for (std::size_t r = 0; r < n; ++r) {
        const double* row = sample.rows().data() + r * dim;
        double squares = 0.0;
        for (std::size_t c = 0; c < channels.size(); ++c) {
            const double x = row[channels[c]];
            const std::vector<Line>& lines = deltas[c];
            std::size_t k = lines.size() - 1;
            while (k > 0 && Cut{dd(x), false} < lines[k].from) --k;
            const Line& line = lines[k];
            const double y = line.slope == 0.0 ? line.level : line.slope * ((x - line.root.hi) - line.root.lo);
            squares += y * y;
        }
        sum += dd(std::sqrt(squares));
    }
    return std::ldexp(double(sum / dd(static_cast<double>(n))), exponent);
}

}  // namespace execspec
