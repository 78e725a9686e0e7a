// The instruction set that batch kernels run on. Every choice gives the same bits: a kernel is one loop, compiled
// several times, and contraction to fused multiply-adds is off; only std::fma, which rounds once anywhere, is fused.
#pragma once

#include <atomic>
#include <cstdint>

namespace execspec {

enum class Isa : std::uint8_t { baseline, avx2, avx512 };

namespace isa {

inline bool supported(Isa isa) {
#if defined(__x86_64__)
    switch (isa) {
        case Isa::avx512:
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
        case Isa::avx2:
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Isa::baseline:
            return true;
    }
#endif
    return isa == Isa::baseline;
}

inline Isa best() { return supported(Isa::avx512) ? Isa::avx512 : supported(Isa::avx2) ? Isa::avx2 : Isa::baseline; }

// What kernels run on from now on; set it to a supported one only.
inline std::atomic<Isa>& active() {
    static std::atomic<Isa> isa{best()};
    return isa;
}

#if defined(__x86_64__)
// `flatten` inlines all that the body calls, and so compiles it for the target named here.
template <class Body>
__attribute__((target("avx2,fma"), flatten, noinline)) void run_avx2(Body& body) {
    body();
}
template <class Body>
__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512"), flatten, noinline)) void
run_avx512(Body& body) {
    body();
}
#endif

// Runs a kernel, a callable without arguments and result, compiled for the active instruction set.
template <class Body>
void run(Body&& body) {
#if defined(__x86_64__)
    switch (active().load(std::memory_order_relaxed)) {
        case Isa::avx512:
            return run_avx512(body);
        case Isa::avx2:
            return run_avx2(body);
        case Isa::baseline:
            break;
    }
#endif
    body();
}

}  // namespace isa
}  // namespace execspec
