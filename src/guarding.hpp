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
#include "raw_type.hpp"

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

// What is kept beside a gate or a watch.
struct Kept {
    explicit Kept(PyObject* bytes) : image(bytes) {}

    template <class Guard>
    void open(Guard& guard) {
        expect_loaded(guard.open(image.data(), image.size()));
        unjudged = static_cast<Mode>(guard.image().header().mode) == Mode::enforce ? Verdict::hold : Verdict::pass;
        verdict = unjudged;
    }

    // At the start of a call that judges: what it refuses to judge is not found fit to run.
    void begin() {
        owner.claim();
        verdict = unjudged;
    }

    Bytes image;
    raw::Owner owner;
    Verdict verdict;   // of the last call that judged
    Verdict unjudged;  // before a first one
};

// 32 bytes, or the same as 64 hexadecimal digits.
Digest digest_of(PyObject* object);

[[noreturn]] void refuse(PyObject* digest);

// Two arguments from args[at] on, of n; absent or None where no age is limited.
Time time_of(double max_age, PyObject* const* args, Py_ssize_t n, Py_ssize_t at);

py::dict told(const Counters& counters);
py::object told(const Record& record);  // None where it never occurred
py::tuple told(const Worst& worst);

// In mode `warn`: calls `self.announce(faults)`.
void announce(PyObject* self, std::uint32_t faults);

// What `announce` does unless a subclass does something else.
PyObject* warn(PyObject* self, PyObject* const* args, Py_ssize_t n);

inline PyObject* none() { return Py_NewRef(Py_None); }

inline PyObject* const clean = PyLong_FromLong(0);

inline PyObject* answer(PyObject* self, Kept& kept, Decision decision) {
    kept.verdict = decision.verdict;
    if (decision.announce) announce(self, decision.faults);
    return decision.faults ? PyLong_FromUnsignedLong(decision.faults) : Py_NewRef(clean);
}

// An index into what there is one of for each fault.
std::size_t bit_of(PyObject* object);

// Methods and attributes that a gate and a watch have alike. `Held` is a Kept whose `guard()` is the one or the other.
template <class Held>
struct Alike {
    static Held& of(PyObject* self) { return raw::of<Held>(self); }

    // A digest that fits judges nothing: the verdict stays.
    static PyObject* confirm(PyObject* self, PyObject* const* args, Py_ssize_t n) {
        Held& held = of(self);
        held.owner.check();
        raw::expect("confirm", n, 1, 1);
        const Decision decision = held.guard().confirm(digest_of(args[0]));
        return decision.faults ? answer(self, held, decision) : Py_NewRef(clean);
    }

    static PyObject* reset(PyObject* self, PyObject* const* args, Py_ssize_t n) {
        Held& held = of(self);
        held.owner.check();
        raw::expect("reset", n, 1, 1);
        if (!held.guard().reset(digest_of(args[0]))) refuse(args[0]);
        held.verdict = held.unjudged;
        return none();
    }

    static PyObject* hand_over(PyObject* self) {
        of(self).owner.hand_over();
        return none();
    }

    static PyObject* record(PyObject* self, PyObject* const* args, Py_ssize_t n) {
        raw::expect("record", n, 1, 1);
        return told(of(self).guard().record(bit_of(args[0]))).release().ptr();
    }

    static py::object verdict(PyObject* self) { return py::int_(static_cast<int>(of(self).verdict)); }

    static py::object latched(PyObject* self) { return py::bool_(of(self).guard().latched()); }

    static py::object image(PyObject* self) { return of(self).image.copy(); }
};

}  // namespace guarding
