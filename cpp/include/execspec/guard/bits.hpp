// Tests on the bits of a double, which hold under a consumer's -ffast-math too.
#pragma once

#include <cstdint>
#include <cstring>

namespace execspec::guard {

constexpr double largest_finite = 1.7976931348623157e308;

inline std::uint64_t bits_of(double x) noexcept {
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

// The top bit is set if x is NaN or infinite: an exponent of all ones carries into it.
inline std::uint64_t not_finite_bit(double x) noexcept {
    return (bits_of(x) & 0x7ff0000000000000u) + 0x0010000000000000u;
}

inline bool is_finite(double x) noexcept { return !(not_finite_bit(x) >> 63); }

inline bool is_nan(double x) noexcept { return (bits_of(x) & 0x7fffffffffffffffu) > 0x7ff0000000000000u; }

}  // namespace execspec::guard
