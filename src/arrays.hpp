// The only reader of dtype, strides, byte order, alignment and overlap. Kernels see `Rows` and counts.
//
// Taken: float32 and float64 of any strides, byte order and alignment, with the channels on the last axis; anything
// else NumPy can make an integer or float64 array of (lists, int32) is converted exactly. Refused by name: float16,
// longdouble, complex, bool, object, masked arrays. Where the memory does not suit a kernel, it gets a copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "execspec/unnormalizer.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

using execspec::OpDType;
using execspec::Rows;

// An array of shape (..., D) as rows of channels.
struct Matrix {
    py::array array;  // native float32 or float64, aligned, its leading axes one stride apart
    OpDType dtype;
    std::size_t rows;
    std::size_t dim;

    template <class T>
    Rows<T> view() const {
        const py::ssize_t row = array.ndim() > 1 ? array.strides(array.ndim() - 2) : 0;
        return {reinterpret_cast<T*>(const_cast<void*>(array.data())), row, array.strides(array.ndim() - 1)};
    }
};

inline std::string shape_text(const py::array& a) { return py::str(a.attr("shape")).cast<std::string>(); }

inline OpDType dtype_code(const py::dtype& dtype) {
    return dtype.itemsize() == 4 ? OpDType::float32 : OpDType::float64;
}

inline py::dtype numpy_dtype(OpDType dtype) {
    return dtype == OpDType::float32 ? py::dtype::of<float>() : py::dtype::of<double>();
}

// One stride leads from row to row over all leading axes.
inline bool has_row_stride(const py::array& a) {
    py::ssize_t expected = 0;
    for (py::ssize_t axis = a.ndim() - 2; axis >= 0; --axis) {
        if (a.shape(axis) == 1) continue;
        if (expected != 0 && a.strides(axis) != expected) return false;
        if (expected == 0 && axis != a.ndim() - 2) return false;
        expected = a.strides(axis) * a.shape(axis);
    }
    return true;
}

inline bool is_native(const py::array& a) {
    const char order = a.dtype().byteorder();
    return (order == '=' || order == '|' || order == '<') && (a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_);
}

inline Matrix as_matrix(const py::array& a, std::size_t dim, const char* name) {
    if (a.ndim() == 0 || static_cast<std::size_t>(a.shape(a.ndim() - 1)) != dim)
        throw PythonError("ShapeMismatchError", std::string(name) + " has shape " + shape_text(a) +
                                                    "; its last axis must hold " + std::to_string(dim) + " channels");
    std::size_t rows = 1;
    for (py::ssize_t axis = 0; axis + 1 < a.ndim(); ++axis) rows *= static_cast<std::size_t>(a.shape(axis));
    return {a, dtype_code(a.dtype()), rows, dim};
}

// Any array-like of actions. Converts what converts exactly, refuses the rest by name.
inline py::array float_array(const py::object& object, const char* name) {
    const py::module_ numpy = py::module_::import("numpy");
    if (py::isinstance(object, numpy.attr("ma").attr("MaskedArray")))
        throw PythonError("DTypeError",
                          std::string(name) + " is a masked array, whose mask would be lost; pass .filled(value)");
    py::array a;
    try {
        a = numpy.attr("asarray")(object);
    } catch (py::error_already_set& error) {
        throw PythonError("ShapeMismatchError",
                          std::string(name) + " is no array: " + py::str(error.value()).cast<std::string>());
    }
    const char kind = a.dtype().kind();
    const py::ssize_t size = a.dtype().itemsize();
    if (kind == 'i' || kind == 'u') {
        const py::array wide = numpy.attr("asarray")(a, "dtype"_a = "float64");
        if (size == 8 && numpy.attr("any")(numpy.attr("abs")(wide).attr("__gt__")(9007199254740992.0)).cast<bool>())
            throw PythonError("DTypeError",
                              std::string(name) + " holds integers beyond 2^53, which float64 cannot hold");
        return wide;
    }
    if (kind == 'f' && (size == 4 || size == 8)) return a;
    throw PythonError("DTypeError", std::string(name) + " has dtype " + py::str(a.dtype()).cast<std::string>() +
                                        "; actions are float32 or float64, convert with .astype first");
}

inline Matrix read_matrix(const py::object& object, std::size_t dim, const char* name) {
    py::array a = float_array(object, name);
    Matrix m = as_matrix(a, dim, name);
    if (is_native(a) && has_row_stride(a)) return m;
    const py::module_ numpy = py::module_::import("numpy");
    m.array = numpy.attr("array")(a, "dtype"_a = numpy_dtype(m.dtype), "order"_a = "C", "copy"_a = true);
    return m;
}

// Where a batch result goes: `out` itself if its memory suits, else a buffer that `finish` copies into it.
class Output {
  public:
    // `like` is the input: its shape is the result's, and memory shared with it in another layout is not written to.
    Output(const py::object& out, Matrix& like, OpDType dtype) {
        const py::module_ numpy = py::module_::import("numpy");
        if (out.is_none()) {
            result_ = numpy.attr("empty")(like.array.attr("shape"), numpy_dtype(dtype));
            matrix_ = as_matrix(result_, like.dim, "out");
            return;
        }
        if (!py::isinstance<py::array>(out)) throw PythonError("DTypeError", "out must be a NumPy array");
        result_ = out;
        const std::string expected = py::str(numpy_dtype(dtype)).cast<std::string>();
        if (!result_.dtype().equal(numpy_dtype(dtype)))
            throw PythonError("DTypeError", "out has dtype " + py::str(result_.dtype()).cast<std::string>() +
                                                ", the result is " + expected + " in native byte order");
        if (!result_.attr("shape").equal(like.array.attr("shape")))
            throw PythonError("ShapeMismatchError",
                              "out has shape " + shape_text(result_) + ", the result has " + shape_text(like.array));
        if (!result_.writeable()) throw PythonError("DTypeError", "out is read-only");
        if (has_repeated_memory(result_))
            throw PythonError("ShapeMismatchError",
                              "out has elements that share memory (a broadcast or an overlapping view)");
        const bool same = result_.data() == like.array.data() &&
                          result_.attr("strides").equal(like.array.attr("strides")) && dtype == like.dtype;
        if (!same && numpy.attr("may_share_memory")(result_, like.array).cast<bool>())
            like.array = numpy.attr("array")(like.array, "order"_a = "C", "copy"_a = true);
        matrix_ = as_matrix(result_, like.dim, "out");
        if (!is_native(result_) || !has_row_stride(result_))
            matrix_.array = numpy.attr("empty")(like.array.attr("shape"), numpy_dtype(dtype));
    }

    const Matrix& matrix() const { return matrix_; }

    py::array finish() const {
        if (!matrix_.array.is(result_)) py::module_::import("numpy").attr("copyto")(result_, matrix_.array);
        return result_;
    }

  private:
    // Whether elements may share memory: some stride does not clear what the shorter ones span (sufficient, not exact).
    static bool has_repeated_memory(const py::array& a) {
        std::vector<std::pair<py::ssize_t, py::ssize_t>> axes;
        for (py::ssize_t axis = 0; axis < a.ndim(); ++axis)
            if (a.shape(axis) > 1) axes.emplace_back(std::abs(a.strides(axis)), a.shape(axis));
        std::sort(axes.begin(), axes.end());
        py::ssize_t span = a.itemsize();
        for (const auto& [stride, length] : axes) {
            if (stride < span) return a.size() > 0;
            span += stride * (length - 1);
        }
        return false;
    }

    py::array result_;
    Matrix matrix_{py::array(), OpDType::same, 0, 0};
};
