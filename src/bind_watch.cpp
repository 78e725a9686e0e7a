// `_core.Watch`: the watch, in a type that makes a step cost little more than the call.
#include <pybind11/pybind11.h>

#include <cstring>
#include <string>

#include "bind.hpp"
#include "errors.hpp"
#include "execspec/guard/watch.hpp"
#include "guarding.hpp"
#include "loan.hpp"
#include "raw_type.hpp"

using namespace guarding;
using execspec::OpDType;

namespace {

struct Held : Kept {
    explicit Held(PyObject* bytes) : Kept(bytes) {
        open(watch);
        max_age = watch.image().header().watch_max_age;
    }

    Watch& guard() noexcept { return watch; }
    int visit(visitproc, void*) const noexcept { return 0; }
    void forget() noexcept {}

    // In float64 alone: rounded to float32, commands at 1 kHz would accelerate by their rounding.
    Wanted wanted(const char* name, bool writable = false) const noexcept {
        return {name, OpDType::float64, watch.channels(), false, writable, true};
    }

    Watch watch;
    double max_age;
};

using Both = Alike<Held>;
Held& of(PyObject* self) { return raw::of<Held>(self); }

double seconds(PyObject* dt) {
    const double value = PyFloat_AsDouble(dt);
    if (value != -1.0 || !PyErr_Occurred()) return value;
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    throw py::type_error("dt = " + py::repr(dt).cast<std::string>() +
                         ": a number is wanted, the seconds since the command before");
}

// The values of a command as `run` takes them.
template <class Run>
auto with(PyObject* array, const Wanted& wanted, Run&& run) {
    double aligned[max_channels];
    const auto values = [&](const void* data) { return widened(data, wanted.dtype, wanted.channels, aligned); };
    if (const void* data = seen(array, wanted)) return run(values(data));
    const Loan lent(array, wanted);
    return run(values(lent.data()));
}

PyObject* step(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& w = of(self);
    w.begin();
    raw::expect("step", n, 2, 4);
    const double dt = seconds(args[1]);
    const Time time = time_of(w.max_age, args, n, 2);
    return with(args[0], w.wanted("command"), [&](const double* command) {
        return answer(self, w, w.watch.step({command, w.watch.channels()}, dt, time));
    });
}

PyObject* start(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& w = of(self);
    w.owner.check();
    raw::expect("start", n, 1, 1);
    if (!with(args[0], w.wanted("position"), [&](const double* position) { return w.watch.start(position); }))
        throw PythonError("GuardError",
                          "position has a value that is not finite, and no robot stands there: say where it does");
    return none();
}

PyObject* executed(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& w = of(self);
    w.owner.check();
    raw::expect("executed", n, 2, 2);
    const double dt = seconds(args[1]);
    if (!with(args[0], w.wanted("command"), [&](const double* command) { return w.watch.executed(command, dt); }))
        throw PythonError("GuardError",
                          "command has a value that is not finite, and no robot runs that: say the command that ran");
    return none();
}

PyObject* stop(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    Held& w = of(self);
    w.owner.check();
    raw::expect("stop", n, 2, 2);
    if (!w.watch.writes())
        throw PythonError("GuardError",
                          "this watch gives verdicts only: stop the robot yourself, or build the guard with "
                          "watch=WatchLimits(..., stops=True)");
    const double dt = seconds(args[1]);
    const Wanted wanted = w.wanted("out", true);
    const Loan out(args[0], wanted);
    double command[max_channels];
    const bool known = w.watch.stop(command, dt);
    if (known) narrowed(command, wanted.dtype, wanted.channels, out.data());
    return PyBool_FromLong(known);
}

py::object writes(PyObject* self) { return py::bool_(of(self).watch.writes()); }
py::object at_rest(PyObject* self) { return py::bool_(of(self).watch.at_rest()); }

py::object counters(PyObject* self) {
    const Watch& watch = of(self).watch;
    py::dict all = told(watch.counters());
    all["worst_position"] = told(watch.worst_position());
    all["worst_velocity"] = told(watch.worst_velocity());
    all["worst_acceleration"] = told(watch.worst_acceleration());
    all["worst_jerk"] = told(watch.worst_jerk());
    return all;
}

PyMethodDef methods[] = {
    raw::fast_method<step>(
        "step",
        "step($self, command, dt, stamp=None, now=None, /)\n--\n\n"
        "Judge one command, (D,) float64, dt seconds after the one before. Returns the faults, 0 for "
        "a clean step."),
    raw::fast_method<start>("start",
                            "start($self, position, /)\n--\n\n"
                            "Say where the robot stands still, (D,), so that the first command is judged in full."),
    raw::fast_method<executed>("executed",
                               "executed($self, command, dt, /)\n--\n\n"
                               "Say which command ran, (D,), where it is neither the one that passed nor a stop's."),
    raw::fast_method<stop>("stop",
                           "stop($self, out, dt, /)\n--\n\n"
                           "Write the next command of a ramp to a stand, (D,), in the place of a refused one. False "
                           "where no position is known to start from; then nothing is written."),
    raw::fast_method<Both::confirm>("confirm",
                                    "confirm($self, digest, /)\n--\n\n"
                                    "Compare a peer's digest, 32 bytes or hexadecimal. Returns the faults; a wrong one "
                                    "latches."),
    raw::fast_method<Both::reset>("reset",
                                  "reset($self, digest, /)\n--\n\n"
                                  "Clear the latch and the motion so far. Needs the spec's digest."),
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
    {"writes", raw::getter<writes>, nullptr, "Whether stop() writes commands; if not, there are verdicts only.",
     nullptr},
    {"at_rest", raw::getter<at_rest>, nullptr, "Whether the commands so far have come to a stand.", nullptr},
    {"counters", raw::getter<counters>, nullptr,
     "Steps and faults by bit; the worst in units of its limit, and its channel.", nullptr},
    {"image", raw::getter<Both::image>, nullptr, "The bytes it was made of.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

void bind_watch(py::module_& m) {
    raw::add_type<Held>(m, "execspec_fast._core.Watch",
                        "Watch(image, /)\n--\n\nHolds every command of a control loop against limits per second.",
                        methods, getters);
}
