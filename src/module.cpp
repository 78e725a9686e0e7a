// Registers the extension; each subject binds itself.
#include <pybind11/pybind11.h>

#include "bind.hpp"
#include "errors.hpp"
#include "execspec/isa.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_core, m) {
    m.doc() = "Compiled core of execspec_fast: op tables, piecewise-affine maps, action samples, drift and the guard.";
    m.attr("__version__") = EXECSPEC_VERSION;
    py::register_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const PythonError& error) {
            set_error(error);
        }
    });
    bind_unnormalizer(m);
    bind_sample(m);
    bind_drift(m);
    bind_rotation(m);
    bind_isa(m);
    bind_guard(m);
    bind_watch(m);
    // Chosen once: what the step of a gate is compiled for is part of its type.
    switch (execspec::isa::active()) {
        case execspec::Isa::avx512:
            return bind_gate_avx512(m);
        case execspec::Isa::avx2:
            return bind_gate_avx2(m);
        case execspec::Isa::baseline:
            return bind_gate(m);
    }
}
