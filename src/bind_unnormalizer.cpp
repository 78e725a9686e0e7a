#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "execspec/unnormalizer.hpp"
#include "threads.hpp"

using execspec::Affine;
using execspec::Domain;
using execspec::Op;
using execspec::PiecewiseMap;
using execspec::Unnormalizer;

namespace {

std::unique_ptr<Unnormalizer> construct(const py::array& table, double lo, double hi, std::vector<double> points,
                                        std::vector<std::uint8_t> gripper) {
    if (table.ndim() != 2 || table.itemsize() != sizeof(Op) || !(table.flags() & py::array::c_style))
        throw PythonError("ShapeMismatchError",
                          "an op table is a C-contiguous array of dtype OP and shape (stages, D)");
    const auto stages = static_cast<std::size_t>(table.shape(0));
    const auto dim = static_cast<std::size_t>(table.shape(1));
    std::vector<Op> ops(stages * dim);
    if (!ops.empty()) std::memcpy(ops.data(), table.data(), ops.size() * sizeof(Op));
    for (const Op& op : ops) {
        const auto kind = static_cast<std::int32_t>(op.kind);
        const auto dtype = static_cast<std::int16_t>(op.dtype);
        if (kind < 0 || kind >= execspec::op_kinds || dtype < 0 || dtype > 2)
            throw PythonError("StatsError", "an op table holds kind " + std::to_string(kind) + " and dtype " +
                                                std::to_string(dtype) + ", which this version does not know");
    }
    if (gripper.size() != dim) throw PythonError("ShapeMismatchError", "gripper must hold one flag per channel");
    return std::make_unique<Unnormalizer>(std::move(ops), dim, Domain{lo, hi, std::move(points)}, std::move(gripper));
}

template <class In, class Out>
void run(const Unnormalizer& map, const Matrix& in, const Matrix& out, std::size_t threads) {
    const auto from = in.view<const In>();
    const auto to = out.view<Out>();
    const py::gil_scoped_release release;
    map.apply(from, to, in.rows, threads);
}

py::array apply(const Unnormalizer& map, const py::object& u, const py::object& out,
                const std::optional<std::string>& dtype, const py::object& threads) {
    Matrix in = read_matrix(u, map.dim(), "u");
    OpDType result = in.dtype;
    if (dtype == "native")
        result = map.native_dtype(in.dtype);
    else if (dtype)
        result = dtype_code(py::dtype(*dtype));
    Output output(out, in, result);
    const std::size_t pool = thread_count(threads, in.rows * in.dim);
    const bool narrow_in = in.dtype == OpDType::float32;
    const bool narrow_out = result == OpDType::float32;
    if (narrow_in && narrow_out) run<float, float>(map, in, output.matrix(), pool);
    if (narrow_in && !narrow_out) run<float, double>(map, in, output.matrix(), pool);
    if (!narrow_in && narrow_out) run<double, float>(map, in, output.matrix(), pool);
    if (!narrow_in && !narrow_out) run<double, double>(map, in, output.matrix(), pool);
    return output.finish();
}

py::array inverse(const Unnormalizer& map, const py::object& a, const py::object& out, const py::object& threads) {
    for (std::size_t d = 0; d < map.dim(); ++d)
        if (!map.invertible(d))
            throw PythonError("NotInvertibleError", "channel " + std::to_string(d) +
                                                        " has no inverse: its map is a constant, a clip or a step");
    Matrix in = read_matrix(a, map.dim(), "a");
    Output output(out, in, in.dtype);
    const std::size_t pool = thread_count(threads, in.rows * in.dim);
    const auto solve = [&](auto zero) {
        using T = decltype(zero);
        const auto from = in.view<const T>();
        const auto to = output.matrix().view<T>();
        const py::gil_scoped_release release;
        map.inverse(from, to, in.rows, pool);
    };
    if (in.dtype == OpDType::float32)
        solve(0.0f);
    else
        solve(0.0);
    return output.finish();
}

// [(cut, after, scale, offset), …], each real number as its two doubles.
py::list pieces(const Unnormalizer& map, std::size_t channel) {
    if (channel >= map.dim())
        throw py::index_error("channel " + std::to_string(channel) + " of " + std::to_string(map.dim()));
    const auto pair = [](const execspec::dd& x) { return py::make_tuple(x.hi, x.lo); };
    py::list out;
    for (const execspec::Piece& p : map.map(channel))
        out.append(py::make_tuple(pair(p.from.at), p.from.after, pair(p.f.scale), pair(p.f.offset)));
    return out;
}

// T(a) = scale a + offset with f_j = T(f_i), per channel; NaN where either map has no inverse.
py::tuple mismatch(const Unnormalizer& i, const Unnormalizer& j) {
    if (i.dim() != j.dim())
        throw PythonError("ShapeMismatchError",
                          "specs of " + std::to_string(i.dim()) + " and " + std::to_string(j.dim()) + " channels");
    py::array_t<double> scale(static_cast<py::ssize_t>(i.dim()));
    py::array_t<double> offset(static_cast<py::ssize_t>(i.dim()));
    for (std::size_t d = 0; d < i.dim(); ++d) {
        const bool known = i.invertible(d) && j.map(d).size() == 1;
        const Affine fi = i.map(d)[0].f;
        const Affine fj = j.map(d)[0].f;
        const execspec::dd ratio = known ? fj.scale / fi.scale : execspec::dd(std::nan(""));
        scale.mutable_at(d) = double(ratio);
        offset.mutable_at(d) = known ? double(fj.offset - ratio * fi.offset) : std::nan("");
    }
    return py::make_tuple(scale, offset);
}

}  // namespace

void bind_unnormalizer(py::module_& m) {
    py::class_<Unnormalizer>(m, "Unnormalizer", "An op table compiled to piecewise-affine maps, one per channel.")
        .def(py::init(&construct), py::arg("table"), py::arg("lo"), py::arg("hi"), py::arg("points"),
             py::arg("gripper"))
        .def_property_readonly("dim", &Unnormalizer::dim)
        .def("apply", &apply, py::arg("u"), py::arg("out"), py::arg("dtype"), py::arg("threads"))
        .def("inverse", &inverse, py::arg("a"), py::arg("out"), py::arg("threads"))
        .def("invertible", &Unnormalizer::invertible, py::arg("channel"))
        .def("pieces", &pieces, py::arg("channel"));
    m.def(
        "float_array",
        [](const py::object& array, const std::string& name) { return float_array(array, name.c_str()); },
        py::arg("array"), py::arg("name"));
    m.def("mismatch", &mismatch, py::arg("intended"), py::arg("executed"));
}
