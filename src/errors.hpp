// C++ side of python/execspec_fast/errors.py: what the binding throws becomes the class of that name.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

// `name` is a class of execspec_fast.errors.
class PythonError : public std::runtime_error {
  public:
    PythonError(const char* class_name, const std::string& message) : std::runtime_error(message), name(class_name) {}
    const char* name;
};

// In place of that exception, the Python one.
inline void set_error(const PythonError& error) {
    const pybind11::object type = pybind11::module_::import("execspec_fast.errors").attr(error.name);
    PyErr_SetString(type.ptr(), error.what());
}
