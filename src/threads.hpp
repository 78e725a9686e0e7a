// How many threads a batch call uses.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <thread>

#include "errors.hpp"

// What the caller asked for; if nothing, one thread per `grain` elements, up to the number of CPUs.
inline std::size_t thread_count(const pybind11::object& threads, std::size_t elements,
                                std::size_t grain = std::size_t{1} << 18) {
    if (threads.is_none()) {
        const std::size_t cpus = std::max(1u, std::thread::hardware_concurrency());
        return std::clamp<std::size_t>(elements / grain, 1, cpus);
    }
    if (!pybind11::isinstance<pybind11::int_>(threads) || threads < pybind11::int_(1))
        throw PythonError("ExecSpecError", "threads = " + pybind11::repr(threads).cast<std::string>() +
                                               "; give a positive count, or None to choose by size");
    const pybind11::int_ most(256);  // more would only cost: the bits are the same
    return (threads < most ? threads : pybind11::object(most)).cast<std::size_t>();
}
