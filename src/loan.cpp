#include "loan.hpp"

#include <cstring>
#include <string>

#include "errors.hpp"

namespace py = pybind11;

using execspec::OpDType;

PyTypeObject* ndarray_type = nullptr;

namespace {

std::string shape_text(const Py_buffer& view) {
    std::string text = "(";
    for (int axis = 0; axis < view.ndim; ++axis) text += (axis ? ", " : "") + std::to_string(view.shape[axis]);
    return text + (view.ndim == 1 ? ",)" : ")");
}

std::string shape_text(const Wanted& wanted) {
    const std::string channels = std::to_string(wanted.channels);
    return wanted.rows ? "(T, " + channels + ")" : "(" + channels + ",)";
}

bool is_native(const Py_buffer& view, OpDType dtype) {
    const char* format = view.format ? view.format : "B";
    if (*format == '@' || *format == '=' || (*format == '<' && PY_LITTLE_ENDIAN)) ++format;
    return std::strcmp(format, dtype == OpDType::float32 ? "f" : "d") == 0;
}

bool is_contiguous(const Py_buffer& view) {
    Py_ssize_t expected = view.itemsize;
    for (int axis = view.ndim - 1; axis >= 0; --axis) {
        if (view.shape[axis] > 1 && view.strides[axis] != expected) return false;
        expected *= view.shape[axis];
    }
    return true;
}

bool is_masked(PyObject* object) {
    return py::isinstance(object, py::module_::import("numpy").attr("ma").attr("MaskedArray"));
}

}  // namespace

Loan::Loan(PyObject* object, const Wanted& wanted) : Loan() {
    const std::string name = wanted.name;
    const std::string dtype = wanted.dtype == OpDType::float32 ? "float32" : "float64";
    const std::string pass = "pass a NumPy array of dtype " + dtype + " and shape " + shape_text(wanted);
    const bool is_array = PyObject_TypeCheck(object, ndarray_type);
    if (is_array && Py_TYPE(object) != ndarray_type && is_masked(object))
        throw PythonError("DTypeError", name + " is a masked array, whose mask would be lost; pass .filled(value)");
    if (!PyObject_CheckBuffer(object) || PyObject_GetBuffer(object, &view_, PyBUF_RECORDS_RO)) {
        view_.obj = nullptr;
        PyErr_Clear();
        throw PythonError("DTypeError", name + " is a " + Py_TYPE(object)->tp_name + " that lends no buffer; " + pass);
    }
    if (!is_native(view_, wanted.dtype))
        throw PythonError("DTypeError", name + " holds elements '" + (view_.format ? view_.format : "B") + "', not " +
                                            dtype + " in native byte order; convert with .astype('" + dtype + "')" +
                                            (wanted.fixed ? "" : ", or build the guard for the dtype you have"));
    const int axes = wanted.rows ? 2 : 1;
    if (view_.ndim != axes || static_cast<std::size_t>(view_.shape[axes - 1]) != wanted.channels)
        throw PythonError("ShapeMismatchError", name + " has shape " + shape_text(view_) + "; " + pass);
    if (!is_contiguous(view_))
        throw PythonError("ShapeMismatchError", name + " is not contiguous: its elements are " +
                                                    std::to_string(view_.strides[view_.ndim - 1]) +
                                                    " bytes apart; pass numpy.ascontiguousarray(" + name + ")");
    if (wanted.writable && view_.readonly)
        throw PythonError("DTypeError", name + " is read-only, and the result goes there; " + pass);
    if (is_array) {
        array_ = py::detail::array_proxy(object);
        descr_ = array_->descr;
        length_ = array_->dimensions[0];
        flags_ = array_->flags;
    }
    rows_ = wanted.rows ? static_cast<std::size_t>(view_.shape[0]) : 1;
}
