/* What a call costs by itself: `empty()`, and `two_buffers(x, y)`, which takes two buffers and gives them back. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *empty(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return PyLong_FromLong(0);
}

static PyObject *two_buffers(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    Py_buffer x, y;
    if (n != 2 || PyObject_GetBuffer(args[0], &x, PyBUF_RECORDS_RO)) return NULL;
    if (PyObject_GetBuffer(args[1], &y, PyBUF_RECORDS_RO)) {
        PyBuffer_Release(&x);
        return NULL;
    }
    PyBuffer_Release(&y);
    PyBuffer_Release(&x);
    return PyLong_FromLong(0);
}

static PyMethodDef methods[] = {
    {"empty", empty, METH_NOARGS, NULL},
    {"two_buffers", (PyCFunction)(void (*)(void))two_buffers, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "bare_calls", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_bare_calls(void) { return PyModule_Create(&module); }
