"""Drift of one pair and channel, as in `cpp/include/execspec/drift.hpp` and, of two lines, `line_pairs.hpp`."""
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ShapeMismatchError
from ..unnormalizer import Executable
from .column import BLOCK, LINE, Column, at, first_before, integrate, local, local_value, place
from .doubles import absolute, add, div, mul, scaled, sub
from .jit import jit

Pieces = npt.NDArray[np.float64]

LAST_CUT = (math.inf, 0.0, 1.0)
HI, LO, AFTER, SCALE, SCALE_LO, OFFSET, OFFSET_LO = range(7)


class Drift(NamedTuple):
    """E|delta|, E delta, sqrt(E delta^2) and max|delta| of one channel, as of `execspec_fast.Drift`."""

    mean_abs: float
    bias: float
    rms: float
    max: float


def pieces(spec: Executable, channel: int) -> Pieces:
    """A channel's map as plain numbers, for `drift`: shape `(P, 7)`.

    Each row is where a piece begins and its line, in double-double: `at hi, at lo, after, scale hi, scale lo,
    offset hi, offset lo`; `after` is 1 where the piece begins just after the place.
    """
    found = spec.map._core.pieces(channel)
    return np.array([(*cut, after, *scale, *offset) for cut, after, scale, offset in found])


@jit
def _cut(f, k):
    """Where piece k begins; tuples compare as the places they stand for."""
    return (f[k, HI], f[k, LO], f[k, AFTER]) if k < f.shape[0] else LAST_CUT


@jit
def _line(f, k):
    return (f[k, SCALE], f[k, SCALE_LO]), (f[k, OFFSET], f[k, OFFSET_LO])


@jit
def _minus(h, f):
    return sub(h[0], f[0]), sub(h[1], f[1])


@jit
def _difference(fi, fj):
    """The pieces of `fj - fi`."""
    delta = np.empty((fi.shape[0] + fj.shape[0], 7))
    i = j = n = 0
    start = _cut(fi, 0)
    while start < LAST_CUT:
        scale, offset = _minus(_line(fj, j), _line(fi, i))
        delta[n] = (*start, *scale, *offset)
        n += 1
        start = _cut(fi, i + 1) if _cut(fi, i + 1) < _cut(fj, j + 1) else _cut(fj, j + 1)
        i += _cut(fi, i + 1) == start
        j += _cut(fj, j + 1) == start
    return delta[:n]


@jit
def _root(f):
    """The place where a line is zero, a double if it is exactly zero at one."""
    x = div(sub((0.0, 0.0), f[1]), f[0])
    if at(f, (x[0], 0.0)) == (0.0, 0.0):
        x = (x[0], 0.0)
    return x[0], x[1], 0.0


@jit
def _add_squares(x, g, a, b):
    total = (0.0, 0.0)
    for k in range(a, b):
        y = at(g, local_value(x, k))
        total = add(total, mul(mul(y, y), (x.before[k + 1] - x.before[k], 0.0)))
    return total


@jit
def _integrate_square(x, g, a, b):
    """By blocks; value by value at the ends, and where squares would drown in the rounding of the sums."""
    first, last = (a + BLOCK - 1) // BLOCK, b // BLOCK
    if first >= last:
        return _add_squares(x, g, a, b)
    begin, end = first * BLOCK, last * BLOCK
    mass = (x.before[end] - x.before[begin], 0.0)
    sum1 = sub(first_before(x, end), first_before(x, begin))
    sum2 = sub((x.seconds[last, 0], x.seconds[last, 1]), (x.seconds[first, 0], x.seconds[first, 1]))
    mean = div(sum1, mass)
    value = at(g, mean)
    spread = mul(mul(g[0], g[0]), sub(sum2, mul(mul(mean, mean), mass)))
    inner = add(spread, mul(mul(value, value), mass))
    reach = abs(g[0][0]) + abs(g[1][0])
    if inner[0] < 1e-16 * reach * reach * (x.before[b] - x.before[a]):
        return _add_squares(x, g, a, b)
    return add(add(_add_squares(x, g, a, begin), inner), _add_squares(x, g, end, b))


@jit
def _of_pieces(delta, x):
    """A fold over the pieces that hold actions: |delta| is a line on either side of a root, and largest at an end."""
    total = (x.before[-1], 0.0)
    magnitude = signed = squares = (0.0, 0.0)
    largest = steepest = 0.0
    a = 0
    for k in range(delta.shape[0]):
        f, begin, end = _line(delta, k), _cut(delta, k), _cut(delta, k + 1)
        b = place(x, end)
        if a < b:
            g = local(x, f)
            steepest = max(steepest, abs(g[0][0]), abs(g[1][0]))
            for edge in (x.values[a], x.values[b - 1]):
                value = at(f, (edge, 0.0))
                largest = max(largest, abs(value[0] + value[1]))
            whole = integrate(x, g, a, b)
            signed = add(signed, whole)
            root = _root(f) if f[0][0] != 0.0 else LAST_CUT
            if begin < root < end:
                m = place(x, root)
                whole = add(absolute(integrate(x, g, a, m)), absolute(integrate(x, g, m, b)))
            magnitude = add(magnitude, absolute(whole))
        a = b
    mean_abs, bias = div(magnitude, total), div(signed, total)
    if largest == 0.0:
        return Drift(mean_abs[0] + mean_abs[1], bias[0] + bias[1], 0.0, 0.0)
    exponent = max(math.frexp(largest)[1], math.frexp(steepest)[1] - 1000) - 1  # so that no square overflows
    a = 0
    for k in range(delta.shape[0]):
        b = place(x, _cut(delta, k + 1))
        if a < b:
            g = local(x, _line(delta, k))
            g = scaled(g[0], -exponent), scaled(g[1], -exponent)
            squares = add(squares, _integrate_square(x, g, a, b))
        a = b
    mean_square = div(squares, total)
    rms = math.ldexp(math.sqrt(max(0.0, mean_square[0] + mean_square[1])), exponent)
    return Drift(mean_abs[0] + mean_abs[1], bias[0] + bias[1], rms, largest)


@jit
def _of_lines(delta, x):
    """Of one line in t, in closed form. NaN where a product overflows."""
    slope, level = delta[0][0], delta[1][0]
    n = x.before[-1]
    k = np.searchsorted(x.t, -level / slope)
    line = max(0, k - 1) // LINE
    sum_before = x.first[line, 0]
    for i in range(line * LINE, k):
        sum_before += x.t[i] * (x.before[i + 1] - x.before[i])
    mean_abs = abs(slope * (x.first[-1, 0] - 2.0 * sum_before) + level * (n - 2.0 * x.before[k])) / n
    mean = div((x.first[-1, 0], x.first[-1, 1]), (n, 0.0))
    middle = at(delta, mean)
    bias = middle[0] + middle[1]
    spread = sub(div((x.seconds[-1, 0], x.seconds[-1, 1]), (n, 0.0)), mul(mean, mean))
    unit = max(abs(slope), abs(bias))
    rms = 0.0
    if unit > 0.0:
        p, q = abs(slope) / unit, abs(bias) / unit
        rms = unit * math.sqrt(p * p * max(0.0, spread[0] + spread[1]) + q * q)
    low, high = at(delta, local_value(x, 0)), at(delta, local_value(x, x.t.size - 1))
    return Drift(mean_abs, bias, rms, max(abs(low[0] + low[1]), abs(high[0] + high[1])))


@jit
def _known(value, general):
    return general if math.isnan(value) else value


@jit
def drift(intended: Pieces, executed: Pieces, sample: Any) -> Drift:
    """Drift of executing one map where another was meant, on one channel's actions. Callable from jitted code.

    The bits of `execspec_fast.drift`: the same double-double coefficients, sums and order of operations; O(log N).

    Args:
        intended, executed: `pieces(spec, channel)`.
        sample: `column(u[:, channel])`.

    Raises:
        ShapeMismatchError: not maps as `pieces` gives them.
    """
    if intended.shape[1] != 7 or executed.shape[1] != 7 or not intended.size or not executed.size:
        raise ShapeMismatchError("maps are arrays of shape (P, 7) with at least one piece, see pieces")
    x = Column(*sample)
    if intended.shape[0] > 1 or executed.shape[0] > 1:
        return _of_pieces(_difference(intended, executed), x)  # type: ignore[no-any-return]
    line = _of_lines(_minus(local(x, _line(executed, 0)), local(x, _line(intended, 0))), x)
    if not math.isnan(line.mean_abs + line.bias + line.rms + line.max):
        return line  # type: ignore[no-any-return]
    general = _of_pieces(_difference(intended, executed), x)
    return Drift(
        _known(line.mean_abs, general.mean_abs),
        _known(line.bias, general.bias),
        _known(line.rms, general.rms),
        _known(line.max, general.max),
    )
