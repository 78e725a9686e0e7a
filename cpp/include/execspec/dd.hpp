// Double-double arithmetic: an unevaluated sum hi + lo with |lo| <= ulp(hi) / 2, about 106 significant bits.
//
// Nearly equal keys differ in the 8th digit of a range, and their drift is a difference of such differences;
// data may sit at 1e6 with a spread of 1e-3. Sums and coefficients are therefore kept in double-double.
// Algorithms: Dekker 1971; Knuth, TAOCP 2, 4.2.2; Joldes, Muller, Popescu 2017 (error bounds).
// Domain: finite values of magnitude <= 1e150. std::fma is called on every machine, so bits do not depend on the CPU.
#pragma once

#include <cmath>

namespace execspec {

struct dd {
    double hi = 0.0;
    double lo = 0.0;

    constexpr dd() = default;
    constexpr dd(double value) : hi(value) {}  // NOLINT: every double is a dd
    constexpr dd(double high, double low) : hi(high), lo(low) {}

    explicit operator double() const { return hi + lo; }
};

// Exact: a + b == result, for |a| >= |b| or a == 0.
inline dd quick_two_sum(double a, double b) {
    const double s = a + b;
    return {s, b - (s - a)};
}

// Exact: a + b == result.
inline dd two_sum(double a, double b) {
    const double s = a + b;
    const double t = s - a;
    return {s, (a - (s - t)) + (b - t)};
}

// Exact up to underflow: a * b == result.
inline dd two_prod(double a, double b) {
    const double p = a * b;
    return {p, std::fma(a, b, -p)};
}

inline dd operator-(dd a) { return {-a.hi, -a.lo}; }

// Relative error <= 3 u^2 of the result, also under cancellation.
inline dd operator+(dd a, dd b) {
    dd s = two_sum(a.hi, b.hi);
    const dd t = two_sum(a.lo, b.lo);
    s = quick_two_sum(s.hi, s.lo + t.hi);
    return quick_two_sum(s.hi, s.lo + t.lo);
}

inline dd operator-(dd a, dd b) { return a + -b; }

// Relative error <= 5 u^2.
inline dd operator*(dd a, dd b) {
    const dd p = two_prod(a.hi, b.hi);
    const double cross = std::fma(a.lo, b.hi, std::fma(a.hi, b.lo, a.lo * b.lo));
    return quick_two_sum(p.hi, p.lo + cross);
}

// Relative error <= 10 u^2. Overflow gives an infinity.
inline dd operator/(dd a, dd b) {
    const double q1 = a.hi / b.hi;
    if (!std::isfinite(q1)) return dd(q1);
    dd r = a - b * dd(q1);
    const double q2 = r.hi / b.hi;
    r = r - b * dd(q2);
    const double q3 = r.hi / b.hi;
    return quick_two_sum(q1, q2) + dd(q3);
}

inline dd& operator+=(dd& a, dd b) { return a = a + b; }

inline bool operator==(dd a, dd b) { return a.hi == b.hi && a.lo == b.lo; }
inline bool operator!=(dd a, dd b) { return !(a == b); }
inline bool operator<(dd a, dd b) { return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo); }
inline bool operator>(dd a, dd b) { return b < a; }
inline bool operator<=(dd a, dd b) { return !(b < a); }
inline bool operator>=(dd a, dd b) { return !(a < b); }

inline int sign(dd a) { return (a.hi > 0.0) - (a.hi < 0.0); }
// Exact up to under- and overflow: a * 2^exponent.
inline dd scale_by_power(dd a, int exponent) { return {std::ldexp(a.hi, exponent), std::ldexp(a.lo, exponent)}; }

inline dd abs(dd a) { return a.hi < 0.0 ? -a : a; }
inline bool is_finite(dd a) { return std::isfinite(a.hi); }

}  // namespace execspec
