"""Every ordered pair, tile by tile: a drift matrix of any size in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .errors import ShapeMismatchError
from .matrix import FloatArray, Samples, as_samples, drift_block
from .metric import parse_metric
from .unnormalizer import Executable

TILE = 512
"""Keys on a side: 2 MiB per channel, and enough pairs that what a tile costs beside them does not count."""
STRIP = 1 << 16
"""Numbers worked on at once: half a megabyte, so that what is made of them stays in the cache."""


class Block(NamedTuple):
    """All pairs between two runs of keys: `forth` is `[rows, columns]` of the matrix, `back` `[columns, rows]`.

    `back` is a view of `forth` where the two directions are equal, and None on the diagonal, which has both.
    """

    rows: slice
    columns: slice
    forth: FloatArray
    back: FloatArray | None

    def directions(self) -> Iterator[tuple[slice, slice, FloatArray]]:
        yield self.rows, self.columns, self.forth
        if self.back is not None:
            yield self.columns, self.rows, self.back


def drift_tiles(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str = "mean_abs",
    tile: int = TILE,
    threads: int | None = None,
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """The drift matrix in tiles, each ordered pair in exactly one, the whole never in memory.

    Args:
        specs, sample, metric, threads: as in `drift_matrix`.
        tile: keys on a side.

    Yields:
        `(rows, columns, drifts)`: `drifts` is `drift_matrix(...)[rows, columns]`, `(R, C, D)` or `(R, C)` by metric,
        perhaps a view of the tile before. Tiles of the same rows come in the order of their columns.

    Raises:
        ShapeMismatchError, ExecSpecError (unknown metric)
    """
    blocks = pair_blocks(specs, sample, metric, tile, threads, scalar=False)
    return (one for block in blocks for one in block.directions())


def pair_blocks(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str,
    tile: int = TILE,
    threads: int | None = None,
    *,
    scalar: bool,
) -> Iterator[Block]:
    """Every unordered pair of runs of `tile` keys, half of the work where a metric is the same both ways.

    Args:
        scalar: one number per pair: a joint metric's own; of a separable one the largest magnitude among the
            channels that neither spec knows to be a gripper, NaN where none of them has a number.
    """
    if not specs or tile < 1:
        raise ShapeMismatchError(f"{len(specs)} specs in tiles of {tile} keys: both must be at least 1")
    samples, measure = as_samples(sample), parse_metric(metric)
    if len(samples) not in (1, len(specs)):
        raise ShapeMismatchError(f"{len(samples)} samples for {len(specs)} specs: give one, or one per intended spec")
    counted = _counted(specs)

    def drifts(rows: slice, columns: slice) -> FloatArray:
        laws = samples if len(samples) == 1 else samples[rows]
        found = drift_block(specs[rows], specs[columns], laws, metric, threads=threads)
        return _worst_channel(found, counted[rows], counted[columns]) if scalar and not measure.joint else found

    def back(rows: slice, columns: slice, forth: FloatArray) -> FloatArray | None:
        if rows == columns:
            return None
        if len(samples) > 1 or measure.symmetry == 0:
            return drifts(columns, rows)
        mirrored = forth.swapaxes(0, 1)
        return -mirrored if measure.symmetry < 0 and not scalar else mirrored

    def blocks() -> Iterator[Block]:
        sides = runs(len(specs), tile)
        for k, rows in enumerate(sides):
            for columns in sides[k:]:
                forth = drifts(rows, columns)
                yield Block(rows, columns, forth, back(rows, columns, forth))

    return blocks()


def _counted(specs: Sequence[Executable]) -> npt.NDArray[np.bool_]:
    """`(K, D)`: false on the channels that a spec knows to be its gripper."""
    maps = [spec.map for spec in specs]
    counted = np.ones((len(maps), max(one.dim for one in maps)), np.bool_)  # where D differ, `drift_block` says so
    for row, one in zip(counted, maps, strict=True):
        row[list(one.gripper or ())] = False
    return counted


def _worst_channel(
    drifts: FloatArray, counted_rows: npt.NDArray[np.bool_], counted_columns: npt.NDArray[np.bool_]
) -> FloatArray:
    result = np.full(drifts.shape[:2], np.nan)
    for strip in strips(drifts):
        for d in range(drifts.shape[2]):
            both = counted_rows[strip, None, d] & counted_columns[None, :, d]
            np.fmax(result[strip], np.abs(drifts[strip, :, d]), out=result[strip], where=both)
    return result


def strips(drifts: FloatArray) -> list[slice]:
    """Runs of rows that fit the cache."""
    return runs(len(drifts), max(1, STRIP // drifts[0].size))


def runs(length: int, size: int) -> list[slice]:
    """`range(length)` in runs of `size`, the last one perhaps shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]
