// Several doubles at once, in the vector registers that the compiler was told of: what a step does to every channel it
// does to a pack of them, whatever the optimizer makes of loops. Every lane gives the bits that a double gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Doubles in a pack. A file that is compiled for a machine by a pragma says it itself, since macros do not follow
// pragmas everywhere.
#if !defined(EXECSPEC_PACK_SIZE)
#if defined(__AVX512F__)
#define EXECSPEC_PACK_SIZE 8
#elif defined(__AVX__)
#define EXECSPEC_PACK_SIZE 4
#else
#define EXECSPEC_PACK_SIZE 2
#endif
#endif

// Part of the name of all that is compiled from packs, so that parts of a program built for different machines do not
// get each other's.
#if EXECSPEC_PACK_SIZE == 8
#define EXECSPEC_PACKS packs_of_8
#elif EXECSPEC_PACK_SIZE == 4
#define EXECSPEC_PACKS packs_of_4
#else
#define EXECSPEC_PACKS packs_of_2
#endif

namespace execspec::guard {
inline namespace EXECSPEC_PACKS {

constexpr std::size_t pack_size = EXECSPEC_PACK_SIZE;

typedef double Pack __attribute__((vector_size(pack_size * sizeof(double))));
typedef std::uint64_t Word __attribute__((vector_size(pack_size * sizeof(double))));
typedef std::int64_t Mask __attribute__((vector_size(pack_size * sizeof(double))));  // all bits of a lane, or none

inline Pack load(const double* from) noexcept {
    Pack pack;
    std::memcpy(&pack, from, sizeof pack);
    return pack;
}

// The first n of them, then zeros. Nothing beyond is read.
inline Pack load(const double* from, std::size_t n) noexcept {
    if (n >= pack_size) return load(from);
#if EXECSPEC_PACK_SIZE == 8
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), from);
#else
    Pack pack{};
    for (std::size_t k = 0; k + 1 < pack_size; ++k)
        if (k < n) pack[k] = from[k];
    return pack;
#endif
}

inline void store(double* to, Pack pack) noexcept { std::memcpy(to, &pack, sizeof pack); }

// A place that is known to be aligned to whole packs.
template <class T>
T* aligned(T* place) noexcept {
    return static_cast<T*>(__builtin_assume_aligned(place, sizeof(Pack)));
}

inline Pack all_of(double x) noexcept {
    Pack pack;
    for (std::size_t k = 0; k < pack_size; ++k) pack[k] = x;
    return pack;
}

// The second where either is NaN.
inline Pack larger(Pack x, Pack y) noexcept { return x > y ? x : y; }
inline Pack smaller(Pack x, Pack y) noexcept { return x < y ? x : y; }

inline Mask bits_of(Pack x) noexcept { return reinterpret_cast<Mask>(x); }
inline Mask magnitude_bits(Pack x) noexcept { return bits_of(x) & std::int64_t{0x7fffffffffffffff}; }
inline Pack magnitude(Pack x) noexcept { return reinterpret_cast<Pack>(magnitude_bits(x)); }

// The top bit of a lane is set if |x| > limit >= 0, or x is NaN: magnitudes are ordered as their bits are, which holds
// under a consumer's -ffast-math too.
// Of a negative limit it says nothing, and wraps around.
inline Mask beyond(Pack x, Pack limit) noexcept {
    return reinterpret_cast<Mask>(reinterpret_cast<Word>(limit) - reinterpret_cast<Word>(magnitude_bits(x)));
}

inline bool any_top_bit(Mask mask) noexcept {
    std::int64_t bits = 0;
    for (std::size_t k = 0; k < pack_size; ++k) bits |= mask[k];
    return bits < 0;
}

}  // namespace EXECSPEC_PACKS
}  // namespace execspec::guard
