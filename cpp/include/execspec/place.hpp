// What a distribution of one channel answers: what lies before a cut? From two answers an affine function integrates.
//
// A `Column` is a law with
//   frame()   its local coordinate t,
//   total()   its mass,
//   place(c)  the mass before a cut, the first moment of that mass, and the support on either side,
//   integrate_square(g, a, b)   the integral of g(t)^2 between two places,
//   quota(p)  the mass that a p-quantile must reach.
//
// Moments are of t = (x - centre) / 2^exponent, with |t| about 1 at most: data at 1e6 with a spread of 1e-3 would
// otherwise lose its drift in the third digit, and subnormal data all of it.
#pragma once

#include <cmath>
#include <cstddef>

#include "execspec/dd.hpp"
#include "execspec/piecewise.hpp"

namespace execspec {

struct Place {
    Cut cut;
    dd mass;            // of x before the cut
    dd first;           // integral of t before the cut
    double last;        // greatest support before the cut
    double next;        // least support at or after it
    std::size_t index;  // the column's own
};

// The local coordinate t of a column.
struct Frame {
    double centre;
    int exponent;

    static Frame around(double centre, double reach) { return {centre, reach > 0.0 ? std::ilogb(reach) + 1 : 0}; }

    dd local(dd x) const { return scale_by_power(x - dd(centre), -exponent); }

    // f as a function of t.
    Affine local(const Affine& f) const { return {scale_by_power(f.scale, exponent), f(dd(centre))}; }
};

// The same coordinate in doubles, rounded. 2^-exponent in two steps, since 2^1074 is no double.
struct Rounded {
    double centre;
    double unit;
    double rest;

    Rounded() = default;
    explicit Rounded(const Frame& frame)
        : centre(frame.centre),
          unit(std::ldexp(1.0, -(frame.exponent / 2))),
          rest(std::ldexp(1.0, frame.exponent / 2 - frame.exponent)) {}

    double scaled(double difference) const { return difference * unit * rest; }
    double operator()(double x) const { return scaled(x - centre); }
};

// The integral between two places of a function of t.
inline dd integrate(const Affine& g, const Place& a, const Place& b) {
    return g.scale * (b.first - a.first) + g.offset * (b.mass - a.mass);
}

// The integral of g^2, from the mass and moments of t: the variance about the piece's own mean, plus the mean's square.
inline dd square(const Affine& g, dd mass, dd first, dd second) {
    const dd mean = first / mass;
    const dd value = g(mean);
    return g.scale * g.scale * (second - mean * mean * mass) + value * value * mass;
}

// The one primitive: calls visit(a, b, fi, fj) on the pieces of a pair of maps that carry mass, left to right.
template <class Column, class Visit>
void visit_pieces(const Column& column, const PiecewiseMap& fi, const PiecewiseMap& fj, Visit&& visit) {
    Place a = column.place(first_cut);
    walk(fi, fj, first_cut, last_cut, [&](const Cut&, const Cut& to, const Affine& f, const Affine& g) {
        const Place b = column.place(to);
        if (a.mass < b.mass) visit(a, b, f, g);
        a = b;
    });
}

}  // namespace execspec
