#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "arrays.hpp"
#include "bind.hpp"
#include "execspec/rotation.hpp"
#include "threads.hpp"

using execspec::RotationReading;

namespace {

RotationReading reading_of(const std::string& name) {
    if (name == "axis_angle") return RotationReading::axis_angle;
    if (name == "euler_xyz") return RotationReading::euler_extrinsic;
    if (name == "euler_XYZ") return RotationReading::euler_intrinsic;
    throw PythonError("ExecSpecError", "no rotation reading '" + name +
                                           "' of three numbers; known: axis_angle, euler_xyz (extrinsic), "
                                           "euler_XYZ (intrinsic)");
}

// (..., 3) to (...,): the angle between each row read as `read_as` and read as `instead_of`.
py::array_t<double> geodesic(const py::object& rows, const std::string& read_as, const std::string& instead_of,
                             const py::object& threads) {
    const Matrix in = read_matrix(rows, 3, "rotations");
    const RotationReading one = reading_of(read_as);
    const RotationReading other = reading_of(instead_of);
    const py::ssize_t* shape = in.array.shape();
    py::array_t<double> result(std::vector<py::ssize_t>(shape, shape + in.array.ndim() - 1));
    double* out = result.mutable_data();
    const std::size_t pool = thread_count(threads, in.rows, 1 << 14);
    const py::gil_scoped_release release;
    if (in.dtype == OpDType::float32)
        execspec::geodesic(in.view<const float>(), in.rows, one, other, out, pool);
    else
        execspec::geodesic(in.view<const double>(), in.rows, one, other, out, pool);
    return result;
}

}  // namespace

void bind_rotation(py::module_& m) {
    m.def("geodesic", &geodesic, py::arg("rotations"), py::arg("read_as"), py::arg("instead_of"), py::arg("threads"));
}
