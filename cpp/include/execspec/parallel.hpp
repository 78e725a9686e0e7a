// Splits [0, n) into one contiguous range per thread. Each index is computed the same way whoever computes it,
// so results never depend on the thread count.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <thread>
#include <vector>

namespace execspec {

template <class Body>
void parallel_for(std::size_t n, std::size_t threads, Body&& body) {
    threads = std::max<std::size_t>(1, std::min(threads, n));
    const auto bound = [=](std::size_t t) { return n / threads * t + std::min(n % threads, t); };
    std::vector<std::exception_ptr> errors(threads);
    const auto run = [&](std::size_t t) noexcept {
        try {
            body(bound(t), bound(t + 1));
        } catch (...) {
            errors[t] = std::current_exception();
        }
    };
    std::vector<std::thread> pool;
    pool.reserve(threads - 1);
    try {
        for (std::size_t t = 1; t < threads; ++t) pool.emplace_back(run, t);
    } catch (...) {  // no thread to be had: do the rest here
        for (std::size_t t = pool.size() + 1; t < threads; ++t) run(t);
    }
    run(0);
    for (std::thread& thread : pool) thread.join();
    for (const std::exception_ptr& error : errors)
        if (error) std::rethrow_exception(error);
}

}  // namespace execspec
