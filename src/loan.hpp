// Arrays on the path of a step: read and written where they lie, of exactly the dtype and shape asked for; nothing is
// converted.
//
// A NumPy array that suits is seen in its own struct, in a few nanoseconds; everything else goes through the buffer
// protocol, where it is also told why it does not suit.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "execspec/ops.hpp"

// What a call asks of an array: native float32 or float64, C-contiguous, of shape (channels,) or (rows, channels).
struct Wanted {
    const char* name;
    execspec::OpDType dtype;
    std::size_t channels;
    bool rows = false;
    bool writable = false;
    bool fixed = false;  // no guard takes another dtype
};

extern PyTypeObject* ndarray_type;  // set when the module is made

inline bool suits(const pybind11::detail::PyArray_Proxy* array, const Wanted& wanted) noexcept {
    using api = pybind11::detail::npy_api;
    const int flags = api::NPY_ARRAY_C_CONTIGUOUS_ | (wanted.writable ? api::NPY_ARRAY_WRITEABLE_ : 0);
    const int number = wanted.dtype == execspec::OpDType::float64 ? api::NPY_DOUBLE_ : api::NPY_FLOAT_;
    const auto* descr = pybind11::detail::array_descriptor_proxy(array->descr);
    return array->nd == 1 && static_cast<std::size_t>(array->dimensions[0]) == wanted.channels &&
           (array->flags & flags) == flags && descr->type_num == number && descr->byteorder == '=';
}

// The values of an ndarray that suits, valid until Python code runs; null for everything else.
inline void* seen(PyObject* object, const Wanted& wanted) noexcept {
    if (Py_TYPE(object) != ndarray_type) return nullptr;
    const auto* array = pybind11::detail::array_proxy(object);
    return suits(array, wanted) ? array->data : nullptr;
}

// An export of a buffer: while it is held, the object lives and no one resizes it.
class Loan {
  public:
    // Throws a PythonError that says what does not suit and what to do.
    Loan(PyObject* object, const Wanted& wanted);
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { PyBuffer_Release(&view_); }

    PyObject* owner() const noexcept { return view_.obj; }
    std::size_t rows() const noexcept { return rows_; }
    void* data() const noexcept { return view_.buf; }

    // Whether the values still lie there as they did. Told not to count references, NumPy moves, reshapes and casts an
    // array that is lent out.
    bool unchanged() const noexcept {
        return !array_ || (array_->data == view_.buf && array_->nd == 1 && array_->dimensions[0] == length_ &&
                           array_->descr == descr_ && array_->flags == flags_);
    }

  private:
    Loan() { view_.obj = nullptr; }

    Py_buffer view_;
    const pybind11::detail::PyArray_Proxy* array_ = nullptr;  // of an ndarray or a subclass, and what it said of itself
    PyObject* descr_ = nullptr;
    Py_ssize_t length_ = 0;
    int flags_ = 0;
    std::size_t rows_ = 0;
};

inline bool is_aligned(const void* values) noexcept {
    return reinterpret_cast<std::uintptr_t>(values) % alignof(double) == 0;
}

// n values of either dtype as doubles: where they lie, or in `out`, also if they lie where no double may.
inline const double* widened(const void* values, execspec::OpDType dtype, std::size_t n, double* out) noexcept {
    if (dtype == execspec::OpDType::float64) {
        if (is_aligned(values)) return static_cast<const double*>(values);
        std::memcpy(out, values, n * sizeof(double));
        return out;
    }
    for (std::size_t i = 0; i < n; ++i) {
        float narrow;
        std::memcpy(&narrow, static_cast<const char*>(values) + i * sizeof narrow, sizeof narrow);
        out[i] = narrow;
    }
    return out;
}

// The way back; the values are known to have been of that dtype.
inline void narrowed(const double* values, execspec::OpDType dtype, std::size_t n, void* out) noexcept {
    if (dtype == execspec::OpDType::float64) {
        std::memcpy(out, values, n * sizeof(double));
        return;
    }
    for (std::size_t i = 0; i < n; ++i) {
        const float narrow = static_cast<float>(values[i]);
        std::memcpy(static_cast<char*>(out) + i * sizeof narrow, &narrow, sizeof narrow);
    }
}
