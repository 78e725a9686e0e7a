// bind_gate.cpp once more, for machines with AVX2. What other files share is compiled before, for every machine.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bind.hpp"
#include "errors.hpp"
#include "execspec/guard/agreement.hpp"
#include "execspec/guard/latch.hpp"
#include "execspec/guard/ledger.hpp"
#include "guarding.hpp"
#include "loan.hpp"
#include "raw_type.hpp"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
#define BIND_GATE bind_gate_avx2
#include "bind_gate.cpp"
#pragma GCC pop_options
#else
void bind_gate_avx2(pybind11::module_& m) { bind_gate(m); }
#endif
