// Times of the gate's step, over actions that vary: `guard_step IMAGE STEPS`. One line of JSON, in nanoseconds.
// `guard_step IMAGE STEPS untimed` only steps, for a tool that counts instructions.
//
// `loop`: median over blocks of 1,024 steps, each after the other. `p50` to `max`: of every step alone, between two
// readings of the counter that wait for what is under way; such a pair with nothing between takes `clock`, which is
// part of them. `allocations`: calls of operator new during all steps.
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <new>
#include <random>
#include <vector>

#include "execspec/guard/gate.hpp"

namespace {

std::uint64_t allocations = 0;

constexpr std::size_t block = 1024;
using Clock = std::chrono::steady_clock;

std::uint64_t ticks() {
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}

double nanoseconds_per_tick() {
    const auto start = Clock::now();
    const std::uint64_t from = ticks();
    while (Clock::now() - start < std::chrono::milliseconds(200)) {
    }
    const std::uint64_t to = ticks();
    return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(to - from);
}

double quantile(std::vector<double>& times, double q) {
    const auto at = times.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), at, times.end());
    return *at;
}

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    const std::size_t unit = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
    using namespace execspec::guard;
    if (argc < 3) return 2;
    std::ifstream file(argv[1], std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const std::size_t steps = std::strtoull(argv[2], nullptr, 10) / block * block;
    static Gate gate;
    if (gate.open(bytes.data(), bytes.size()) != LoadStatus::ok) return 1;

    const std::size_t dim = gate.image().channels();
    std::vector<double> u(block * dim);
    std::vector<double> a(block * dim);
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> uniform(-1.0, 1.0);
    for (double& value : u) value = uniform(random);
    for (std::size_t k = 0; k < block; ++k) gate.command(&u[k * dim], &a[k * dim]);
    const auto step = [&](std::size_t k) { return gate.step({&u[k * dim], dim}, {&a[k * dim], dim}).faults; };

    std::uint32_t faults = 0;
    if (argc > 3) {
        for (std::size_t n = 0; n < steps; ++n) faults |= step(n % block);
        return faults != 0;
    }
    const double unit = nanoseconds_per_tick();
    std::vector<double> alone(steps);
    std::vector<double> loops(steps / block);
    std::vector<double> nothing(block);
    const std::uint64_t before = allocations;
    for (double& time : nothing) {
        const std::uint64_t from = ticks();
        time = static_cast<double>(ticks() - from);
    }
    for (std::size_t n = 0; n < steps / block; ++n) {
        std::uint64_t from = ticks();
        for (std::size_t k = 0; k < block; ++k) faults |= step(k);
        loops[n] = static_cast<double>(ticks() - from) / block;
        for (std::size_t k = 0; k < block; ++k) {
            from = ticks();
            faults |= step(k);
            alone[n * block + k] = static_cast<double>(ticks() - from);
        }
    }
    const std::uint64_t during = allocations - before;
    if (faults) {
        std::fprintf(stderr, "a step that should be clean has faults %u\n", faults);
        return 1;
    }
    const auto at = [&](double q) { return quantile(alone, q) * unit; };
    std::printf(
        "{\"steps\": %zu, \"loop\": %.2f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f, "
        "\"clock\": %.2f, \"allocations\": %llu}\n",
        2 * steps, quantile(loops, 0.5) * unit, at(0.5), at(0.99), at(0.999), at(1.0), quantile(nothing, 0.5) * unit,
        static_cast<unsigned long long>(during));
}
