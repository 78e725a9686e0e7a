"""Double-double arithmetic on pairs `(hi, lo)`, operation for operation as `cpp/include/execspec/dd.hpp`."""
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from typing import Any

import numba as nb
from numba.extending import intrinsic

from .jit import jit


def _generate_fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    return nb.float64(nb.float64, nb.float64, nb.float64), lambda context, builder, _, args: builder.fma(*args)


_fma: Any = intrinsic(_generate_fma)
"""`a * b + c`, rounded once: numba's `math` has none."""


@jit
def quick_two_sum(a, b):
    s = a + b
    return s, b - (s - a)


@jit
def two_sum(a, b):
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@jit
def two_prod(a, b):
    p = a * b
    return p, _fma(a, b, -p)


@jit
def add(a, b):
    s, t = two_sum(a[0], b[0]), two_sum(a[1], b[1])
    s = quick_two_sum(s[0], s[1] + t[0])
    return quick_two_sum(s[0], s[1] + t[1])


@jit
def sub(a, b):
    return add(a, (-b[0], -b[1]))


@jit
def mul(a, b):
    p = two_prod(a[0], b[0])
    return quick_two_sum(p[0], p[1] + _fma(a[1], b[0], _fma(a[0], b[1], a[1] * b[1])))


@jit
def div(a, b):
    q1 = a[0] / b[0]
    if not math.isfinite(q1):
        return q1, 0.0
    r = sub(a, mul(b, (q1, 0.0)))
    q2 = r[0] / b[0]
    r = sub(r, mul(b, (q2, 0.0)))
    return add(quick_two_sum(q1, q2), (r[0] / b[0], 0.0))


@jit
def absolute(a):
    return (-a[0], -a[1]) if a[0] < 0.0 else a


@jit
def scaled(a, exponent):
    return math.ldexp(a[0], exponent), math.ldexp(a[1], exponent)
