"""Bounds on the mean drift over the training distribution, from the published figures alone.

Published quantiles fix how much mass lies between them, published mean and std the integral of every parabola. For
any parabola `phi`, `E|delta| = E phi + E(|delta| - phi)`: the first term is known, the second lies between the least
and the largest value of a piecewise quadratic in each cell between two quantiles, weighted with the cell's mass. Every
`phi` gives valid bounds, so a few are tried and the best kept: 0 (the cells alone), the lines of `delta` (Jensen's
inequality), the chord over the range, and multiples of `delta^2` (Cauchy-Schwarz).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .errors import ShapeMismatchError
from .sample import LEVELS, Published
from .stats import NormStats
from .unnormalizer import Executable, Unnormalizer

FloatArray = npt.NDArray[np.float64]

BINS = 5000
"""Bins of the running histograms that openpi and LeRobot take quantiles from, between min and max."""
BINS_OFF = 32
"""How many bins such a quantile may be off: one, and one for each time the range grew while the histogram was filled
(in random order about 2 ln B times in B batches)."""
FIGURE = 2.0**-20
"""Error of an order statistic, as a share of the channel's largest figure: float32 and an interpolation."""
ADDING = 2.0**-24
"""The same for mean and std per action: what float32 loses with each sum. The published std of OpenVLA's
`bridge_orig` gripper, over 2,135,463 actions, is 0.0033 more than numbers of that mean from 0 to 1 can have."""
LEAST, UNCOUNTED = 2.0**-12, 2.0**-6
"""That error at least, and where the number of actions is not published."""
ROUNDING = 2.0**-46
"""Relative error of our own float64 arithmetic, with room."""
FLAT = 2.0**-960
"""A slope so small is none: its double-double digits are subnormal."""

NO_INVERSE = "the intended map has no inverse here, so the figures say nothing of u"
CONTRADICTION = "the published figures contradict each other"
NO_FIGURES = "no figures of this channel can be used"

INVERSE = (
    "the actions are those behind the published figures, normalized by the exact inverse of the intended map; "
    "one that u cannot express counts as the nearest that it can"
)
RANGE = "every action lies between the published min and max"
MOMENTS = "mean and std are of all actions (ddof 0), right to {:.2g} of the channel's largest figure"
LINEAR = "quantiles are np.quantile's of {} actions: the mass below each is right to 1/{}"
HISTOGRAM = f"quantiles are of a histogram of {BINS} bins between min and max, right to {BINS_OFF} bins"
UNUSED = "published quantiles are not used: {}"
WHY_UNUSED = {
    "np.quantile": "their number of actions is not published",
    "histogram": "they are of a histogram whose range (min and max) is not published",
    "merged": "they are averages over parts of the data, which bound no mass",
    None: "how they were estimated is not known",
}


@dataclass(frozen=True, eq=False)
class DriftBounds:
    """Bounds on E|delta| over the training distribution, whatever that is beyond its published figures.

    Attributes:
        lower, upper: float64 `(D,)`, in action units, rounded outward; upper is inf where nothing bounds it.
        assumptions: what the bounds rest on, one sentence each.
        reason: per channel, why its bounds are those of the domain of u alone; empty if the figures are used.
    """

    lower: FloatArray
    upper: FloatArray
    assumptions: tuple[str, ...]
    reason: tuple[str, ...]


def drift_bounds(intended: Published, executed: Executable, meant: Executable | None = None) -> DriftBounds:
    """Bounds on the mean |delta| of every channel, from the figures of `intended` alone.

    Args:
        meant: what runs of `intended`, where more follows the un-normalizer that its figures belong to: a `Deployment`,
            whose units the bounds then have.

    Raises:
        ShapeMismatchError: different D, or figures of another width than the map.
    """
    fi, fj, stats = intended.map, executed.map, intended.stats.flat
    if fi.dim != fj.dim or stats.dim != fi.dim:
        raise ShapeMismatchError(f"specs of {fi.dim} and {fj.dim} channels, figures of {stats.dim}")
    inverse = [_inverse(fi, d) for d in range(fi.dim)]
    law = _Law.of(stats, inverse)
    run = fi if meant is None else meant.map
    lower, upper = _bounds(law, _Drift.of(run, fj, law, inverse))
    blind = _Law.unknown(inverse)
    least, largest = _bounds(blind, _Drift.of(run, fj, blind, inverse))
    reason = []
    for d, found in enumerate(inverse):
        if found is None:
            reason.append(NO_INVERSE)
        elif not law.consistent[d] or not lower[d] <= upper[d]:
            reason.append(CONTRADICTION)
        else:
            reason.append("" if law.informed[d] else NO_FIGURES)
    blank = np.array([bool(text) for text in reason], np.bool_)
    return DriftBounds(
        np.maximum(np.where(blank, least, lower), 0.0),
        np.where(blank, largest, upper),
        law.assumptions if not blank.all() else (),
        tuple(reason),
    )


@dataclass(frozen=True)
class _Inverse:
    """The one sloped piece of a channel's map, `a = scale u + offset` for u in [lo, hi]."""

    scale: float
    offset: float
    lo: float
    hi: float


def _inverse(f: Unnormalizer, d: int) -> _Inverse | None:
    """None where the channel has no such piece, or several."""
    pieces = f._core.pieces(d)
    ends = [piece[0][0] for piece in pieces[1:]] + [np.inf]
    sloped = [(p, end) for p, end in zip(pieces, ends, strict=True) if abs(p[2][0]) > FLAT]
    if len(sloped) != 1:
        return None
    (start, _, scale, offset), end = sloped[0]
    lo, hi = max(start[0], f.domain.lo), min(end, f.domain.hi)
    return _Inverse(sum(scale), sum(offset), lo, hi) if lo < hi else None


@dataclass(frozen=True, eq=False)
class _Law:
    """What figures say of `x = (a - centre) / |scale|`, by channel.

    Attributes:
        centre: `(D,)`, the published mean in units of a, 0 where there is none.
        lo, hi: `(D, 6)`, the cells; the mass of cell k is `np.diff(levels)[k]`.
        slack: `(D, 5)`, by how much the mass below each inner end of a cell may be off.
        first: `(D,)`, bound on |E x|; NaN without mean and std, as below.
        second: two of `(D,)`, bounds on E x^2.
        consistent: `(D,)`, whether the figures can hold together.
        informed: `(D,)`, whether there are any.
    """

    centre: FloatArray
    lo: FloatArray
    hi: FloatArray
    slack: FloatArray
    first: FloatArray
    second: tuple[FloatArray, FloatArray]
    consistent: npt.NDArray[np.bool_]
    informed: npt.NDArray[np.bool_]
    assumptions: tuple[str, ...]

    @classmethod
    def of(cls, stats: NormStats, inverse: list[_Inverse | None]) -> _Law:
        dim = stats.dim
        nothing = np.full(dim, np.nan)
        knots = np.stack([stats.figures.get(name, nothing) for name in LEVELS])
        mean, std = (stats.figures.get(name, nothing) for name in ("mean", "std"))
        figures = np.abs(np.vstack([knots, mean, std]))
        size = np.where(np.isfinite(figures), figures, 0.0).max(axis=0)
        assumptions = [INVERSE]
        off = np.broadcast_to(FIGURE * size, knots.shape).copy()
        slack = np.zeros((dim, len(LEVELS) - 2))
        ranged = "min" in stats and "max" in stats
        if any(name in stats for name in list(LEVELS)[1:-1]):
            if stats.estimator == "np.quantile" and stats.count:
                slack[:] = 1 / stats.count
                assumptions.append(LINEAR.format(stats.count, stats.count))
            elif stats.estimator == "histogram" and ranged:
                off[1:-1] += BINS_OFF / BINS * (knots[-1] - knots[0])
                assumptions.append(HISTOGRAM)
            else:
                knots[1:-1] = np.nan
                assumptions.append(UNUSED.format(WHY_UNUSED[stats.estimator]))
        moments = np.isfinite(mean) & np.isfinite(std)
        share = max(LEAST, ADDING * stats.count) if stats.count else UNCOUNTED
        assumptions += [RANGE] * bool(np.isfinite(knots[[0, -1]]).any()) + [MOMENTS.format(share)] * bool(moments.any())
        known = np.isfinite(knots)
        centre = np.where(moments, mean, 0.0)
        unit = np.array([abs(one.scale) if one else 1.0 for one in inverse])
        with np.errstate(over="ignore", invalid="ignore"):
            lo = np.where(known, (knots - off - centre) / unit, -np.inf)
            hi = np.where(known, (knots + off - centre) / unit, np.inf)
            first, width = np.where(moments, [share * size / unit, std / unit], np.nan)
            lo, hi = np.maximum.accumulate(lo)[:-1].T, np.minimum.accumulate(hi[::-1])[::-1][1:].T
            second = np.maximum(width - first, 0.0) ** 2, (width + first) ** 2 + first**2
            least, most = lo[:, 0], hi[:, -1]
            spread = np.abs(least + most) * first - least * most  # no law between them has a larger E x^2
            impossible = (least > first) | (most < -first) | (second[0] > spread)
        consistent = np.array((lo <= hi).all(axis=1) & ~impossible)
        return cls(centre, lo, hi, slack, first, second, consistent, known.any(axis=0) | moments, tuple(assumptions))

    @classmethod
    def unknown(cls, inverse: list[_Inverse | None]) -> _Law:
        """No figures: any law whatever."""
        return cls.of(NormStats({"mean": np.full(len(inverse), np.nan)}), inverse)


@dataclass(frozen=True, eq=False)
class _Drift:
    """`|delta|` as a function of x: `size |alpha x + beta|` on [left, right], `(D, 1, P)`, padded with empty ones.

    `noise`: terms that cancelled in beta, whose rounding is still in it; `(D, 1, P)`.
    """

    left: FloatArray
    right: FloatArray
    alpha: FloatArray
    beta: FloatArray
    noise: FloatArray
    size: FloatArray

    @classmethod
    def of(cls, fi: Unnormalizer, fj: Unnormalizer, law: _Law, inverse: list[_Inverse | None]) -> _Drift:
        rows = []
        for d, found in enumerate(inverse):
            one = found or _Inverse(1.0, 0.0, fi.domain.lo, fi.domain.hi)
            middle = (float(law.centre[d]) - one.offset) / one.scale if found else 0.0
            sign = 1.0 if one.scale > 0 else -1.0
            row = []
            for left, right, alpha, beta, at in _difference(fi, fj, d, one.lo, one.hi):
                ends = sorted((sign * (left - middle), sign * (right - middle)))
                x = middle if at is None else at
                slope = sign * alpha if at is None else 0.0
                row.append((*ends, slope, alpha * x + beta, abs(alpha * x) + abs(beta)))
            rows.append(row)
        count = max(map(len, rows))
        empty = (np.inf, -np.inf, 0.0, 0.0, 0.0)
        table = np.array([[*row, *[empty] * (count - len(row))] for row in rows])
        left, right, alpha, beta, noise = np.moveaxis(table, -1, 0)[:, :, None, :]
        size = np.maximum(np.abs(alpha), np.abs(beta)).max(axis=-1, initial=0.0, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        return cls(left, right, alpha / size, beta / size, noise / size, size[:, 0, 0])


def _difference(
    fi: Unnormalizer, fj: Unnormalizer, d: int, lo: float, hi: float
) -> Iterator[tuple[float, float, float, float, float | None]]:
    """Pieces `left, right, alpha, beta` of `delta(u)` in [lo, hi], and those beyond, where it stays as `at` the end."""
    maps = [f._core.pieces(d) for f in (fi, fj)]
    starts = [[(at, after) for at, after, _, _ in pieces] for pieces in maps]
    cuts = [*sorted({*starts[0], *starts[1]}), ((np.inf, 0.0), True)]
    inside = []
    for cut, end in pairwise(cuts):
        if cut > ((hi, 0.0), False) or end <= ((lo, 0.0), False):
            continue
        p, q = (pieces[bisect_right(start, cut) - 1] for start, pieces in zip(starts, maps, strict=True))
        alpha, beta = ((b[0] - a[0]) + (b[1] - a[1]) for a, b in ((p[2], q[2]), (p[3], q[3])))
        inside.append((max(cut[0][0], lo), min(end[0][0], hi), alpha, beta))
    for piece in inside:
        yield *piece, None
    if np.isfinite(lo):
        yield -np.inf, lo, *inside[0][2:], lo
    if np.isfinite(hi):
        yield hi, np.inf, *inside[-1][2:], hi


def _bounds(law: _Law, drift: _Drift) -> tuple[FloatArray, FloatArray]:
    """The best of all `phi = slope x + curve x^2`, in action units."""
    mass = np.diff(list(LEVELS.values()))
    none = np.zeros(len(law.first))
    least, largest = _extremes(law, drift, none, none)
    lower, upper = least.min(axis=1), largest.max(axis=1)
    for slope, curve in _parabolas(law, drift, upper):
        low, high = _extremes(law, drift, slope, curve)
        with np.errstate(invalid="ignore", over="ignore"):
            tilt = np.where(slope != 0, np.abs(slope) * law.first, 0.0)
            bend = [np.where(curve != 0, curve * moment, 0.0) for moment in law.second]
            error = ROUNDING * (tilt + bend[1])
            below = (low * mass).sum(axis=1) - (np.abs(np.diff(low)) * law.slack).sum(axis=1) - tilt + bend[0] - error
            above = (high * mass).sum(axis=1) + (np.abs(np.diff(high)) * law.slack).sum(axis=1) + tilt + bend[1] + error
        lower, upper = np.fmax(lower, below), np.fmin(upper, above)
    with np.errstate(invalid="ignore"):
        return lower * drift.size * (1 - ROUNDING), upper * drift.size * (1 + ROUNDING)


def _parabolas(law: _Law, drift: _Drift, largest: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Slope and curve of every `phi` tried, each `(D,)`."""
    zero = np.zeros(len(law.first))
    yield zero, zero
    with np.errstate(all="ignore"):
        start, stop = law.lo[:, :1, None], law.hi[:, -1:, None]
        at = [np.where((drift.left <= x) & (x <= drift.right), np.abs(drift.alpha * x + drift.beta), 0.0).max(axis=-1)
              for x in (start, stop)]  # fmt: skip
        yield _finite((at[1] - at[0])[:, 0] / (stop - start)[:, 0, 0]), zero
        for alpha, beta in zip(drift.alpha[:, 0].T, drift.beta[:, 0].T, strict=True):
            if not alpha.any():
                continue
            yield alpha, zero
            yield -alpha, zero
            rms = np.sqrt(alpha**2 * law.second[1] + beta**2)
            for divisor in (2 * rms, largest):
                slope, curve = 2 * beta * (alpha / divisor), alpha * (alpha / divisor)
                usable = np.isfinite(slope) & np.isfinite(curve)
                yield np.where(usable, slope, 0.0), np.where(usable, curve, 0.0)


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, 0.0)


def _extremes(law: _Law, drift: _Drift, slope: FloatArray, curve: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Infimum and supremum, each `(D, 6)`, of `|delta| - phi` over every cell, in units of `drift.size`."""
    alpha, beta, slope, curve = drift.alpha, drift.beta, slope[:, None, None], curve[:, None, None]
    left, right = np.maximum(drift.left, law.lo[:, :, None]), np.minimum(drift.right, law.hi[:, :, None])
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        bends = [np.where(alpha != 0, -beta / alpha, 0.0)]  # where delta is 0, and the two vertices
        bends += [np.where(curve != 0, (side * alpha - slope) / (2 * curve), 0.0) for side in (1, -1)]
    x = np.stack([left, right, *(np.maximum(left, np.minimum(bend, right)) for bend in bends)])
    finite = np.where(np.isinf(x), 0.0, x)
    with np.errstate(over="ignore", invalid="ignore"):
        terms = alpha * finite, beta, slope * finite, curve * finite * finite
        value = np.abs(terms[0] + terms[1]) - terms[2] - terms[3]
        error = ROUNDING * (drift.noise + sum(np.abs(term) for term in terms))
        growth = np.where(curve != 0, -curve, np.abs(alpha) - slope * np.sign(x))
        level = np.where(alpha != 0, np.sign(alpha * x) * beta, np.abs(beta))
        value = np.where(np.isinf(x), np.where(growth != 0, np.sign(growth) * np.inf, level), value)
    empty = left > right
    return (
        np.where(empty, np.inf, value - error).min(axis=(0, -1)),
        np.where(empty, -np.inf, value + error).max(axis=(0, -1)),
    )
