#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "execspec/all_pairs.hpp"
#include "execspec/cells.hpp"
#include "execspec/joint.hpp"
#include "execspec/parallel.hpp"
#include "threads.hpp"

using execspec::ActionSample;
using execspec::JointMetric;
using execspec::Metric;
using execspec::PairNorms;
using execspec::Unnormalizer;

using Specs = std::vector<const Unnormalizer*>;
using Samples = std::vector<const ActionSample*>;
using Channels = std::vector<std::size_t>;
using Result = py::array_t<double, py::array::c_style>;

namespace {

Metric metric_of(const std::string& name, double parameter) {
    if (name == "mean_abs") return {Metric::mean_abs};
    if (name == "bias") return {Metric::bias};
    if (name == "rms") return {Metric::rms};
    if (name == "max") return {Metric::max};
    if (name == "worst_case") return {Metric::worst_case};
    if (name == "quantile") return {Metric::quantile, parameter};
    if (name == "exceeds") return {Metric::exceeds, parameter};
    if (name == "flips") return {Metric::flips};
    if (name == "zeros") return {Metric::zeros};
    throw PythonError("ExecSpecError", "no separable metric '" + name + "'");
}

JointMetric joint_of(const std::string& name, double p) {
    if (name == "max") return {JointMetric::max};
    if (name == "quantile") return {JointMetric::quantile, p};
    return {JointMetric::mean};
}

// samples: one for every row, or one per row.
void check(const Specs& intended, const Specs& executed, const Samples& samples) {
    const std::size_t dim = intended.empty() ? 0 : intended[0]->dim();
    for (const Specs* specs : {&intended, &executed})
        for (const Unnormalizer* spec : *specs)
            if (spec->dim() != dim)
                throw PythonError("ShapeMismatchError", "specs of " + std::to_string(dim) + " and " +
                                                            std::to_string(spec->dim()) +
                                                            " channels have no drift; select one dimension first");
    if (samples.size() != 1 && samples.size() != intended.size())
        throw PythonError("ShapeMismatchError",
                          "give one sample, or one per intended spec: " + std::to_string(intended.size()) + " specs, " +
                              std::to_string(samples.size()) + " samples");
    for (const ActionSample* sample : samples)
        if (sample->dim() != dim)
            throw PythonError("ShapeMismatchError", "the sample has " + std::to_string(sample->dim()) +
                                                        " channels, the specs " + std::to_string(dim));
}

// Fills `out`, (intended, executed, D): entry [i, j, d] is the metric of executing j where i was meant.
void separable(Result& out, const Specs& intended, const Specs& executed, const Samples& samples,
               const std::string& name, double parameter, const py::object& threads) {
    check(intended, executed, samples);
    const Metric metric = metric_of(name, parameter);
    double* data = out.mutable_data();
    const std::size_t pool = thread_count(threads, static_cast<std::size_t>(out.size()), 1 << 14);
    const py::gil_scoped_release release;
    const std::size_t columns = executed.size();
    const std::size_t dim = intended[0]->dim();
    execspec::measure_all(metric, intended, executed, samples, pool,
                          [&](std::size_t i, std::size_t j, std::size_t count, const double* values) {
                              std::copy(values, values + count * dim, data + (i * columns + j) * dim);
                          });
}

// Fills `out`, (intended, executed): the mean of mean_abs over the channels that count.
void mean(Result& out, const Specs& intended, const Specs& executed, const Samples& samples,
          const std::vector<Channels>& excluded, const py::object& threads) {
    check(intended, executed, samples);
    double* data = out.mutable_data();
    const std::size_t columns = executed.size();
    const std::size_t dim = intended[0]->dim();
    const std::size_t pool = thread_count(threads, static_cast<std::size_t>(out.size()) * dim, 1 << 14);
    const py::gil_scoped_release release;
    const auto flags = [&](const Specs& specs, const std::vector<Channels>& left_out) {
        std::vector<std::uint8_t> counts(specs.size() * dim, 1);
        for (std::size_t k = 0; k < specs.size(); ++k) {
            for (std::size_t d = 0; d < dim; ++d) counts[k * dim + d] = !specs[k]->is_gripper(d);
            if (!left_out.empty())
                for (const std::size_t d : left_out[left_out.size() == 1 ? 0 : k]) counts[k * dim + d] = 0;
        }
        return counts;
    };
    const std::vector<std::uint8_t> rows = flags(intended, excluded);
    const std::vector<std::uint8_t> others = flags(executed, {});
    execspec::measure_all({Metric::mean_abs}, intended, executed, samples, pool,
                          [&](std::size_t i, std::size_t j, std::size_t size, const double* values) {
                              for (const std::size_t end = j + size; j < end; ++j, values += dim) {
                                  double sum = 0.0;
                                  double count = 0.0;
                                  for (std::size_t d = 0; d < dim; ++d) {
                                      const bool counts = rows[i * dim + d] & others[j * dim + d];
                                      sum += counts ? values[d] : 0.0;
                                      count += counts ? 1.0 : 0.0;
                                  }
                                  data[i * columns + j] = count > 0.0 ? sum / count : std::nan("");
                              }
                          });
}

struct Pair {
    std::size_t i, j;
};

// The metric of ||delta||_2 of pairs over the channels that neither spec calls a gripper and that the row's sample does
// not exclude. `put(k, value)` takes that of the k-th pair.
template <class Put>
void measure_joint(const JointMetric& metric, const Specs& intended, const Specs& executed, const Samples& samples,
                   const std::vector<Channels>& excluded, const std::vector<Pair>& work, std::size_t threads,
                   Put&& put) {
    constexpr std::size_t batch = 1024;  // pairs that pass over a block of rows together
    const bool one = samples.size() == 1;
    execspec::parallel_for(work.size(), threads, [&](std::size_t begin, std::size_t end) {
        for (std::size_t first = begin; first < end;) {
            const std::size_t row = one ? 0 : work[first].i;
            std::vector<PairNorms> pairs;
            std::size_t k = first;
            for (; k < std::min(first + batch, end) && (one || work[k].i == row); ++k) {
                const Unnormalizer& fi = *intended[work[k].i];
                const Unnormalizer& fj = *executed[work[k].j];
                Channels used;
                for (std::size_t d = 0; d < fi.dim(); ++d)
                    if (!fi.is_gripper(d) && !fj.is_gripper(d) &&
                        std::find(excluded[row].begin(), excluded[row].end(), d) == excluded[row].end())
                        used.push_back(d);
                pairs.emplace_back(fi, fj, *samples[row], used);
            }
            std::vector<double> values(pairs.size());
            execspec::sweep(metric, *samples[row], pairs, values.data());
            for (std::size_t p = first; p < k; ++p) put(p, values[p - first]);
            first = k;
        }
    });
}

// Fills `out`, (intended, executed).
void joint(Result& out, const Specs& intended, const Specs& executed, const Samples& samples,
           const std::vector<Channels>& excluded, const std::string& name, double p, const py::object& threads) {
    check(intended, executed, samples);
    const JointMetric metric = joint_of(name, p);
    double* data = out.mutable_data();
    const std::size_t pool = thread_count(threads, static_cast<std::size_t>(out.size()), 8);
    const std::size_t columns = executed.size();
    const bool half = samples.size() == 1 && intended == executed;
    const py::gil_scoped_release release;
    std::vector<Pair> work;
    for (std::size_t i = 0; i < intended.size(); ++i)
        for (std::size_t j = half ? i : 0; j < columns; ++j) work.push_back({i, j});
    measure_joint(metric, intended, executed, samples, excluded, work, pool, [&](std::size_t k, double value) {
        data[work[k].i * columns + work[k].j] = value;
        if (half) data[work[k].j * columns + work[k].i] = value;
    });
}

// Fills `out`: that of executing specs[j[k]] where specs[i[k]] was meant.
void joint_pairs(Result& out, const Specs& specs, const std::vector<std::size_t>& i, const std::vector<std::size_t>& j,
                 const ActionSample& sample, const Channels& excluded, const std::string& name, double p,
                 const py::object& threads) {
    check(specs, specs, {&sample});
    const JointMetric metric = joint_of(name, p);
    double* data = out.mutable_data();
    const std::size_t pool = thread_count(threads, i.size(), 8);
    const py::gil_scoped_release release;
    std::vector<Pair> work;
    for (std::size_t k = 0; k < i.size(); ++k) work.push_back({i[k], j[k]});
    measure_joint(metric, specs, specs, {&sample}, {excluded}, work, pool,
                  [&](std::size_t k, double value) { data[k] = value; });
}

// The same for one pair over channels that the caller names.
double joint_pair(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample, const Channels& channels,
                  const std::string& name, double p) {
    check({&i}, {&j}, {&sample});
    const JointMetric metric = joint_of(name, p);
    const py::gil_scoped_release release;
    if (!sample.joint()) return std::nan("");
    double value = 0.0;
    execspec::sweep(metric, sample, {PairNorms(i, j, sample, channels)}, &value);
    return value;
}

// Fills `lower` and `upper`, (K, K), for the pairs that are lines over `channels`; NaN for the others. Returns the
// number of cells.
std::size_t mean_l2_bounds(Result& lower, Result& upper, const Specs& specs, const ActionSample& sample,
                           const Channels& channels, std::size_t count, const py::object& threads) {
    check(specs, specs, {&sample});
    double* lo = lower.mutable_data();
    double* hi = upper.mutable_data();
    const std::size_t k = specs.size();
    const std::size_t pool = thread_count(threads, k * k, 64);
    const py::gil_scoped_release release;
    const execspec::Cells cells(sample, specs, channels, count);
    std::vector<Pair> work;
    for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = i; j < k; ++j) work.push_back({i, j});
    constexpr std::size_t batch = 256;
    execspec::parallel_for(work.size(), pool, [&](std::size_t begin, std::size_t end) {
        for (std::size_t first = begin; first < end; first += batch) {
            std::vector<PairNorms> pairs;
            std::vector<Pair> lines;
            for (std::size_t p = first; p < std::min(first + batch, end); ++p) {
                const auto [i, j] = work[p];
                PairNorms pair(*specs[i], *specs[j], sample, channels);
                if (pair.lines()) {
                    pairs.push_back(std::move(pair));
                    lines.push_back(work[p]);
                } else {
                    lo[i * k + j] = lo[j * k + i] = hi[i * k + j] = hi[j * k + i] = std::nan("");
                }
            }
            const std::vector<execspec::Interval> bounds = cells.bounds(pairs);
            for (std::size_t p = 0; p < lines.size(); ++p) {
                const auto [i, j] = lines[p];
                lo[i * k + j] = lo[j * k + i] = bounds[p].lower;
                hi[i * k + j] = hi[j * k + i] = bounds[p].upper;
            }
        }
    });
    return cells.size();
}

// (D,): the share of the sample whose action lies outside [lo[d], hi[d]].
py::array_t<double> outside(const Unnormalizer& map, const ActionSample& sample, const std::vector<double>& lo,
                            const std::vector<double>& hi) {
    check({&map}, {&map}, {&sample});
    const std::size_t dim = map.dim();
    if (lo.size() != dim || hi.size() != dim)
        throw PythonError("ShapeMismatchError",
                          "limits must hold one number for each of " + std::to_string(dim) + " channels");
    py::array_t<double> result(static_cast<py::ssize_t>(dim));
    double* out = result.mutable_data();
    const py::gil_scoped_release release;
    for (std::size_t d = 0; d < dim; ++d)
        out[d] =
            std::visit([&](const auto& x) { return execspec::outside(x, map.map(d), lo[d], hi[d]); }, sample.column(d));
    return result;
}

}  // namespace

void bind_drift(py::module_& m) {
    m.def("separable", &separable, py::arg("out").noconvert(), py::arg("intended"), py::arg("executed"),
          py::arg("samples"), py::arg("metric"), py::arg("parameter"), py::arg("threads"));
    m.def("mean", &mean, py::arg("out").noconvert(), py::arg("intended"), py::arg("executed"), py::arg("samples"),
          py::arg("excluded"), py::arg("threads"));
    m.def("joint", &joint, py::arg("out").noconvert(), py::arg("intended"), py::arg("executed"), py::arg("samples"),
          py::arg("excluded"), py::arg("metric"), py::arg("parameter"), py::arg("threads"));
    m.def("joint_pairs", &joint_pairs, py::arg("out").noconvert(), py::arg("specs"), py::arg("i"), py::arg("j"),
          py::arg("sample"), py::arg("excluded"), py::arg("metric"), py::arg("parameter"), py::arg("threads"));
    m.def("joint_pair", &joint_pair, py::arg("intended"), py::arg("executed"), py::arg("sample"), py::arg("channels"),
          py::arg("metric"), py::arg("parameter"));
    m.def("mean_l2_bounds", &mean_l2_bounds, py::arg("lower").noconvert(), py::arg("upper").noconvert(),
          py::arg("specs"), py::arg("sample"), py::arg("channels"), py::arg("count"), py::arg("threads"));
    m.def("outside", &outside, py::arg("unnormalizer"), py::arg("sample"), py::arg("lo"), py::arg("hi"));
}
