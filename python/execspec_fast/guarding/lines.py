"""The map of a column as one clamped line, and a proof of how far its op table, run literally, can be from it.

A gate compares an action with `min(max(scale u + offset, floor), ceiling)` first, which is fast, and with the ops
only where that is in doubt. The bound `error` makes this sound: of every value on its way through the ops it tracks
how large it can be and how far rounding has moved it, both in units of max(1, |u|) (Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 2.2: every operation is exact but for a relative error of at most one unit
roundoff, and one smallest subnormal). What a parameter loses in an op's dtype is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..ops import OpDType, OpFlag, OpKind, OpTable
from ..unnormalizer import Unnormalizer

FLOAT: dict[OpDType, type[np.float32] | type[np.float64]] = {OpDType.FLOAT32: np.float32, OpDType.FLOAT64: np.float64}
LARGEST = 2.0**30
"""The |u| up to which no float32 on the way may overflow."""
SLACK = 1 + 2.0**-40
"""For the roundings of this module's own sums, and of the double-double coefficients."""


@dataclass(frozen=True, slots=True)
class Line:
    """One column as a clamped line.

    Attributes:
        scale, offset, floor, ceiling: correctly rounded.
        error: `|line - literal| <= error max(1, |u|)` as both are computed, for |u| up to `LARGEST`.
    """

    scale: float
    offset: float
    floor: float
    ceiling: float
    error: float


def line_of(unnormalizer: Unnormalizer, column: int, u_dtype: OpDType, a_dtype: OpDType) -> Line | None:
    """The line of a column; None if its map has a step or more than one slope, or nothing bounds its rounding.

    Args:
        u_dtype: in which the ops begin.
        a_dtype: to which their result is rounded.
    """
    error = literal_error(unnormalizer.table()[:, column], u_dtype, a_dtype)
    pieces = [piece[2:] for piece in unnormalizer._core.pieces(column)]  # scale and offset, each a high and a low part
    sloped = [k for k, (scale, _) in enumerate(pieces) if scale[0]]
    levels = {offset for scale, offset in pieces if not scale[0]}
    if len(sloped) > 1 or (not sloped and len(levels) > 1) or not math.isfinite(error):
        return None
    at = sloped[0] if sloped else 0
    (scale, scale_lost), (offset, offset_lost) = pieces[at]
    floor, ceiling = -math.inf, math.inf
    for k, (_, (level, _)) in enumerate(pieces):  # without a step, the map goes on where a clip begins
        if sloped and k != at:
            floor, ceiling = (floor, level) if (k > at) == (scale > 0) else (level, ceiling)
    largest = max(abs(floor), abs(ceiling))
    size = min(abs(scale), largest + abs(offset)) + abs(offset)  # where it is not clamped, and rounding keeps order
    lost = abs(scale_lost) + abs(offset_lost) + max((abs(low) for _, low in levels), default=0.0)
    return Line(scale, offset, floor, ceiling, (error + lost + 2.0**-52 * size + 2.0**-1074) * SLACK)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value on its way: `|exact| <= size m` and `|computed - exact| <= error m`, m = max(1, |u|)."""

    size: float
    error: float
    dtype: OpDType

    def rounded(self, *, underflows: bool = True) -> _Value:
        """After an operation in `dtype`; a sum is exact where it is subnormal."""
        info = np.finfo(FLOAT[self.dtype])
        if not (self.size + self.error) * LARGEST < float(info.max) / 2:
            return replace(self, error=math.inf)
        tiny = float(info.smallest_subnormal) if underflows else 0.0
        return replace(self, error=self.error + float(info.eps) / 2 * (self.size + self.error) + tiny)

    def cast(self, dtype: OpDType) -> _Value:
        narrower = self.dtype == OpDType.FLOAT64 and dtype == OpDType.FLOAT32
        moved = replace(self, dtype=dtype)
        return moved.rounded() if narrower else moved

    def plus(self, c: _Constant) -> _Value:
        """The sum, or the difference."""
        return replace(self, size=self.size + c.size, error=self.error + c.error).rounded(underflows=False)

    def times(self, c: _Constant) -> _Value:
        error = self.error * (c.size + c.error) + self.size * c.error
        return replace(self, size=self.size * c.size, error=error).rounded()

    def over(self, c: _Constant) -> _Value:
        least = c.size - c.error
        if not least > 0:
            return replace(self, error=math.inf)
        error = self.error / least + self.size * c.error / (c.size * least)
        return replace(self, size=self.size / c.size, error=error).rounded()


@dataclass(frozen=True, slots=True)
class _Constant:
    """A parameter: its exact size, and what it loses in the dtype it is used in."""

    size: float
    error: float

    @classmethod
    def of(cls, exact: Fraction, computed: float) -> _Constant:
        lost = abs(Fraction(computed) - exact) if math.isfinite(computed) else math.inf
        return cls(float(abs(exact)) * SLACK, float(lost) * SLACK)


ONE = _Constant(1.0, 0.0)


def literal_error(ops: OpTable, u_dtype: OpDType, a_dtype: OpDType) -> float:
    """How far the ops of one column, run literally, can be from their exact map, in units of max(1, |u|).

    Args:
        ops: of the column, shape `(stages,)`.

    Returns:
        inf where a step makes a jump of the last bit, or where float32 could overflow.
    """
    value = _Value(1.0, 0.0, OpDType.FLOAT64).cast(u_dtype)
    for op in ops:
        value = _after(value, op)
    return value.cast(a_dtype).error * SLACK


def _after(v: _Value, op: np.void) -> _Value:
    kind, flags = OpKind(int(op["kind"])), OpFlag(int(op["flags"]))
    dtype = OpDType(int(op["dtype"])) or v.dtype
    p = [float(x) for x in op["p"]]

    def constant(compute: Callable[..., float], *values: float) -> _Constant:
        """What `compute` gives exactly, and in the op's dtype."""
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            narrow = float(compute(*(FLOAT[dtype](x) for x in values)))
        return _Constant.of(Fraction(compute(*map(Fraction, values))), narrow)

    def same(x: float) -> _Constant:
        return constant(lambda y: y, x)

    def width() -> _Constant:
        lo, hi, eps = p[:3]
        if flags & OpFlag.EPS_IF_ZERO:
            return constant(lambda lo, hi, eps: hi - lo if hi - lo != 0 else eps, lo, hi, eps)
        return constant(lambda lo, hi, eps: hi - lo + eps, lo, hi, eps)

    match kind:
        case OpKind.IDENTITY:
            return v.cast(dtype)
        case OpKind.CLIP:
            return _clipped(v.cast(dtype), [same(x) for x in p[:2] if math.isfinite(x)], p[0], p[1])
        case OpKind.ENDPOINT:
            half = v.plus(ONE)
            half = replace(half, size=half.size / 2, error=half.error / 2)  # exact, in whichever order
            return half.cast(dtype).times(width()).plus(same(p[0]))
        case OpKind.ZSCORE:
            return v.cast(dtype).times(constant(lambda std, eps: std + eps, p[1], p[2])).plus(same(p[0]))
        case OpKind.LINEAR:
            return v.cast(dtype).times(same(p[0])).plus(same(p[1]))
        case OpKind.TO_ENDPOINT:
            twice = v.cast(dtype).plus(same(p[0]))
            twice = replace(twice, size=2 * twice.size, error=2 * twice.error)
            return twice.over(width()).plus(ONE)
        case OpKind.TO_ZSCORE:
            return v.cast(dtype).plus(same(p[0])).over(constant(lambda std, eps: std + eps, p[1], p[2]))
        case OpKind.TO_LINEAR:
            return v.cast(dtype).plus(same(p[1])).over(same(p[0]))
        case OpKind.STEP:
            return replace(v.cast(dtype), error=math.inf)


def _clipped(v: _Value, bounds: Sequence[_Constant], lo: float, hi: float) -> _Value:
    """A clip moves two values no further apart, nor than its bounds are; these, rounded, by what they lose."""
    if math.isinf(v.error):
        return v  # what overflows may be no number
    largest = max((c.size for c in bounds), default=0.0)
    size = min(v.size, largest) if lo <= 0 <= hi and len(bounds) == 2 else max(v.size, largest)
    return replace(v, size=size, error=min(v.error, hi - lo) + max((c.error for c in bounds), default=0.0))
