#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "execspec/sample.hpp"
#include "threads.hpp"

using execspec::ActionSample;
using execspec::Column;
using execspec::Empirical;
using execspec::Segments;

namespace {

// Every column sorted, rows kept for the joint metrics. `actions`: (N, D), N > 0, finite (the Python side checks).
std::unique_ptr<ActionSample> from_rows(const py::object& actions, std::size_t dim, const py::object& threads) {
    const Matrix m = read_matrix(actions, dim, "actions");
    const std::size_t n = m.rows;
    const std::size_t pool = thread_count(threads, n * dim);
    std::vector<double> rows(n * dim);
    const auto copy = [&](auto view) {
        constexpr std::size_t block = 512;  // rows that stay in the cache while their channels are parted
        for (std::size_t first = 0; first < n; first += block)
            for (std::size_t d = 0; d < dim; ++d)
                for (std::size_t r = first; r < std::min(first + block, n); ++r)
                    rows[d * n + r] = static_cast<double>(view.at(r, d));
    };
    if (m.dtype == OpDType::float32)
        copy(m.view<const float>());
    else
        copy(m.view<const double>());
    std::vector<Column> columns(dim, Column(execspec::Gaussian(0.0, 1.0)));
    {
        const py::gil_scoped_release release;
        execspec::parallel_for(dim, pool, [&](std::size_t begin, std::size_t end) {
            for (std::size_t d = begin; d < end; ++d) {
                const py::gil_scoped_acquire acquire;
                py::array_t<double> sorted(static_cast<py::ssize_t>(n), rows.data() + d * n);
                sorted.attr("sort")();  // NumPy's vectorized sort, which releases the interpreter
                const double* x = sorted.data();
                const py::gil_scoped_release build;
                columns[d] = Empirical::from_sorted(x, n);
            }
        });
    }
    return std::make_unique<ActionSample>(std::move(columns), std::move(rows));
}

// Per channel either a list of (lo, hi, mass) segments in increasing order, or a (mean, std) pair.
std::unique_ptr<ActionSample> from_laws(const py::list& laws) {
    std::vector<Column> columns;
    for (const py::handle& law : laws) {
        if (py::isinstance<py::list>(law)) {
            std::vector<Segments::Segment> segments;
            for (const py::handle& s : law) {
                const auto [lo, hi, mass] = s.cast<std::tuple<double, double, double>>();
                segments.push_back({lo, hi, mass});
            }
            columns.emplace_back(Segments(segments));
        } else {
            const auto [mean, std] = law.cast<std::pair<double, double>>();
            columns.emplace_back(execspec::Gaussian(mean, std));
        }
    }
    return std::make_unique<ActionSample>(std::move(columns), std::vector<double>());
}

// The joint rows, (N, D), read-only and in place; None where only marginals are known.
py::object rows_of(const py::object& self) {
    const auto& sample = self.cast<const ActionSample&>();
    if (!sample.joint()) return py::none();
    py::array_t<double> planes({sample.dim(), sample.count()}, sample.rows(0), self);
    py::object rows = planes.attr("T");
    rows.attr("flags").attr("writeable") = false;
    return rows;
}

}  // namespace

void bind_sample(py::module_& m) {
    py::class_<ActionSample>(m, "ActionSample", "Columns that piecewise-affine functions are integrated against.")
        .def_static("from_rows", &from_rows, py::arg("actions"), py::arg("dim"), py::arg("threads"))
        .def_static("from_laws", &from_laws, py::arg("laws"))
        .def_property_readonly("dim", &ActionSample::dim)
        .def_property_readonly("rows", &rows_of);
}
