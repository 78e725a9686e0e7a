// A separable metric by name and number, measured for one pair by its definition.
#pragma once

#include "execspec/drift.hpp"
#include "execspec/unnormalizer.hpp"

namespace execspec {

struct Metric {
    enum Kind { mean_abs, bias, rms, max, worst_case, quantile, exceeds, flips, zeros } kind;
    double parameter = 0.0;  // p of a quantile, eps of exceeds

    // M[j, i] = M[i, j] over one sample; the bias changes its sign, and the worst case is over the intended domain.
    bool symmetric() const { return kind != bias && kind != worst_case; }
};

// Of executing `fj` where `fi` was meant, by definition.
template <class Column>
double measure(const Metric& metric, const Column& x, const PiecewiseMap& fi, const PiecewiseMap& fj) {
    switch (metric.kind) {
        case Metric::bias:
            return bias(x, fi, fj);
        case Metric::rms:
            return rms(x, fi, fj);
        case Metric::max:
            return max_abs(x, fi, fj);
        case Metric::quantile:
            return quantile(x, fi, fj, metric.parameter);
        case Metric::exceeds:
            return exceeds(x, fi, fj, metric.parameter);
        case Metric::flips:
        case Metric::zeros:
            return flips(x, fi, fj, metric.kind == Metric::zeros);
        default:
            return mean_abs(x, fi, fj);
    }
}

}  // namespace execspec
