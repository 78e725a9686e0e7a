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

LINE = 7  # values between two stored sums
BLOCK = 9 * LINE  # and between two of squares


class Column(NamedTuple):
    """One channel of a sample: n unique values, in the local coordinate `t = (x - centre) / 2^exponent`.

    Attributes:
        values, t: `(n,)`, increasing; as given, and local and rounded.
        before: `(n + 1,)`, how many of all values lie before each.
        first: `(ceil(n / 7) + 1, 2)`, double-double sums of t before every 7th; last, in all.
        seconds: `(n // 63 + 2, 2)`, of t^2 before every 63rd; last, in all.
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
    values, t, before, first = np.empty(n), np.empty(n), np.empty(n + 1), np.empty(((n + LINE - 1) // LINE + 1, 2))
    seconds = np.empty((n // BLOCK + 2, 2))
    sum1 = errors1 = sum2 = errors2 = 0.0
    i = 0
    for begin in range(0, n, LINE):  # each line by itself, as where several fill a vector
        if begin % BLOCK == 0:
            seconds[begin // BLOCK] = quick_two_sum(sum2, errors2)
        first[begin // LINE] = quick_two_sum(sum1, errors1)
        own1 = lost1 = own2 = lost2 = 0.0
        for k in range(begin, min(begin + LINE, n)):
            before[k], values[k] = i, x[i]
            difference = two_sum(x[i], -centre)
            local = (difference[0] * unit * rest, difference[1] * unit * rest)
            square = two_prod(local[0], local[0])
            square = (square[0], square[1] + 2.0 * local[0] * local[1])
            t[k] = local[0]
            while i < x.size and x[i] == values[k]:
                i += 1
            if n < x.size:
                weight = (i - before[k], 0.0)
                local, square = mul(local, weight), mul(square, weight)
            own1, lost1 = _add(own1, lost1, local)
            own2, lost2 = _add(own2, lost2, square)
        sum1, errors1 = _add(sum1, errors1, quick_two_sum(own1, lost1))
        sum2, errors2 = _add(sum2, errors2, quick_two_sum(own2, lost2))
    before[n] = i
    first[-1] = quick_two_sum(sum1, errors1)
    if n % BLOCK == 0:
        seconds[n // BLOCK] = quick_two_sum(sum2, errors2)
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
def first_before(x, k):
    """The sum of t over all values less than the k-th unique one."""
    if k == x.values.size:
        return x.first[-1, 0], x.first[-1, 1]
    line = k // LINE
    total = (x.first[line, 0], x.first[line, 1])
    for i in range(line * LINE, k):
        total = add(total, mul(local_value(x, i), (x.before[i + 1] - x.before[i], 0.0)))
    return total


@jit
def integrate(x, g, a, b):
    """The integral of a line in t over the unique values `[a, b)`."""
    first = sub(first_before(x, b), first_before(x, a))
    return add(mul(g[0], first), mul(g[1], (x.before[b] - x.before[a], 0.0)))
