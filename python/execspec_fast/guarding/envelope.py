"""What a spec can emit: the image of its domain, column by column, and the commands of a gripper."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..ops import OpKind
from ..stats import FloatArray
from ..unnormalizer import Unnormalizer

MOST_VALUES = 3


def image_of(unnormalizer: Unnormalizer, wider: FloatArray) -> FloatArray:
    """`(2, columns)`: the least and the largest value of every column, infinite where the domain leaves it so.

    Args:
        wider: by column, how much wider than the image of the exact map, jumps included, in units of max(1, |u|): as
            far as what is computed may lie from it.
    """
    ends = np.empty((2, unnormalizer.dim))
    for column in range(unnormalizer.dim):
        values = [
            (_at(scale, offset, u), wider[column] * max(1.0, abs(u) if scale and math.isfinite(u) else 0))
            for scale, offset, *domain in _pieces(unnormalizer, column)
            for u in domain
        ]
        ends[:, column] = min(value - wide for value, wide in values), max(value + wide for value, wide in values)
    return ends


def commands(unnormalizer: Unnormalizer, column: int) -> tuple[float, ...]:
    """The values of a column that ends in a step, as many as its domain gives; empty if it does not end in one."""
    kinds = [int(kind) for kind in unnormalizer.table()["kind"][:, column] if kind != OpKind.IDENTITY]
    if not kinds or kinds[-1] != OpKind.STEP:
        return ()
    found = {offset for _, offset, *_ in _pieces(unnormalizer, column)}
    return tuple(sorted(found)) if len(found) <= MOST_VALUES else ()


def _pieces(unnormalizer: Unnormalizer, column: int) -> Iterator[tuple[float, float, float, float]]:
    """Scale, offset, and the least and the largest u of every piece that the domain meets."""
    domain, last = unnormalizer.domain, (math.inf, 0.0, True)
    pieces = unnormalizer._core.pieces(column)
    cuts = [(*at, after) for at, after, *_ in pieces] + [last]
    for n, (_, _, scale, offset) in enumerate(pieces):
        if domain.points:
            met = [u for u in domain.points if cuts[n] <= (u, 0.0, False) < cuts[n + 1]]
            inside = (min(met), max(met)) if met else None
        else:
            begin, end = max(cuts[n], (domain.lo, 0.0, False)), min(cuts[n + 1], (domain.hi, 0.0, True))
            inside = (begin[0], end[0]) if begin < end else None
        if inside:
            yield sum(scale), sum(offset), *inside


def _at(scale: float, offset: float, u: float) -> float:
    return scale * u + offset if scale else offset
