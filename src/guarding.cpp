#include "guarding.hpp"

#include <cstring>

namespace guarding {

Bytes::Bytes(PyObject* object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE)) throw py::error_already_set();
    size_ = static_cast<std::size_t>(view.len);
    words_.resize((size_ + 7) / 8);
    if (size_) std::memcpy(words_.data(), view.buf, size_);
    PyBuffer_Release(&view);
}

void expect_loaded(LoadStatus status) {
    if (status == LoadStatus::no_watch)
        throw PythonError("GuardError",
                          std::string(text_of(status)) + "; build the guard with watch=WatchLimits(names, ...)");
    if (status != LoadStatus::ok) throw PythonError("FormatError", text_of(status));
}

Digest digest_of(PyObject* object) {
    py::object bytes = py::reinterpret_borrow<py::object>(object);
    if (py::isinstance<py::str>(bytes)) {
        try {
            bytes = py::module_::import("builtins").attr("bytes").attr("fromhex")(bytes);
        } catch (py::error_already_set&) {
        }
    }
    Digest digest;
    if (!PyBytes_Check(bytes.ptr()) || PyBytes_GET_SIZE(bytes.ptr()) != sizeof digest.bytes)
        throw PythonError("GuardError", "digest = " + py::repr(object).cast<std::string>() +
                                            ": 64 hexadecimal digits are wanted, or 32 bytes");
    std::memcpy(digest.bytes, PyBytes_AS_STRING(bytes.ptr()), sizeof digest.bytes);
    return digest;
}

void refuse(PyObject* digest) {
    throw PythonError("GuardError", "digest " + py::str(digest).cast<std::string>() +
                                        " is not the one this guard was built for; name that, and why it latched");
}

Time time_of(double max_age, PyObject* const* args, Py_ssize_t n, Py_ssize_t at) {
    if (n == at + 1) throw py::type_error("stamp and now come together, in seconds of one clock");
    if (n > at && args[at] != Py_None && args[at + 1] != Py_None) {
        const double stamp = PyFloat_AsDouble(args[at]);
        if (stamp == -1.0 && PyErr_Occurred()) throw py::error_already_set();
        const double now = PyFloat_AsDouble(args[at + 1]);
        if (now == -1.0 && PyErr_Occurred()) throw py::error_already_set();
        return {stamp, now};
    }
    if (is_finite(max_age))
        throw py::type_error("stamp and now are wanted, in seconds of one clock: the age is limited to " +
                             py::repr(py::float_(max_age)).cast<std::string>() + " s");
    return no_time;
}

py::dict told(const Counters& counters) {
    py::tuple faults(fault_codes);
    for (std::size_t bit = 0; bit < fault_codes; ++bit) faults[bit] = counters.faults[bit];
    return py::dict("steps"_a = counters.steps, "refused"_a = counters.refused, "overshoots"_a = counters.overshoots,
                    "run"_a = counters.run, "faults"_a = faults);
}

py::object told(const Record& record) {
    if (!record.step) return py::none();
    return py::make_tuple(record.step, record.row, record.channel, record.value, record.limit);
}

py::tuple told(const Worst& worst) { return py::make_tuple(worst.value, worst.channel); }

std::size_t bit_of(PyObject* object) {
    const Py_ssize_t bit = PyNumber_AsSsize_t(object, nullptr);
    if (bit == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (bit < 0 || static_cast<std::size_t>(bit) >= fault_codes)
        throw py::index_error("bit " + std::to_string(bit) + " of " + std::to_string(fault_codes) + " faults");
    return static_cast<std::size_t>(bit);
}

void announce(PyObject* self, std::uint32_t faults) { py::handle(self).attr("announce")(faults); }

PyObject* warn(PyObject*, PyObject* const* args, Py_ssize_t n) {
    raw::expect("announce", n, 1, 1);
    const unsigned long faults = PyLong_AsUnsignedLong(args[0]);
    if (PyErr_Occurred()) throw py::error_already_set();
    std::string text = "the guard found: ";
    for (std::uint32_t bit = 0; bit < fault_codes; ++bit)
        if (faults >> bit & 1) text += (text.back() == ' ' ? "" : ", ") + std::string(fault_info[bit].meaning);
    const py::object category = py::module_::import("execspec_fast.errors").attr("GuardWarning");
    if (PyErr_WarnEx(category.ptr(), text.c_str(), 1)) throw py::error_already_set();
    return none();
}

}  // namespace guarding
