// Stores that leave the caches alone: a large result would be read into them before it is written, and push out what is
// there. Whole lines at once, as wide as the machine has them; a line stored in parts costs several trips to memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "execspec/isa.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace execspec {
namespace past_cache {

constexpr std::size_t line = 64;  // bytes

#if defined(__x86_64__)
inline void store_baseline(const char* from, char* to, std::size_t bytes) {
    for (std::size_t b = 0; b < bytes; b += 16)
        _mm_stream_si128(reinterpret_cast<__m128i*>(to + b),
                         _mm_load_si128(reinterpret_cast<const __m128i*>(from + b)));
}
__attribute__((target("avx2"))) inline void store_avx2(const char* from, char* to, std::size_t bytes) {
    for (std::size_t b = 0; b < bytes; b += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(to + b),
                            _mm256_load_si256(reinterpret_cast<const __m256i*>(from + b)));
}
__attribute__((target("avx512f"))) inline void store_avx512(const char* from, char* to, std::size_t bytes) {
    for (std::size_t b = 0; b < bytes; b += 64)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(to + b), _mm512_load_si512(from + b));
}
#endif

// Whole lines; `from` and `to` begin at one.
inline void store(const void* from, void* to, std::size_t bytes) {
#if defined(__x86_64__)
    const auto* source = static_cast<const char*>(from);
    auto* target = static_cast<char*>(to);
    switch (isa::active().load(std::memory_order_relaxed)) {
        case Isa::avx512:
            return store_avx512(source, target, bytes);
        case Isa::avx2:
            return store_avx2(source, target, bytes);
        case Isa::baseline:
            return store_baseline(source, target, bytes);
    }
#endif
    std::memcpy(to, from, bytes);
}

// What a loop over lines reads a little later: without it, what is done to a line keeps the processor from seeing the
// next. An address, since near the end nothing may lie there; nothing comes of that.
inline void fetch_ahead(const void* from, std::size_t bytes) {
    const std::uintptr_t ahead = reinterpret_cast<std::uintptr_t>(from) + 8 * line;
    for (std::size_t b = 0; b < bytes; b += line) __builtin_prefetch(reinterpret_cast<const void*>(ahead + b));
}

// After the last store, and before another thread is told of them.
inline void finish() {
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

}  // namespace past_cache
}  // namespace execspec
