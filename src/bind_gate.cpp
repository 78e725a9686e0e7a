// `_core.Gate`: the gate, in a type that makes a step cost little more than the call.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "errors.hpp"
#include "execspec/guard/gate.hpp"
#include "guarding.hpp"
#include "loan.hpp"
#include "raw_type.hpp"

using namespace guarding;

namespace {

constexpr Wanted clock_wanted{"clock", execspec::OpDType::float64, 2};

// Arrays that `tick` reads.
struct Bound {
    Bound(PyObject* from_u, const Wanted& as_u, PyObject* from_a, const Wanted& as_a)
        : u(from_u, as_u), a(from_a, as_a) {}
    Loan u;
    Loan a;
    std::optional<Loan> clock;  // stamp and now
};

struct Held : Kept {
    explicit Held(PyObject* bytes) : Kept(bytes) {
        open(gate);
        const Header& h = gate.image().header();
        u = {"u", h.u_dtype, h.channels};
        a = {"a", h.a_dtype, h.channels};
        doubles = h.u_dtype == execspec::OpDType::float64 && h.a_dtype == execspec::OpDType::float64;
        steps = h.steps;
        max_age = h.max_age;
        ageless = !is_finite(max_age);
    }

    Gate& guard() noexcept { return gate; }
    int visit(visitproc visit, void* arg) const noexcept {
        if (!bound) return 0;
        Py_VISIT(bound->u.owner());
        Py_VISIT(bound->a.owner());
        if (bound->clock) Py_VISIT(bound->clock->owner());
        return 0;
    }
    void forget() noexcept { const std::unique_ptr<Bound> released = std::move(bound); }

    Gate gate;
    Wanted u;
    Wanted a;
    bool doubles;       // u and a are
    std::size_t steps;  // time steps of the figures
    double max_age;
    bool ageless;
    std::unique_ptr<Bound> bound;
    std::vector<double> wide_u;  // a chunk of float32, widened
    std::vector<double> wide_a;
};

using Both = Alike<Held>;
Held& of(PyObject* self) { return raw::of<Held>(self); }

void expect_single(const Held& g) {
    if (g.steps > 1)
        throw PythonError("ShapeMismatchError",
                          "the figures of this spec differ from time step to time step; give the "
                          "whole chunk, shape (T, D), to accept");
}

// One place, into which all of the step is inlined: handed from one function to another, a decision would be put
// together in memory, and waited for.
__attribute__((noinline, flatten)) PyObject* judge(PyObject* self, Held& g, const double* u, const double* a,
                                                   Time time) {
    return answer(self, g, g.gate.step({u, g.u.channels}, {a, g.a.channels}, time));
}

__attribute__((noinline)) PyObject* judge_copies(PyObject* self, Held& g, const void* u, const void* a, Time time) {
    double wide_u[max_channels];
    double wide_a[max_channels];
    const double* from = widened(u, g.u.dtype, g.u.channels, wide_u);
    const double* to = widened(a, g.a.dtype, g.a.channels, wide_a);
    return judge(self, g, from, to, time);
}

// Values of the dtypes of the image.
PyObject* judge(PyObject* self, Held& g, const void* u, const void* a, Time time) {
    const bool in_place = g.doubles && is_aligned(u) && is_aligned(a);
    if (!in_place) return judge_copies(self, g, u, a, time);
    return judge(self, g, static_cast<const double*>(u), static_cast<const double*>(a), time);
}

PyObject* step(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& g = of(self);
    g.begin();
    raw::expect("step", n, 2, 4);
    expect_single(g);
    const Time time = n == 2 && g.ageless ? no_time : time_of(g.max_age, args, n, 2);
    const void* u = seen(args[0], g.u);
    const void* a = seen(args[1], g.a);
    if (u && a) return judge(self, g, u, a, time);
    const Loan lent_u(args[0], g.u);
    const Loan lent_a(args[1], g.a);
    return judge(self, g, lent_u.data(), lent_a.data(), time);
}

Wanted chunk_of(Wanted wanted) {
    wanted.rows = true;
    return wanted;
}

PyObject* accept(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& g = of(self);
    g.begin();
    raw::expect("accept", n, 2, 5);
    const Loan u(args[0], chunk_of(g.u));
    const Loan a(args[1], chunk_of(g.a));
    const std::size_t rows = a.rows();
    const std::string given = "chunks of " + std::to_string(u.rows()) + " and " + std::to_string(rows) + " rows; ";
    if (u.rows() != rows) throw PythonError("ShapeMismatchError", given + "as many of u as of a are wanted");
    if (g.steps > 1 && rows != g.steps)
        throw PythonError("ShapeMismatchError",
                          given + std::to_string(g.steps) + " are wanted, as many as the figures have time steps");
    if (rows < 1 || rows > max_rows)
        throw PythonError("ShapeMismatchError", given + "1 to " + std::to_string(max_rows) + " are wanted");
    auto executed = static_cast<Py_ssize_t>(rows);
    if (n > 2 && args[2] != Py_None) executed = PyNumber_AsSsize_t(args[2], nullptr);
    if (executed == -1 && PyErr_Occurred()) throw py::error_already_set();
    if (executed < 1 || static_cast<std::size_t>(executed) > rows)
        throw PythonError("ShapeMismatchError", "executed = " + std::to_string(executed) + ": of the " +
                                                    std::to_string(rows) + " rows, 1 to all of them can run");
    const Time time = time_of(g.max_age, args, n, 3);
    const std::size_t size = rows * g.u.channels;
    g.wide_u.resize(std::max(g.wide_u.size(), size));
    g.wide_a.resize(std::max(g.wide_a.size(), size));
    const double* from = widened(u.data(), g.u.dtype, size, g.wide_u.data());
    const double* to = widened(a.data(), g.a.dtype, size, g.wide_a.data());
    return answer(self, g, g.gate.accept({from, size}, {to, size}, static_cast<std::size_t>(executed), time));
}

PyObject* bind(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& g = of(self);
    g.owner.check();
    raw::expect("bind", n, 2, 3);
    expect_single(g);
    auto bound = std::make_unique<Bound>(args[0], g.u, args[1], g.a);
    if (n == 3 && args[2] != Py_None) bound->clock.emplace(args[2], clock_wanted);
    if (!bound->clock && !g.ageless)
        throw py::type_error("the age is limited: bind a clock too, a float64 array of two, stamp and now");
    bound.swap(g.bound);
    return none();
}

PyObject* tick(PyObject* self) {
    Held& g = of(self);
    g.begin();
    if (!g.bound) throw PythonError("GuardError", "nothing is bound; call bind(u, a) before tick()");
    const Bound& bound = *g.bound;
    if (!bound.u.unchanged() || !bound.a.unchanged() || (bound.clock && !bound.clock->unchanged()))
        throw PythonError("ShapeMismatchError",
                          "an array was resized, reshaped or cast in place since it was bound; bind again");
    Time time = no_time;
    if (bound.clock) std::memcpy(&time, bound.clock->data(), sizeof time);
    return judge(self, g, bound.u.data(), bound.a.data(), time);
}

PyObject* unbind(PyObject* self) {
    of(self).owner.check();
    of(self).forget();
    return none();
}

PyObject* command(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    const Held& g = of(self);
    raw::expect("command", n, 2, 2);
    Wanted from = g.u;
    Wanted to{"out", g.a.dtype, g.a.channels, false, true};
    from.rows = to.rows = g.steps > 1;
    const Loan u(args[0], from);
    const Loan out(args[1], to);
    if (u.rows() != g.steps || out.rows() != g.steps)
        throw PythonError("ShapeMismatchError", "u has " + std::to_string(u.rows()) + " rows and out " +
                                                    std::to_string(out.rows()) + "; " + std::to_string(g.steps) +
                                                    " are wanted, as many as the figures have time steps");
    const std::size_t size = g.steps * from.channels;
    std::vector<double> wide(size);
    std::vector<double> actions(size);
    const double* values = widened(u.data(), from.dtype, size, wide.data());
    for (std::size_t row = 0; row < g.steps; ++row)
        g.gate.command(values + row * from.channels, actions.data() + row * from.channels, row);
    narrowed(actions.data(), to.dtype, size, out.data());
    return none();
}

PyObject* hold(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    const Held& g = of(self);
    raw::expect("hold", n, 1, 1);
    const Loan out(args[0], {"out", g.a.dtype, g.a.channels, false, true});
    double values[max_channels];
    const bool known = g.gate.hold(values);
    if (known) narrowed(values, g.a.dtype, g.a.channels, out.data());
    return PyBool_FromLong(known);
}

PyObject* executed(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& g = of(self);
    g.owner.check();
    raw::expect("executed", n, 1, 1);
    const Loan a(args[0], g.a);
    double wide[max_channels];
    if (!g.gate.executed(widened(a.data(), g.a.dtype, g.a.channels, wide)))
        throw PythonError("GuardError",
                          "a has a value that is not finite, and no robot runs that: say the action that ran");
    return none();
}

py::object counters(PyObject* self) {
    const Gate& gate = of(self).gate;
    py::dict all = told(gate.counters());
    all["worst_envelope"] = told(gate.worst_envelope());
    all["worst_jump"] = told(gate.worst_jump());
    all["worst_walk"] = told(gate.worst_walk());
    return all;
}

py::object evidence(PyObject* self) {
    const Gate& gate = of(self).gate;
    const Evidence found = gate.evidence();
    py::list explaining;
    for (std::uint32_t k = 0; k < gate.image().header().candidates; ++k)
        if (gate.explains(k)) explaining.append(k);
    return py::dict("steps"_a = found.steps, "segments"_a = found.segments, "explaining"_a = py::tuple(explaining),
                    "best"_a = found.best, "worst"_a = found.worst, "margin"_a = found.margin,
                    "runner_up"_a = found.runner_up);
}

PyMethodDef methods[] = {
    raw::fast_method<step>(
        "step",
        "step($self, u, a, stamp=None, now=None, /)\n--\n\n"
        "Judge one action, (D,) each of the image's dtypes. Returns the faults, 0 for a clean step."),
    raw::fast_method<accept>("accept",
                             "accept($self, u, a, executed=None, stamp=None, now=None, /)\n--\n\n"
                             "Judge a chunk, (T, D) each, of which the first `executed` rows will run. Returns the "
                             "faults."),
    raw::fast_method<bind>("bind",
                           "bind($self, u, a, clock=None, /)\n--\n\n"
                           "Borrow the arrays that tick() reads: u and a, (D,), and stamp and now, (2,) float64."),
    raw::plain_method<tick>("tick", "tick($self, /)\n--\n\nstep() on what is bound, as it is now."),
    raw::plain_method<unbind>("unbind", "unbind($self, /)\n--\n\nGive the bound arrays back."),
    raw::fast_method<command>("command",
                              "command($self, u, out, /)\n--\n\n"
                              "Write the action that the spec makes of u, (D,); (T, D) where figures have time steps."),
    raw::fast_method<hold>("hold",
                           "hold($self, out, /)\n--\n\n"
                           "Write what to execute in the place of a refused action, (D,). False where nothing is known "
                           "to stand still by; then nothing is written."),
    raw::fast_method<executed>("executed",
                               "executed($self, a, /)\n--\n\n"
                               "Say which action ran, (D,), where it is neither the one accepted nor the hold."),
    raw::fast_method<Both::confirm>("confirm",
                                    "confirm($self, digest, /)\n--\n\n"
                                    "Compare a peer's digest, 32 bytes or hexadecimal. Returns the faults; a wrong one "
                                    "latches."),
    raw::fast_method<Both::reset>(
        "reset",
        "reset($self, digest, /)\n--\n\n"
        "Clear the latch, the last action, the walk and the evidence. Needs the spec's digest."),
    raw::plain_method<Both::hand_over>("hand_over",
                                       "hand_over($self, /)\n--\n\nLet the next thread that steps it own it."),
    raw::fast_method<Both::record>("record",
                                   "record($self, bit, /)\n--\n\n"
                                   "(step, row, channel, value, limit) of the latest fault of that bit, or None."),
    raw::fast_method<warn>("announce",
                           "announce($self, faults, /)\n--\n\n"
                           "Called in mode `warn` by the first step of a run of faults; issues a GuardWarning."),
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef getters[] = {
    {"verdict", raw::getter<Both::verdict>, nullptr, "Of the last call that judged: 0 pass, 1 hold, 2 stop.", nullptr},
    {"latched", raw::getter<Both::latched>, nullptr, "Whether only a reset lets it pass anything again.", nullptr},
    {"counters", raw::getter<counters>, nullptr,
     "Steps and faults by bit; the worst in units of its limit, and its channel.", nullptr},
    {"evidence", raw::getter<evidence>, nullptr, "Which candidates explain the latest steps, by index.", nullptr},
    {"image", raw::getter<Both::image>, nullptr, "The bytes it was made of.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

#ifndef BIND_GATE
#define BIND_GATE bind_gate
#endif
void BIND_GATE(py::module_& m) {
    ndarray_type = reinterpret_cast<PyTypeObject*>(py::detail::npy_api::get().PyArray_Type_);
    raw::add_type<Held>(m, "execspec_fast._core.Gate",
                        "Gate(image, /)\n--\n\nChecks every action against a spec before it moves a robot.", methods,
                        getters);
}
