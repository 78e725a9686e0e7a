"""Joint drift E||delta||_2 of all pairs as certified intervals, swept over the rows only where that is not enough.

A norm does not separate into channels, so its mean costs a look at every row and pair. A partition of the rows into
cells brackets it by Jensen's inequality at one look per cell (`cpp/include/execspec/cells.hpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import _core
from .drift import as_sample, conflicting
from .errors import ExecSpecError, ShapeMismatchError
from .sample import ActionSample
from .unnormalizer import Executable

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class L2Bounds:
    """Intervals that hold E||delta||_2 of every ordered pair.

    Attributes:
        lower, upper: `(K, K)`; equal where a pair was swept, NaN where declared conventions differ by more than a map.
        swept: how many of the unordered pairs were swept over all rows.
        bent: how many of them had to be, since a clip or a step leaves Jensen's inequality without effect.
        cells: how many cells the rows were parted into.
    """

    lower: FloatArray
    upper: FloatArray
    swept: int
    bent: int
    cells: int

    @property
    def width(self) -> FloatArray:
        """`(K, K)`: upper - lower, over the upper end; 0 where both are 0."""
        gap = self.upper - self.lower
        return np.divide(gap, self.upper, out=np.zeros_like(gap), where=gap != 0)


def mean_l2_bounds(
    specs: Sequence[Executable],
    sample: ActionSample | npt.ArrayLike,
    cells: int = 4096,
    tol: float | None = None,
    threshold: float | None = None,
    threads: int | None = None,
) -> L2Bounds:
    """Certified intervals for E||delta||_2 of every ordered pair, over the channels that neither spec of the pair knows
    to be a gripper.

    Args:
        specs: K executables of one D.
        sample: normalized actions with joint rows; an array `(..., D)` is wrapped.
        cells: at most this many; the cost is proportional to them, the width falls as they grow.
        tol: pairs whose interval is wider than this share of its upper end are swept over all rows instead.
        threshold: pairs whose interval has it inside are swept, so that every pair is known to be above or below.
        threads: None chooses by size. The bits never depend on it.

    Raises:
        ShapeMismatchError
        ExecSpecError: a sample without joint rows, cells < 1, a negative tol.
    """
    actions = as_sample(sample)
    if not actions.joint:
        raise ExecSpecError("a joint drift needs joint rows; the sample gives one law per channel (see .independent)")
    if cells < 1 or (tol is not None and not tol >= 0):
        raise ExecSpecError(f"cells = {cells}, tol = {tol}: at least one cell, and a tolerance of 0 or more")
    if not specs:
        raise ShapeMismatchError("no specs: a matrix needs at least one")
    maps = [spec.map for spec in specs]
    cores, size = [m._core for m in maps], len(maps)
    lower, upper = np.full((size, size), np.nan), np.full((size, size), np.nan)
    made = 0
    grippers = [frozenset(m.gripper or ()) for m in maps]
    kinds = sorted(set(grippers), key=sorted)
    kind = np.array([kinds.index(own) for own in grippers])
    layouts = sorted({a | b for a in kinds for b in kinds}, key=sorted)
    for layout in layouts:  # pairs that leave the same channels out share the cells
        channels = [d for d in range(maps[0].dim) if d not in layout and d not in actions.excluded]
        members = np.flatnonzero(np.array([own <= layout for own in kinds])[kind])
        own = np.ix_(members, members)
        ends = np.empty((2, len(members), len(members)))
        made = max(
            made,
            _core.mean_l2_bounds(
                ends[0], ends[1], [cores[k] for k in members], actions._core, channels, cells, threads
            ),
        )
        exactly = np.array([[a | b == layout for a in kinds] for b in kinds])
        mine = exactly[np.ix_(kind[members], kind[members])]
        lower[own], upper[own] = np.where(mine, ends, (lower[own], upper[own]))
    barred = conflicting(specs, specs)
    bent = np.isnan(lower) & ~barred
    sweep = bent.copy()
    if tol is not None:
        sweep |= upper - lower > tol * upper
    if threshold is not None:
        sweep |= (lower <= threshold) & (threshold < upper)
    rows, columns = np.nonzero(np.triu(sweep & ~barred))
    values = np.empty(len(rows))
    if len(rows):
        excluded = list(actions.excluded)
        _core.joint_pairs(values, cores, rows, columns, actions._core, excluded, "mean", 0.0, threads)
    for matrix in (lower, upper):
        matrix[rows, columns] = matrix[columns, rows] = values
        matrix[barred] = np.nan
    return L2Bounds(lower, upper, len(rows), int(np.triu(bent).sum()), made)
