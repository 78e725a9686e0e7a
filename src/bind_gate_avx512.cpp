// bind_gate.cpp once more, for machines with AVX-512.
#include "bind_gate_shared.hpp"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl")
#define EXECSPEC_PACK_SIZE 8
#define BIND_GATE bind_gate_avx512
#include "bind_gate.cpp"
#pragma GCC pop_options
#else
void bind_gate_avx512(pybind11::module_& m) { bind_gate(m); }
#endif
