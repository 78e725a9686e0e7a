// CHECK(condition): on failure prints the place and the condition, and exits.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                                \
        }                                                                                \
    } while (false)

// A floating type of 113 significant bits.
#if defined(__SIZEOF_FLOAT128__)
__extension__ typedef __float128 quad;
#else
typedef long double quad;
#endif

// A small seeded generator: the same sequence on every platform.
class Random {
  public:
    explicit Random(unsigned long long seed) : state_(seed) {}
    // Uniform on [-1, 1).
    double operator()() {
        state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<double>(static_cast<long long>(state_) >> 11) / 4503599627370496.0 / 1.0;
    }

  private:
    unsigned long long state_;
};
