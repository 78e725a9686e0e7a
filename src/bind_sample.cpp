#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
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

// Every column sorted, rows kept for the joint metrics. `actions`: (N, D), N > 0. Nothing if a value is not finite or
// larger than what arithmetic here allows.
std::unique_ptr<ActionSample> from_rows(const py::object& actions, std::size_t dim, const py::object& threads) {
    const Matrix m = read_matrix(actions, dim, "actions");
    const std::size_t n = m.rows;
    if (n > std::numeric_limits<std::uint32_t>::max())
        throw PythonError("StatsError",
                          std::to_string(n) + " rows; a sample holds up to 2^32, use drift_over for more");
    const std::size_t pool = thread_count(threads, n * dim);
    execspec::Buffer<double> rows(n * dim);
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
    std::atomic<bool> finite{true};
    {
        const py::gil_scoped_release release;
        execspec::parallel_for(dim, pool, [&](std::size_t begin, std::size_t end) {
            const py::gil_scoped_acquire acquire;
            py::array_t<double> sorted(static_cast<py::ssize_t>(n));
            for (std::size_t d = begin; d < end; ++d) {
                double* x = sorted.mutable_data();
                std::copy_n(rows.data() + d * n, n, x);
                sorted.attr("sort")();  // NumPy's vectorized sort, which releases the interpreter; NaN comes last
                const py::gil_scoped_release build;
                if (x[0] >= -execspec::largest_action && x[n - 1] <= execspec::largest_action)
                    columns[d] = Empirical::from_sorted(x, n);
                else
                    finite = false;
            }
        });
    }
    return finite ? std::make_unique<ActionSample>(std::move(columns), std::move(rows)) : nullptr;
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
    return std::make_unique<ActionSample>(std::move(columns), execspec::Buffer<double>());
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
