// bind_gate.cpp once more, for machines with AVX2.
#include "bind_gate_shared.hpp"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define EXECSPEC_PACK_SIZE 4
#define BIND_GATE bind_gate_avx2
#include "bind_gate.cpp"
#pragma GCC pop_options
#else
void bind_gate_avx2(pybind11::module_& m) { bind_gate(m); }
#endif
