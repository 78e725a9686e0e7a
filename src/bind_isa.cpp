// Which instruction set the batch kernels run on, to look at and to force.
#include <pybind11/pybind11.h>

#include <cstdlib>
#include <string>

#include "bind.hpp"
#include "errors.hpp"
#include "execspec/isa.hpp"

namespace py = pybind11;
using execspec::Isa;

namespace {

struct Name {
    Isa isa;
    const char* text;
};
constexpr Name names[] = {{Isa::baseline, "baseline"}, {Isa::avx2, "avx2"}, {Isa::avx512, "avx512"}};

std::string active() {
    const Isa isa = execspec::isa::active();
    for (const Name& name : names)
        if (name.isa == isa) return name.text;
    return "";
}

py::tuple available() {
    py::list found;
    for (const Name& name : names)
        if (execspec::isa::supported(name.isa)) found.append(name.text);
    return py::tuple(found);
}

void use(const std::string& wanted) {
    for (const Name& name : names)
        if (wanted == name.text && execspec::isa::supported(name.isa)) {
            execspec::isa::active() = name.isa;
            return;
        }
    throw PythonError("UnsupportedIsaError", "instruction set '" + wanted + "' is not one that this machine has: " +
                                                 py::str(", ").attr("join")(available()).cast<std::string>());
}

}  // namespace

void bind_isa(py::module_& m) {
    m.def("isa_active", &active);
    m.def("isa_available", &available);
    m.def("isa_use", &use, py::arg("name"));
    if (const char* wanted = std::getenv("EXECSPEC_ISA")) {
        try {
            use(wanted);
        } catch (const PythonError& error) {
            throw py::import_error(std::string("EXECSPEC_ISA: ") + error.what());
        }
    }
}
