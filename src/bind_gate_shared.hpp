// What bind_gate.cpp shares with other files, compiled for every machine, before bind_gate.cpp is compiled for some.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif
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
