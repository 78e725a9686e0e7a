// What the bindings of the gate and of the watch share: the image they own, and what they tell of their steps.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "errors.hpp"
#include "execspec/buffer.hpp"
#include "execspec/guard/image.hpp"
#include "execspec/guard/ledger.hpp"
#include "execspec/guard/status.hpp"

namespace guarding {

namespace py = pybind11;
using namespace pybind11::literals;
using namespace execspec::guard;

// A copy of an image's bytes, aligned as a loader asks.
class Bytes {
  public:
    explicit Bytes(PyObject* object);  // any contiguous buffer

    const void* data() const noexcept { return words_.data(); }
    std::size_t size() const noexcept { return size_; }
    py::bytes copy() const { return py::bytes(reinterpret_cast<const char*>(words_.data()), size_); }

  private:
    execspec::Buffer<std::uint64_t> words_;  // begins at a line of the cache, as its sections do
    std::size_t size_;
};

// Throws unless it is `ok`.
void expect_loaded(LoadStatus status);

// 32 bytes, or the same as 64 hexadecimal digits.
Digest digest_of(PyObject* object);

// Two arguments from args[at] on, of n; absent or None where no age is limited.
Time time_of(double max_age, PyObject* const* args, Py_ssize_t n, Py_ssize_t at);

py::dict told(const Counters& counters);
py::object told(const Record& record);  // None where it never occurred
py::tuple told(const Worst& worst);

// In mode `warn`: calls `self.announce(faults)`.
void announce(PyObject* self, std::uint32_t faults);

// What `announce` does unless a subclass does something else.
PyObject* warn(PyObject* self, PyObject* const* args, Py_ssize_t n);

}  // namespace guarding
