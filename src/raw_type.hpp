// A C++ object as a plain CPython type: methods without pybind11 between, open to subclasses, one thread each.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>

#include "errors.hpp"

namespace raw {

template <class T>
struct Object {
    PyObject_HEAD T* held;  // apart, because CPython aligns to 16 bytes only
};

template <class T>
T& of(PyObject* self) noexcept {
    return *reinterpret_cast<Object<T>*>(self)->held;
}

// Runs `body`; what it throws becomes the Python error, and null the result.
template <class Body>
auto safely(Body&& body) noexcept -> decltype(body()) {
    try {
        try {
            return body();
        } catch (const PythonError& error) {
            set_error(error);
        }
    } catch (pybind11::error_already_set& error) {
        error.restore();
    } catch (const pybind11::builtin_exception& error) {
        error.set_error();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    }
    return {};
}

// A method of the C API from a function that takes the object and throws.
template <auto function>
PyObject* fast(PyObject* self, PyObject* const* args, Py_ssize_t n) noexcept {
    return safely([&] { return function(self, args, n); });
}
template <auto function>
PyObject* plain(PyObject* self, PyObject*) noexcept {
    return safely([&] { return function(self); });
}
template <auto function>
PyObject* getter(PyObject* self, void*) noexcept {
    return safely([&]() -> PyObject* { return function(self).release().ptr(); });
}

template <auto function>
constexpr PyMethodDef fast_method(const char* name, const char* doc) {
    return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&fast<function>)), METH_FASTCALL, doc};
}
template <auto function>
constexpr PyMethodDef plain_method(const char* name, const char* doc) {
    return {name, &plain<function>, METH_NOARGS, doc};
}

inline void expect(const char* name, Py_ssize_t given, Py_ssize_t least, Py_ssize_t most) {
    if (given >= least && given <= most) return;
    const std::string wanted = std::to_string(least) + (most > least ? " to " + std::to_string(most) : "");
    throw pybind11::type_error(std::string(name) + "() takes " + wanted + " arguments, by position; " +
                               std::to_string(given) + " given");
}

// What no other thread that runs at the same time has.
inline std::uintptr_t this_thread() noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
    return reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer());
#else
    return PyThread_get_thread_ident();
#endif
}

// The one thread that may change an object: the first that steps it, until it is handed over.
class Owner {
  public:
    void claim() {
        const std::uintptr_t thread = this_thread();
        if (thread == thread_) return;
        check();
        thread_ = thread;
        named_ = PyThread_get_thread_ident();
    }
    void check() const {
        if (thread_ != 0 && thread_ != this_thread()) refuse();
    }
    void hand_over() noexcept { thread_ = 0; }

  private:
    [[noreturn]] void refuse() const {
        throw PythonError("ThreadError",
                          "thread " + std::to_string(PyThread_get_thread_ident()) + " called what belongs to thread " +
                              std::to_string(named_) +
                              ", the first to step it; make one per thread, or call hand_over() between the two");
    }

    std::uintptr_t thread_ = 0;
    unsigned long named_ = 0;  // as Python calls it
};

// The type's slots. T is made of the one argument, and has `visit(visitproc, void*)` and `forget()` for the objects it
// holds.
template <class T>
struct Slots {
    static PyObject* make(PyTypeObject* type, PyObject* args, PyObject* keywords) noexcept {
        return safely([&]() -> PyObject* {
            if (keywords && PyDict_GET_SIZE(keywords)) throw pybind11::type_error("takes no keyword arguments");
            expect(type->tp_name, PyTuple_GET_SIZE(args), 1, 1);
            auto held = std::make_unique<T>(PyTuple_GET_ITEM(args, 0));
            PyObject* self = type->tp_alloc(type, 0);
            if (self) reinterpret_cast<Object<T>*>(self)->held = held.release();
            return self;
        });
    }
    static void free(PyObject* self) noexcept {
        PyObject_GC_UnTrack(self);
        PyTypeObject* type = Py_TYPE(self);
        delete reinterpret_cast<Object<T>*>(self)->held;
        type->tp_free(self);
        Py_DECREF(type);
    }
    static int traverse(PyObject* self, visitproc visit, void* arg) noexcept {
        Py_VISIT(Py_TYPE(self));
        const T* held = reinterpret_cast<Object<T>*>(self)->held;
        return held ? held->visit(visit, arg) : 0;
    }
    static int clear(PyObject* self) noexcept {
        of<T>(self).forget();
        return 0;
    }
};

// `name` is `module.Type`; methods and getters end with an empty entry and live as long as the program.
template <class T>
void add_type(pybind11::module_& m, const char* name, const char* doc, PyMethodDef* methods, PyGetSetDef* getters) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>(doc)},
        {Py_tp_new, reinterpret_cast<void*>(&Slots<T>::make)},
        {Py_tp_dealloc, reinterpret_cast<void*>(&Slots<T>::free)},
        {Py_tp_traverse, reinterpret_cast<void*>(&Slots<T>::traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(&Slots<T>::clear)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getters},
        {0, nullptr},
    };
    PyType_Spec spec{name, sizeof(Object<T>), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
    const pybind11::object type = pybind11::reinterpret_steal<pybind11::object>(PyType_FromSpec(&spec));
    if (!type) throw pybind11::error_already_set();
    m.add_object(type.attr("__name__").cast<std::string>().c_str(), type);
}

}  // namespace raw
