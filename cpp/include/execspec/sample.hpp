// Distributions of normalized actions that a piecewise-affine function can be integrated against exactly.
//
// A column (one channel) answers one question: what lies before a cut? Its answer is a `Place`: the mass there, the
// first moment of that mass, and the support on either side. Between two places an affine function integrates from
// the differences alone, so every drift metric costs a few places per piece: O(log N) after one sort.
//
// Moments are of t = (x - centre) / 2^exponent, with |t| about 1 at most: data at 1e6 with a spread of 1e-3 would
// otherwise lose its drift in the third digit, and subnormal data all of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "execspec/dd.hpp"
#include "execspec/parallel.hpp"
#include "execspec/piecewise.hpp"
#include "execspec/unnormalizer.hpp"

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

// N actions of one channel: sorted unique values with ranks and prefix sums in double-double.
class Empirical {
  public:
    explicit Empirical(std::vector<double> x) {
        std::sort(x.begin(), x.end());
        const double centre = x[x.size() / 2];
        frame_ = Frame::around(centre, std::max(x.back() - centre, centre - x.front()));
        std::size_t before = 0;
        dd first;
        dd second;
        for (std::size_t i = 0; i < x.size(); i = before) {
            while (before < x.size() && x[before] == x[i]) ++before;
            records_.push_back({x[i], static_cast<double>(i), first});
            seconds_.push_back(second);
            const dd t = frame_.local(dd(x[i]));
            const dd weighted = t * dd(static_cast<double>(before - i));
            first += weighted;
            second += weighted * t;
        }
        records_.push_back({infinity, static_cast<double>(x.size()), first});
        seconds_.push_back(second);
    }

    const Frame& frame() const { return frame_; }
    dd total() const { return dd(records_.back().before); }
    std::size_t unique() const { return records_.size() - 1; }

    Place place(const Cut& cut) const {
        const bool through = cut.at.lo > 0.0 || (cut.at.lo == 0.0 && cut.after);  // is a value equal to at.hi before?
        const auto begin = records_.begin();
        const auto end = records_.end() - 1;
        const auto found =
            through ? std::upper_bound(begin, end, cut.at.hi, [](double t, const Record& r) { return t < r.value; })
                    : std::lower_bound(begin, end, cut.at.hi, [](const Record& r, double t) { return r.value < t; });
        const auto k = static_cast<std::size_t>(found - begin);
        return {cut, dd(found->before), found->first, k ? records_[k - 1].value : -infinity, found->value, k};
    }

    // Where the squares drown in the rounding of the prefix sums (values close together that g maps to nearly zero)
    // they are added singly.
    dd integrate_square(const Affine& g, const Place& a, const Place& b) const {
        const dd second = seconds_[b.index] - seconds_[a.index];
        const dd sum = square(g, b.mass - a.mass, b.first - a.first, second);
        const double reach = std::abs(g.scale.hi) + std::abs(g.offset.hi);
        if (sum.hi >= 1e-16 * reach * reach * b.mass.hi) return sum;
        dd direct;
        for (std::size_t k = a.index; k < b.index; ++k) {
            const dd y = g(frame_.local(dd(records_[k].value)));
            direct += y * y * dd(records_[k + 1].before - records_[k].before);
        }
        return direct;
    }

  private:
    struct Record {  // 32 bytes: all that a mean needs, from one cache line
        double value;
        double before;
        dd first;
    };

    Frame frame_{};
    std::vector<Record> records_;  // the last one holds the totals, at +infinity
    std::vector<dd> seconds_;
};

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

using Column = std::variant<Empirical, Segments, Gaussian>;

// The one primitive: calls visit(a, b, delta) on the pieces of f_j - f_i that carry mass, left to right.
template <class AnyColumn, class Visit>
void integrate_pieces(const AnyColumn& column, const PiecewiseMap& fi, const PiecewiseMap& fj, Visit&& visit) {
    Place a = column.place(first_cut);
    walk(fi, fj, first_cut, last_cut, [&](const Cut&, const Cut& to, const Affine& delta) {
        const Place b = column.place(to);
        if (a.mass < b.mass) visit(a, b, delta);
        a = b;
    });
}

// One column per channel, and the joint rows where they are known (row-major, N x D).
class ActionSample {
  public:
    ActionSample(std::vector<Column> columns, std::vector<double> rows)
        : columns_(std::move(columns)), rows_(std::move(rows)) {}

    // Needs at least one row and one channel.
    static ActionSample from_rows(std::vector<double> rows, std::size_t dim, std::size_t threads) {
        const std::size_t n = rows.size() / dim;
        std::vector<Column> columns(dim, Column(Gaussian(0.0, 1.0)));
        parallel_for(dim, threads, [&](std::size_t begin, std::size_t end) {
            for (std::size_t d = begin; d < end; ++d) {
                std::vector<double> x(n);
                for (std::size_t r = 0; r < n; ++r) x[r] = rows[r * dim + d];
                columns[d] = Empirical(std::move(x));
            }
        });
        return {std::move(columns), std::move(rows)};
    }

    std::size_t dim() const { return columns_.size(); }
    const Column& column(std::size_t channel) const { return columns_[channel]; }
    const std::vector<double>& rows() const { return rows_; }

  private:
    std::vector<Column> columns_;
    std::vector<double> rows_;
};

}  // namespace execspec
