"""LeRobot's `meta/episodes_stats.jsonl` (datasets of v2.1): one line of statistics per episode.

What pools exactly, given the count of each episode, is pooled as LeRobot does. Quantiles do not pool: averaged, as
LeRobot up to 0.4.4 would, they are no quantiles of the data; they are left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import FormatError
from ..stats import FIGURES, FloatArray, NormStats
from .figures import make_stats, numbers
from .strict_json import escape
from .tree import File

POOLED = ("mean", "std", "min", "max")


def pool_episodes(file: File, feature: str) -> tuple[NormStats, tuple[str, ...], tuple[int, ...]] | None:
    """A feature's statistics over all episodes, its figures that do not pool, and the lines (from 0) without it.

    None if no episode has the feature.

    Raises:
        FormatError: a line that is no episode, a missing count, or episodes that do not fit each other.
    """
    blocks, without = [], []
    for n, line in enumerate(file.json_lines()):
        stats = line.get("stats") if isinstance(line, dict) else None
        if not isinstance(stats, dict):
            raise FormatError(f"episode {n} (from 0) has no `stats`", file=file.path)
        if isinstance(stats.get(feature), dict):
            blocks.append(stats[feature])
        else:
            without.append(n)
    if not blocks:
        return None
    left_out = tuple(name for name in FIGURES if name not in POOLED and any(name in block for block in blocks))
    return _pool(file.path, f"/stats/{escape(feature)}", blocks), left_out, tuple(without)


def _pool(file: str, pointer: str, blocks: Sequence[Mapping[str, Any]]) -> NormStats:
    """Figures of all episodes together.

    With counts `n`, `mean = sum n m / sum n` and `std**2 = sum n (s**2 + (m - mean)**2) / sum n`: exact for the
    population std that LeRobot computes.
    """
    count, mean, std, low, high = (_column(file, f"{pointer}/{name}", name, blocks) for name in ("count", *POOLED))
    if len({column.shape for column in (mean, std, low, high)}) > 1:
        raise FormatError("figures of different shapes", file=file, pointer=pointer)
    total = count.sum()
    if count.shape[1] != 1 or not (count > 0).all() or not np.isfinite(total):
        raise FormatError("every episode needs one count above 0", file=file, pointer=f"{pointer}/count")
    with np.errstate(over="ignore", invalid="ignore"):
        weight = count / total
        centre = (weight * mean).sum(axis=0)
        spread = np.sqrt((weight * (std**2 + (mean - centre) ** 2)).sum(axis=0))
    figures = dict(zip(POOLED, (centre, spread, low.min(axis=0), high.max(axis=0)), strict=True))
    return make_stats(file, pointer, figures, count=int(total))


def _column(file: str, pointer: str, name: str, blocks: Sequence[Mapping[str, Any]]) -> FloatArray:
    """One figure of every episode, shape (episodes, D)."""

    def fail(reason: str, place: str) -> FormatError:
        return FormatError(reason, file=file, pointer=place)

    rows: list[FloatArray] = [numbers(fail, pointer, block.get(name)) for block in blocks]
    if {row.shape for row in rows} != {(len(rows[0]),)}:
        raise fail("episodes of different shapes", pointer)
    return np.array(rows)
