"""The exact oracle: op tables and drift in rational arithmetic, parameters as the exact values of their doubles.

Written apart from the package: it shares the table's layout and no arithmetic. Only which side of a step an action
falls on is a matter of floating point, and is asked of `reference`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, isqrt

import numpy as np
from execspec_fast import reference
from execspec_fast.ops import OpFlag, OpKind

HALF, ONE = Fraction(1, 2), Fraction(1)


def evaluate(table: np.ndarray, channel: int, u: Fraction | float) -> Fraction:
    """`f(u)` of one channel, exactly; a `u` between two floats is on the side of a step that the lower one is on."""
    v = Fraction(u)
    for stage, op in enumerate(table[:, channel]):
        v = _step(op, side(table[: stage + 1], channel, floor(u))) if op["kind"] == OpKind.STEP else _apply(op, v)
    return v


def side(table: np.ndarray, channel: int, u: float) -> float:
    """Of the last op's threshold, where applying sees a float64 `u`: -1 below, 0 at, 1 above."""
    column = table[:, [channel]].copy()
    column[-1]["p"][:, 1:] = [-1.0, 0.0, 1.0]
    with np.errstate(all="ignore"):
        return float(reference.unnormalize(column, np.array([u]))[0])


def floor(u: Fraction | float) -> float:
    """The greatest float that is not above `u`."""
    near = float(u)
    return float(np.nextafter(near, -np.inf)) if Fraction(near) > u else near


def affine(table: np.ndarray, channel: int) -> tuple[Fraction, Fraction]:
    """Slope and intercept of a channel without clip or step."""
    assert not {OpKind.CLIP, OpKind.STEP} & {int(kind) for kind in table["kind"][:, channel]}
    zero = evaluate(table, channel, Fraction(0))
    return evaluate(table, channel, ONE) - zero, zero


def mismatch(table_i: np.ndarray, table_j: np.ndarray, channel: int) -> tuple[Fraction, Fraction]:
    """Scale and offset of `a -> f_j(f_i^-1(a))`, for affine channels with a slope."""
    (s_i, c_i), (s_j, c_j) = affine(table_i, channel), affine(table_j, channel)
    return s_j / s_i, c_j - s_j / s_i * c_i


def deltas(table_i: np.ndarray, table_j: np.ndarray, u: np.ndarray) -> list[list[Fraction]]:
    """`f_j(u) - f_i(u)` of every row of `u` (N, D), one list of N per channel."""
    return [
        [evaluate(table_j, d, float(x)) - evaluate(table_i, d, float(x)) for x in u[:, d]] for d in range(u.shape[1])
    ]


def drift(table_i: np.ndarray, table_j: np.ndarray, u: np.ndarray) -> dict[str, list[Fraction] | Fraction]:
    """One value per channel; mean_l2 over all channels. Roots to 60 digits."""
    columns = deltas(table_i, table_j, u)
    products = [
        [evaluate(table_i, d, float(x)) * evaluate(table_j, d, float(x)) for x in u[:, d]] for d in range(u.shape[1])
    ]
    rows = zip(*columns, strict=True)
    n = len(u)
    return {
        "mean_abs": [total(map(abs, column)) / n for column in columns],
        "bias": [total(column) / n for column in columns],
        "rms": [sqrt(total(x * x for x in column) / n) for column in columns],
        "max": [max(map(abs, column)) for column in columns],
        "flips": [Fraction(sum(x < 0 for x in column), n) for column in products],
        "zeros": [Fraction(sum(x == 0 for x in column), n) for column in products],
        "mean_l2": total(sqrt(total(x * x for x in row)) for row in rows) / n,
    }


def quantile(column: Iterable[Fraction], p: float) -> Fraction:
    """The least |x| that a share p does not exceed."""
    sizes = sorted(map(abs, column))
    return sizes[max(1, ceil(p * len(sizes))) - 1]


def exceeds(column: Sequence[Fraction], eps: float) -> Fraction:
    """The share of |x| above `eps`."""
    return Fraction(sum(abs(x) > Fraction(eps) for x in column), len(column))


def total(values: Iterable[Fraction]) -> Fraction:
    return sum(values, Fraction(0))


def worst_case(
    table_i: np.ndarray, table_j: np.ndarray, channel: int, lo: float, hi: float, points: Iterable[float] = ()
) -> Fraction:
    """Supremum of `|f_j(u) - f_i(u)|` of a channel over `points`, or over [lo, hi] where there are none."""

    def delta(x: Fraction) -> Fraction:
        return evaluate(table_j, channel, x) - evaluate(table_i, channel, x)

    if points := [Fraction(x) for x in points]:
        return max(abs(delta(x)) for x in points)
    bends = breakpoints(table_i, channel) | breakpoints(table_j, channel)
    ends = sorted({Fraction(lo), Fraction(hi), *(x for x in bends if lo < x < hi)})
    worst = max(abs(delta(x)) for x in ends)
    for left, right in pairwise(ends):
        a, b = delta((2 * left + right) / 3), delta((left + 2 * right) / 3)
        worst = max(worst, abs(2 * a - b), abs(2 * b - a))  # limits at both ends of a piece, where delta is affine
    return worst


def breakpoints(table: np.ndarray, channel: int) -> set[Fraction]:
    """Where in `u` a clip begins to act or a step jumps."""
    found: set[Fraction] = set()
    for stage, op in enumerate(table[:, channel]):
        if op["kind"] == OpKind.STEP:
            found |= _step_crossings(table[: stage + 1], channel)
            continue
        count = 2 if op["kind"] == OpKind.CLIP else 0
        for threshold in (Fraction(float(p)) for p in op["p"][:count] if np.isfinite(p)):
            found |= _crossings(table[:stage], channel, threshold, found)
    return found


def sqrt(x: Fraction) -> Fraction:
    """Square root, relative error below 1e-60."""
    shift = max(0, 420 - x.numerator.bit_length() + x.denominator.bit_length())
    shift += shift % 2
    return Fraction(isqrt((x.numerator << shift) // x.denominator), 1 << (shift // 2))


def relative_error(got: float, exact: Fraction) -> float:
    """|got - exact| / |exact|; 0 where both are zero."""
    if exact == 0:
        return 0.0 if got == 0 else float("inf")
    if not np.isfinite(got):
        return float("inf")
    return float(abs(Fraction(float(got)) - exact) / abs(exact))


def same_bits(got: np.ndarray, want: np.ndarray) -> bool:
    """Equal shape, dtype and bits; any NaN equals any NaN."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    words = f"u{got.dtype.itemsize}"
    equal = np.ascontiguousarray(got).view(words) == np.ascontiguousarray(want).view(words)
    return bool((equal | (np.isnan(got) & np.isnan(want))).all())


def _crossings(table: np.ndarray, channel: int, threshold: Fraction, known: set[Fraction]) -> set[Fraction]:
    """Roots of `f(u) = threshold` on the affine pieces between the breakpoints `known` so far."""
    ends = sorted(known)
    pieces = [(None, ends[0]), *pairwise(ends), (ends[-1], None)] if ends else [(None, None)]
    roots = set()
    for left, right in pieces:
        start = left if left is not None else (right if right is not None else Fraction(2)) - 2
        stop = right if right is not None else start + 2
        x, y = (2 * start + stop) / 3, (start + 2 * stop) / 3
        f, g = evaluate(table, channel, x), evaluate(table, channel, y)
        if f == g:
            continue
        root = x + (threshold - f) * (y - x) / (g - f)
        if (left is None or left < root) and (right is None or root < right):
            roots.add(root)
    return roots


def _step_crossings(table: np.ndarray, channel: int) -> set[Fraction]:
    """The floats of [-2, 2] from which on applying is no longer below, at or above the last op's threshold."""

    def where(u: float) -> float:
        return side(table, channel, u)

    def between(a: float, b: float) -> set[Fraction]:
        if where(a) == where(b):
            return set()
        while np.nextafter(a, b) < b:
            middle = (a + b) / 2
            if where(middle) not in (where(a), where(b)):
                return between(a, middle) | between(middle, b)
            a, b = (middle, b) if where(middle) == where(a) else (a, middle)
        return {Fraction(b)}

    return between(-2.0, 2.0)


def _step(op: np.ndarray, where: float) -> Fraction:
    return Fraction(float(op["p"][2 + int(where)]))


def _apply(op: np.ndarray, v: Fraction) -> Fraction:
    kind = OpKind(int(op["kind"]))
    if kind == OpKind.IDENTITY:
        return v
    if kind == OpKind.CLIP:
        lo, hi = (float(p) for p in op["p"][:2])
        return Fraction(lo) if v < lo else Fraction(hi) if v > hi else v
    p = [Fraction(float(x)) for x in op["p"]]
    if kind == OpKind.LINEAR:
        return p[0] * v + p[1]
    if kind == OpKind.ZSCORE:
        return (p[1] + p[2]) * v + p[0]
    if kind == OpKind.TO_ZSCORE:
        return (v - p[0]) / (p[1] + p[2])
    if kind == OpKind.TO_LINEAR:
        return (v - p[1]) / p[0]
    width = p[1] - p[0]
    if not int(op["flags"]) & OpFlag.EPS_IF_ZERO:
        width += p[2]
    elif width == 0:
        width = p[2]
    return p[0] + HALF * (v + 1) * width if kind == OpKind.ENDPOINT else 2 * (v - p[0]) / width - 1
