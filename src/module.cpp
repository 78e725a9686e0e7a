// Registers the extension; each subject binds itself.
#include <pybind11/pybind11.h>

#include "bind.hpp"
#include "errors.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
    m.doc() = "Compiled core of execspec_fast: op tables, piecewise-affine maps, action samples and drift.";
    m.attr("__version__") = EXECSPEC_VERSION;
    py::register_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const PythonError& error) {
            const py::object type = py::module_::import("execspec_fast.errors").attr(error.name);
            PyErr_SetString(type.ptr(), error.what());
        }
    });
    bind_unnormalizer(m);
    bind_sample(m);
    bind_drift(m);
    bind_rotation(m);
    bind_isa(m);
}
