// One binding function per subject, called by module.cpp.
#pragma once

#include <pybind11/pybind11.h>

void bind_unnormalizer(pybind11::module_& m);
void bind_sample(pybind11::module_& m);
void bind_drift(pybind11::module_& m);
void bind_isa(pybind11::module_& m);
void bind_rotation(pybind11::module_& m);
void bind_guard(pybind11::module_& m);
void bind_gate(pybind11::module_& m);
void bind_gate_avx2(pybind11::module_& m);
void bind_gate_avx512(pybind11::module_& m);
void bind_watch(pybind11::module_& m);
