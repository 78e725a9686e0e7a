"""A column of actions sorted for drift, as in `cpp/include/execspec/empirical.hpp`."""
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from ..errors import StatsError
from ..ops import LIMIT
from .doubles import add, mul, quick_two_sum, scaled, sub, two_prod, two_sum
from .jit import eager, jit

BLOCK = 64  # values between two stored sums of squares


class Column(NamedTuple):
    """One channel of a sample: n unique values, in the local coordinate `t = (x - centre) / 2^exponent`.

    Attributes:
        values, t: `(n,)`, increasing; as given, and local and rounded.
        before: `(n + 1,)`, how many of all values lie before each.
        first: `(n + 1, 2)`, double-double sums of t before each.
        seconds: `(n // 64 + 2, 2)`, of t^2 before every 64th; last, in all.
    """

    values: npt.NDArray[np.float64]
    t: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    first: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    centre: float
    exponent: int


@jit
def _add(total, errors, x):
    """A rounded sum and the sum of its rounding errors."""
    total, error = two_sum(total, x[0])
    return total, errors + (error + x[1])


@eager([(nb.types.Array(kind, 1, "A", readonly=True),) for kind in (nb.float32, nb.float64)])
def column(u: npt.NDArray[Any]) -> Any:
    """Sort one channel of normalized actions, to measure any number of pairs on it. Callable from jitted code.

    Returns a plain tuple, the fields of `Column`, since loops over `prange` cannot share a named one.

    Args:
        u: float32 or float64, shape `(N,)`, N > 0.

    Raises:
        StatsError: no values, or one that is not finite or larger than `ops.LIMIT`.
    """
    x = np.sort(u.astype(np.float64))
    if not x.size or not (x[0] >= -LIMIT and x[-1] <= LIMIT):  # NaN comes last
        raise StatsError("a column needs at least one action, all finite and of magnitude <= 1e150")
    centre = x[x.size // 2]
    exponent = math.frexp(max(x[-1] - centre, centre - x[0]))[1]
    half = int(exponent / 2)  # in two steps, since 2^1074 is no double
    unit, rest = math.ldexp(1.0, -half), math.ldexp(1.0, half - exponent)
    n = 1 + np.sum(x[1:] != x[:-1])
    values, t, before, first = np.empty(n), np.empty(n), np.empty(n + 1), np.empty((n + 1, 2))
    seconds = np.empty((n // BLOCK + 2, 2))
    sum1 = errors1 = sum2 = errors2 = 0.0
    i = 0
    for k in range(n + 1):
        if k % BLOCK == 0:
            seconds[k // BLOCK] = quick_two_sum(sum2, errors2)
        first[k] = quick_two_sum(sum1, errors1)
        before[k] = i
        if k == n:
            break
        values[k] = x[i]
        difference = two_sum(x[i], -centre)
        local = (difference[0] * unit * rest, difference[1] * unit * rest)
        square = two_prod(local[0], local[0])
        square = (square[0], square[1] + 2.0 * local[0] * local[1])
        t[k] = local[0]
        begin = i
        while i < x.size and x[i] == x[begin]:
            i += 1
        if n < x.size:
            weight = (float(i - begin), 0.0)
            local, square = mul(local, weight), mul(square, weight)
        sum1, errors1 = _add(sum1, errors1, local)
        sum2, errors2 = _add(sum2, errors2, square)
    seconds[-1] = quick_two_sum(sum2, errors2)
    return values, t, before, first, seconds, centre, exponent


@jit
def place(x, cut):
    """How many unique values lie before a cut `(hi, lo, after)`."""
    through = cut[1] > 0.0 or (cut[1] == 0.0 and cut[2] > 0.0)
    return np.searchsorted(x.values, np.nextafter(cut[0], np.inf) if through else cut[0])


@jit
def local(x, f):
    """A line `(scale, offset)` as a function of t."""
    return scaled(f[0], x.exponent), at(f, (x.centre, 0.0))


@jit
def local_value(x, k):
    return scaled(sub((x.values[k], 0.0), (x.centre, 0.0)), -x.exponent)


@jit
def at(f, x):
    return add(mul(f[0], x), f[1])


@jit
def integrate(x, g, a, b):
    """The integral of a line in t over the unique values `[a, b)`."""
    first = sub((x.first[b, 0], x.first[b, 1]), (x.first[a, 0], x.first[a, 1]))
    return add(mul(g[0], first), mul(g[1], (x.before[b] - x.before[a], 0.0)))
