"""All pairs of many keys in one pass: nearest and worst siblings, pairs beyond a threshold, a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import ExecSpecError
from .matrix import FloatArray, Samples
from .tiles import TILE, pair_blocks, strips
from .unnormalizer import Executable

IntArray = npt.NDArray[np.int64]

MANTISSA = 52
"""Bits of a float64 below its exponent: the bits above them count octaves, and grow with the number."""


@dataclass(frozen=True, eq=False)
class Siblings:
    """For each of K keys, up to k others in order.

    Attributes:
        index: `(K, k)`, positions in the list of specs, executed where the row's key was meant; -1 where there are
            fewer.
        drift: `(K, k)`, their drifts; NaN where there are fewer.
    """

    index: IntArray
    drift: FloatArray


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs above a threshold, the worst of them by name.

    Attributes:
        threshold: drifts strictly above it count.
        count: ordered pairs above it, all of them.
        intended, executed, drift: `(m,)`, the worst first, equal ones by intended and executed; m < count if `cut`.
    """

    threshold: float
    count: int
    intended: IntArray
    executed: IntArray
    drift: FloatArray

    @property
    def cut(self) -> bool:
        """Whether more pairs are above the threshold than are listed."""
        return self.count > len(self.drift)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many ordered pairs drift by how much.

    Attributes:
        zeros: pairs with no drift at all.
        edges: `(B + 1,)`, every octave `[2**n, 2**(n + 1))` cut into equal parts, exact doubles.
        counts: `(B,)`, pairs with `edges[b] <= drift < edges[b + 1]`, without the zeros.
        infinite: pairs whose drift nothing bounds.
    """

    zeros: int
    edges: FloatArray
    counts: IntArray
    infinite: int

    def quantile(self, p: float) -> tuple[float, float]:
        """The bin `[low, high)` in which the p-quantile over pairs (inverted CDF) lies; `(0, 0)` for the zeros."""
        steps = np.cumsum([self.zeros, *self.counts, self.infinite])
        if not (0 <= p <= 1 and steps[-1]):
            raise ExecSpecError(f"quantile {p} of {steps[-1]} pairs: a level from 0 to 1 and at least one pair needed")
        place = int(np.searchsorted(steps, max(1, np.ceil(p * steps[-1]))))
        lows, highs = (0.0, *self.edges[:-1], np.inf), (0.0, *self.edges[1:], np.inf)
        return float(lows[place]), float(highs[place])


@dataclass(frozen=True, eq=False)
class Survey:
    """What all ordered pairs of distinct keys have in common.

    Attributes:
        metric: one number per pair, see `survey`.
        keys: K.
        nearest, worst: siblings of every key, smallest and largest drift first, equal ones by index.
        above: pairs beyond the threshold.
        histogram: of all pairs that have a number.
        incomparable: `(K,)`, siblings whose drift is NaN: their declared conventions conflict with this key's, or the
            sample excludes every channel that counts.
    """

    metric: str
    keys: int
    nearest: Siblings
    worst: Siblings
    above: Pairs
    histogram: Histogram
    incomparable: IntArray

    @property
    def pairs(self) -> int:
        """Ordered pairs that have a number."""
        return self.keys * (self.keys - 1) - int(self.incomparable.sum())

    def __str__(self) -> str:
        without = int(self.incomparable.sum())
        lines = [f"{self.keys} keys, {self.pairs} ordered pairs" + (f", {without} without a number" if without else "")]
        if self.pairs:
            low, high = self.histogram.quantile(0.5)
            lines.append(f"{self.metric}: median in [{low:.4g}, {high:.4g}), {self.histogram.zeros} pairs at 0")
        listed = f", the worst {len(self.above.drift)} listed" if self.above.cut else ""
        lines.append(f"above {self.above.threshold:g}: {self.above.count} pairs{listed}")
        return "\n".join(lines)


def survey(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str = "mean",
    nearest: int = 5,
    worst: int = 5,
    threshold: float = 0.0,
    listed: int = 100,
    bins: int = 8,
    tile: int = TILE,
    threads: int | None = None,
) -> Survey:
    """All ordered pairs of distinct keys, summed up while they are computed: no matrix is ever held.

    Args:
        specs, sample, threads: as in `drift_matrix`; K keys take `16 K (nearest + worst)` bytes beside one tile.
        metric: joint ones as they are; of a separable one the largest magnitude among the channels that neither spec
            knows to be a gripper.
        nearest, worst: siblings to keep of each key.
        threshold, listed: count pairs that drift by more, and list the worst of them, at most so many.
        bins: bins per octave of the histogram, a power of two.
        tile: keys on a side of what is computed at once. The answer never depends on it.

    Raises:
        ShapeMismatchError, ExecSpecError: also for counts that are negative, bins that are no power of two, or a
            threshold that is NaN or negative.
    """
    if min(nearest, worst) < 0 or listed < 1 or not threshold >= 0:
        raise ExecSpecError(
            f"nearest {nearest}, worst {worst}, listed {listed}, threshold {threshold}: "
            "at least 0 each, and 1 pair to list"
        )
    if bins not in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        raise ExecSpecError(f"{bins} bins per octave: a power of two from 1 to 256 is needed, its edges are exact")
    near, far = _Extremes(len(specs), nearest), _Extremes(len(specs), worst)
    above, spread = _Above(threshold, listed), _Spread(bins)
    missing = np.full(len(specs), -1)  # a key itself is no sibling, and found missing below
    for block in pair_blocks(specs, sample, metric, tile, threads, scalar=True):
        for rows, columns, drifts in block.directions():
            if rows == columns:
                np.fill_diagonal(drifts, np.nan)
            for run in strips(drifts):
                strip = np.ascontiguousarray(drifts[run])
                keys = slice(rows.start + run.start, rows.start + run.stop)
                missing[keys] += spread.take(strip)
                near.take(keys, columns, strip)
                far.take(keys, columns, -strip)
                above.take(keys, columns, strip)
    return Survey(
        metric=metric,
        keys=len(specs),
        nearest=Siblings(near.index, near.score),
        worst=Siblings(far.index, -far.score),
        above=above.pairs(),
        histogram=spread.histogram(),
        incomparable=missing,
    )


class _Extremes:
    """Per key the k siblings of lowest score, equal ones by index; NaN is no score."""

    def __init__(self, keys: int, k: int) -> None:
        self.index = np.full((keys, k), -1)
        self.score = np.full((keys, k), np.nan)

    def take(self, rows: slice, columns: slice, scores: FloatArray) -> None:
        """Scores of `columns` for `rows`, after those of all columns before them: so who only equals has lost."""
        k = self.index.shape[1]
        if k == 0:
            return
        limit = np.nextafter(self.score[rows, -1], -np.inf)
        if scores.shape[1] > k:
            limit = np.fmin(limit, np.partition(scores, k - 1, axis=1)[:, k - 1])
        limit[np.isnan(limit)] = np.inf
        row, column = np.divmod(np.flatnonzero(scores <= limit[:, None]), scores.shape[1])
        if not row.size:
            return
        place = np.concatenate([np.repeat(np.arange(len(scores)), k), row])
        index = np.concatenate([self.index[rows].ravel(), column + columns.start])
        score = np.concatenate([self.score[rows].ravel(), scores[row, column]])
        order = np.lexsort((score, place))
        starts = np.searchsorted(place[order], np.arange(len(scores)))
        best = order[starts[:, None] + np.arange(k)]
        self.index[rows], self.score[rows] = index[best], score[best]


class _Above:
    """Pairs above a threshold: all counted, the worst `most` kept."""

    def __init__(self, threshold: float, most: int) -> None:
        self.threshold, self.most, self.count = threshold, most, 0
        self.intended, self.executed = np.zeros((2, 0), np.int64)
        self.drift = np.zeros(0)

    def take(self, rows: slice, columns: slice, drifts: FloatArray) -> None:
        beyond = drifts > self.threshold
        self.count += int(np.count_nonzero(beyond))
        if len(self.drift) == self.most:
            beyond &= drifts >= self.drift[-1]
        place = np.flatnonzero(beyond)
        found = drifts.ravel()[place]
        worst = np.argsort(-found, kind="stable")[: self.most]
        row, column = np.divmod(place[worst], drifts.shape[1])
        intended = np.concatenate([self.intended, row + rows.start])
        executed = np.concatenate([self.executed, column + columns.start])
        drift = np.concatenate([self.drift, found[worst]])
        order = np.lexsort((executed, intended, -drift))[: self.most]
        self.intended, self.executed, self.drift = intended[order], executed[order], drift[order]

    def pairs(self) -> Pairs:
        return Pairs(self.threshold, self.count, self.intended, self.executed, self.drift)


class _Spread:
    """A histogram by the leading bits of a float64: bins are runs of equal bits, so their edges are exact."""

    def __init__(self, bins: int) -> None:
        self.shift = MANTISSA - (bins.bit_length() - 1)
        self.infinity = self._bin(np.array([np.inf]))[0]
        self.counts = np.zeros(self.infinity + 1, np.int64)
        self.zeros = 0

    def _bin(self, drifts: FloatArray) -> IntArray:
        return drifts.view(np.int64) >> self.shift

    def take(self, drifts: FloatArray) -> IntArray:
        """Counts what has a number; returns `(R,)` how many of each row have none."""
        missing = np.isnan(drifts)
        some = bool(missing.any())
        found = np.bincount(self._bin(np.abs(drifts[~missing] if some else drifts.ravel())), minlength=len(self.counts))
        self.counts += found
        if found[0]:  # zeros, and the smallest subnormals
            self.zeros += int(np.count_nonzero(drifts == 0))
        return missing.sum(axis=1) if some else np.zeros(len(drifts), np.int64)

    def histogram(self) -> Histogram:
        counts = self.counts.copy()
        counts[0] -= self.zeros
        infinite, counts = int(counts[-1]), counts[:-1]
        used = np.flatnonzero(counts)
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        edges = (np.arange(first, last + 1) << self.shift).view(np.float64)
        return Histogram(self.zeros, edges, counts[first:last], infinite)
