// Columns given by a law instead of by values: uniform pieces, and the normal law.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/place.hpp"

namespace execspec {

// Uniform pieces and atoms (lo == hi) in increasing order: a uniform law, or what published quantiles leave open.
class Segments {
  public:
    struct Segment {
        double lo;
        double hi;
        double mass;
    };

    explicit Segments(const std::vector<Segment>& segments) {
        const double lo = segments.front().lo;
        const double hi = segments.back().hi;
        frame_ = Frame::around(lo + (hi - lo) / 2, hi - lo);
        Moments sum;
        for (const Segment& s : segments) {
            nodes_.push_back({s.lo, s.hi, sum});
            const Moments m = spread(s.lo, dd(s.hi), dd(s.mass));
            sum = {sum.mass + m.mass, sum.first + m.first};
        }
        nodes_.push_back({infinity, infinity, sum});
    }

    const Frame& frame() const { return frame_; }
    dd total() const { return nodes_.back().before.mass; }
    dd quota(double p) const { return total() * dd(p); }

    Place place(const Cut& cut) const {
        std::size_t k = 0;
        while (k + 1 < nodes_.size() && !(cut < Cut{dd(nodes_[k].hi), true})) ++k;
        const Moments m = before(k, cut);
        if (inside(k, cut)) return {cut, m.mass, m.first, double(cut.at), double(cut.at), k};
        return {cut, m.mass, m.first, k ? nodes_[k - 1].hi : -infinity, nodes_[k].lo, k};
    }

    // Segment by segment: mass times (g at its middle)^2 + (rise of g along it)^2 / 12, a sum without cancellation.
    dd integrate_square(const Affine& g, const Place& a, const Place& b) const {
        dd sum;
        for (std::size_t k = a.index; k <= b.index && k + 1 < nodes_.size(); ++k) {
            if (k == b.index && !inside(k, b.cut)) break;
            const Node& node = nodes_[k];
            const dd lo = k == a.index && inside(k, a.cut) ? a.cut.at : dd(node.lo);
            const dd hi = k == b.index ? b.cut.at : dd(node.hi);
            const dd whole = nodes_[k + 1].before.mass - node.before.mass;
            const dd share = node.lo < node.hi ? (hi - lo) / (dd(node.hi) - dd(node.lo)) : dd(1.0);
            const dd middle = g((frame_.local(lo) + frame_.local(hi)) * dd(0.5));
            const dd rise = g.scale * (frame_.local(hi) - frame_.local(lo));
            sum += whole * share * (middle * middle + rise * rise / dd(12.0));
        }
        return sum;
    }

  private:
    struct Moments {
        dd mass;
        dd first;
    };
    struct Node {
        double lo;
        double hi;
        Moments before;
    };

    bool inside(std::size_t k, const Cut& cut) const {
        return nodes_[k].lo < nodes_[k].hi && Cut{dd(nodes_[k].lo), false} < cut;
    }

    // Of mass spread evenly from lo to hi.
    Moments spread(double lo, dd hi, dd mass) const {
        return {mass, mass * ((frame_.local(dd(lo)) + frame_.local(hi)) * dd(0.5))};
    }

    // Of all x before a cut that lies in node k or in the gap ahead of it.
    Moments before(std::size_t k, const Cut& cut) const {
        const Node& node = nodes_[k];
        if (!inside(k, cut)) return node.before;
        const dd whole = nodes_[k + 1].before.mass - node.before.mass;
        const dd share = (cut.at - dd(node.lo)) / (dd(node.hi) - dd(node.lo));
        const Moments m = spread(node.lo, cut.at, whole * share);
        return {node.before.mass + m.mass, node.before.first + m.first};
    }

    Frame frame_{};
    std::vector<Node> nodes_;  // the last one holds the totals, at +infinity
};

// A normal law, std > 0. Its integrals are closed forms in erfc, good to about 1e-15 of what lies between two places.
//
// What lies before a cut above the mean is kept as (all, minus the tail), unrounded, so that differences between two
// such places are differences of tails and lose nothing.
class Gaussian {
  public:
    Gaussian(double mean, double std) : frame_(Frame::around(mean, std)), std_(std) {}

    const Frame& frame() const { return frame_; }
    dd total() const { return dd(1.0); }
    dd quota(double p) const { return dd(p); }

    Place place(const Cut& cut) const {
        const double x = double(cut.at);
        return {cut, before(z(x), 1.0, 0.0), dd(-sigma() * density(z(x))), x, x, 0};
    }

    dd integrate_square(const Affine& g, const Place& a, const Place& b) const {
        const double variance = sigma() * sigma();
        const dd second = before(z(b.next), variance, variance) - before(z(a.next), variance, variance);
        return square(g, b.mass - a.mass, b.first - a.first, second);
    }

  private:
    double z(double x) const { return (x - frame_.centre) / std_; }
    double sigma() const { return std::ldexp(std_, -frame_.exponent); }
    static double density(double z) { return 0.39894228040143267794 * std::exp(-0.5 * z * z); }

    // all * Phi(z) - slope * z * phi(z), for z > 0 as `all` minus the tail.
    static dd before(double z, double all, double slope) {
        const double tail = 0.5 * all * std::erfc(std::abs(z) * 0.70710678118654752440) +
                            (std::isfinite(z) ? slope * std::abs(z) * density(z) : 0.0);
        return z > 0.0 ? dd(all, -tail) : dd(0.0, tail);
    }

    Frame frame_;
    double std_;
};

}  // namespace execspec
