// Sums of square roots over a block. The machine's divider gives one root at a time while its multipliers idle, so half
// of the roots are taken by it and half by multiplications, in the same loop. Which are which is part of the
// definition: the machine's root is rounded correctly everywhere, and so are the operations of the other, so that sums
// have the same bits on every instruction set.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace execspec::detail {

// A root as a product of two, so that a sum of roots rounds once for the product and the addition.
struct RootFactors {
    double near;
    double correction;
};

// Of 0, or of 2^-1000 to 2^1000: near * correction is sqrt(x) to 3e-16 of itself, and exactly 0 for 0.
inline RootFactors root_by_products(double x) {
    // 1 / sqrt(x): the bits of a double are nearly its logarithm, so half of them, negated, make a first guess (Lomont
    // 2003). With this constant x guess^2 leaves 1 least, for [0.912, 1.041]; over that range the polynomial is the
    // quadratic that is nearest to its inverse root, within 2.2e-5.
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    bits = 0x5fe6996542967f58u - (bits >> 1);
    double guess;
    std::memcpy(&guess, &bits, sizeof guess);
    const double root = x * guess;
    const double square = root * guess;
    const double polynomial = std::fma(std::fma(0.39944006, square, -1.29930321), square, 1.89984303);
    const double near = root * polynomial;
    const double inverse = guess * polynomial;
    // sqrt(x) = near / sqrt(1 - error), by the binomial series; the first term left out is below 2e-18.
    const double error = std::fma(-near, inverse, 1.0);
    const double slope = std::fma(std::fma(0.3125, error, 0.375), error, 0.5);
    return {near, std::fma(slope, error, 1.0)};
}

// Sums in eight fixed lanes, added in fixed order: as many as the widest vectors have.
struct Lanes {
    static constexpr std::size_t width = 8;
    double sum[width] = {};

    double total() const { return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7])); }
};

// The sum of sqrt(square(r)) for r < count, a multiple of twice the lanes.
template <class Square>
double sum_of_roots(std::size_t count, Square&& square) {
    const std::size_t half = count / 2;
    Lanes lanes;
    for (std::size_t r = 0; r < half; r += Lanes::width)
        for (std::size_t l = 0; l < Lanes::width; ++l) {
            const RootFactors root = root_by_products(square(r + l));
            lanes.sum[l] = std::fma(root.near, root.correction, lanes.sum[l] + std::sqrt(square(half + r + l)));
        }
    return lanes.total();
}

// lower += sum of weight[r] sqrt(square(r)), upper += sum of weight[r] sqrt(square(r) + spread(r)), for r < count, a
// multiple of the lanes.
template <class Square, class Spread>
void add_weighted_roots(std::size_t count, const double* weight, Square&& square, Spread&& spread, Lanes& lower,
                        Lanes& upper) {
    Lanes low = lower;
    Lanes high = upper;
    for (std::size_t r = 0; r < count; r += Lanes::width)
        for (std::size_t l = 0; l < Lanes::width; ++l) {
            const double w = weight[r + l];
            const double own = square(r + l);
            const RootFactors root = root_by_products(own + spread(r + l));
            low.sum[l] = std::fma(w, std::sqrt(own), low.sum[l]);
            high.sum[l] = std::fma(w * root.near, root.correction, high.sum[l]);
        }
    lower = low;
    upper = high;
}

}  // namespace execspec::detail
