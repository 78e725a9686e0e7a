#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "execspec/drift.hpp"
#include "execspec/parallel.hpp"
#include "threads.hpp"

using execspec::ActionSample;
using execspec::Metric;
using execspec::Unnormalizer;

namespace {

Metric metric_of(const std::string& name) {
    if (name == "mean_abs") return Metric::mean_abs;
    if (name == "bias") return Metric::bias;
    if (name == "rms") return Metric::rms;
    if (name == "max") return Metric::max;
    if (name == "worst_case") return Metric::worst_case;
    throw PythonError("ExecSpecError",
                      "no separable metric '" + name + "'; known: mean_abs, bias, rms, max, worst_case");
}

// samples: one for every row, or one per row.
void check(const std::vector<const Unnormalizer*>& specs, const std::vector<const ActionSample*>& samples) {
    const std::size_t dim = specs.empty() ? 0 : specs[0]->dim();
    for (const Unnormalizer* spec : specs)
        if (spec->dim() != dim)
            throw PythonError("ShapeMismatchError", "specs of " + std::to_string(dim) + " and " +
                                                        std::to_string(spec->dim()) +
                                                        " channels have no drift; select one dimension first");
    if (samples.size() != 1 && samples.size() != specs.size())
        throw PythonError("ShapeMismatchError",
                          "give one sample, or one per intended spec: " + std::to_string(specs.size()) + " specs, " +
                              std::to_string(samples.size()) + " samples");
    for (const ActionSample* sample : samples)
        if (sample->dim() != dim)
            throw PythonError("ShapeMismatchError", "the sample has " + std::to_string(sample->dim()) +
                                                        " channels, the specs " + std::to_string(dim));
}

// (K, K, D): entry [i, j, d] is the metric of executing j where i was meant.
py::array_t<double> separable_matrix(const std::vector<const Unnormalizer*>& specs,
                                     const std::vector<const ActionSample*>& samples, const std::string& name,
                                     const py::object& threads) {
    check(specs, samples);
    const Metric metric = metric_of(name);
    const std::size_t k = specs.size();
    const std::size_t dim = k ? specs[0]->dim() : 0;
    py::array_t<double> result({k, k, dim});
    double* out = result.mutable_data();
    const std::size_t pool = thread_count(threads, k * k * dim, 1 << 12);
    const py::gil_scoped_release release;
    execspec::parallel_for(k, pool, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const ActionSample& sample = *samples[samples.size() == 1 ? 0 : i];
            for (std::size_t j = 0; j < k; ++j)
                for (std::size_t d = 0; d < dim; ++d)
                    out[(i * k + j) * dim + d] = execspec::measure(metric, *specs[i], *specs[j], sample, d);
        }
    });
    return result;
}

// (K, K): E ||delta||_2 over the channels that neither spec calls a gripper and that the row's sample does not exclude.
py::array_t<double> mean_l2_matrix(const std::vector<const Unnormalizer*>& specs,
                                   const std::vector<const ActionSample*>& samples,
                                   const std::vector<std::vector<std::size_t>>& excluded, const py::object& threads) {
    check(specs, samples);
    const std::size_t k = specs.size();
    py::array_t<double> result({k, k});
    double* out = result.mutable_data();
    const std::size_t pool = thread_count(threads, k * k, 8);
    const py::gil_scoped_release release;
    execspec::parallel_for(k, pool, [&](std::size_t begin, std::size_t end) {
        std::vector<std::size_t> used;
        for (std::size_t i = begin; i < end; ++i) {
            const std::size_t row = samples.size() == 1 ? 0 : i;
            for (std::size_t j = 0; j < k; ++j) {
                used.clear();
                for (std::size_t d = 0; d < specs[i]->dim(); ++d)
                    if (!specs[i]->is_gripper(d) && !specs[j]->is_gripper(d) &&
                        std::find(excluded[row].begin(), excluded[row].end(), d) == excluded[row].end())
                        used.push_back(d);
                out[i * k + j] = execspec::mean_l2(*specs[i], *specs[j], *samples[row], used);
            }
        }
    });
    return result;
}

// (D,) of one pair, and the joint figure.
py::array_t<double> separable(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
                              const std::string& name) {
    check({&i, &j}, {&sample});
    const Metric metric = metric_of(name);
    py::array_t<double> result(static_cast<py::ssize_t>(i.dim()));
    double* out = result.mutable_data();
    const std::size_t dim = i.dim();
    const py::gil_scoped_release release;
    for (std::size_t d = 0; d < dim; ++d) out[d] = execspec::measure(metric, i, j, sample, d);
    return result;
}

// (D,): the share of the sample whose action lies outside [lo[d], hi[d]].
py::array_t<double> outside(const Unnormalizer& map, const ActionSample& sample, const std::vector<double>& lo,
                            const std::vector<double>& hi) {
    check({&map}, {&sample});
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

double mean_l2(const Unnormalizer& i, const Unnormalizer& j, const ActionSample& sample,
               const std::vector<std::size_t>& channels) {
    check({&i, &j}, {&sample});
    const py::gil_scoped_release release;
    return execspec::mean_l2(i, j, sample, channels);
}

}  // namespace

void bind_drift(py::module_& m) {
    m.def("separable", &separable, py::arg("intended"), py::arg("executed"), py::arg("sample"), py::arg("metric"));
    m.def("separable_matrix", &separable_matrix, py::arg("specs"), py::arg("samples"), py::arg("metric"),
          py::arg("threads"));
    m.def("outside", &outside, py::arg("unnormalizer"), py::arg("sample"), py::arg("lo"), py::arg("hi"));
    m.def("mean_l2", &mean_l2, py::arg("intended"), py::arg("executed"), py::arg("sample"), py::arg("channels"));
    m.def("mean_l2_matrix", &mean_l2_matrix, py::arg("specs"), py::arg("samples"), py::arg("excluded"),
          py::arg("threads"));
}
