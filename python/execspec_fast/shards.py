"""Drift over more actions than memory holds, or than one machine has seen: exact from the drift of every part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .errors import ExecSpecError, ShapeMismatchError, StatsError
from .matrix import FloatArray, drift_matrix
from .metric import parse_metric
from .sample import ActionSample
from .unnormalizer import Executable


def drift_union(parts: Iterable[tuple[int, npt.ArrayLike]], metric: str) -> FloatArray:
    """The drift over the union of parts, from each part's rows and drift.

    `max`, `max_l2` and `worst_case` are the largest of the parts', `rms` combines squares weighed by rows, every other
    metric is the mean weighed by rows. Each part adds at most two units in the last place of rounding: of the result,
    for `bias` of the largest part's.

    Args:
        parts: `(rows, drift)` of every part, read once; drifts of one shape, `drift_matrix(...)` or a field of
            `Drift`.
        metric: what the drifts are.

    Raises:
        ExecSpecError: quantiles, which do not combine; no parts.
        StatsError: a part without rows.
        ShapeMismatchError: drifts of different shapes.
    """
    measure = parse_metric(metric)
    if not measure.additive:
        raise ExecSpecError(
            f"{metric!r} of a union does not follow from its parts': make one sample of all rows "
            "(ActionSample.merge), or ask for 'exceeds:EPS', which says how many lie beyond a value"
        )
    total, union = 0, np.zeros(0)
    for number, (rows, drift) in enumerate(parts):
        value = np.asarray(drift, np.float64)
        if rows < 1:
            raise StatsError(f"part {number} has {rows} rows; leave it out, or repair it first")
        if total and value.shape != union.shape:
            raise ShapeMismatchError(f"part {number} has drifts of shape {value.shape}, those before {union.shape}")
        total += rows
        if total == rows:
            union = value.copy()
        elif measure.kind in ("max", "worst_case"):
            np.maximum(union, value, out=union)
        elif measure.kind == "rms":
            np.hypot(union * np.sqrt((total - rows) / total), value * np.sqrt(rows / total), out=union)
        else:
            union *= (total - rows) / total
            union += value * (rows / total)
    if not total:
        raise ExecSpecError("no parts: a union needs at least one")
    return union


def drift_over(
    specs: Sequence[Executable],
    chunks: Iterable[ActionSample | npt.ArrayLike],
    metric: str = "mean_abs",
    threads: int | None = None,
) -> FloatArray:
    """`drift_matrix` over all rows of all chunks, with one chunk in memory at a time.

    Args:
        specs, metric, threads: as in `drift_matrix`.
        chunks: normalized actions `(..., D)` or samples with rows, read once: a generator over files will do.

    Returns:
        `(K, K, D)` or `(K, K)`, what one sample of all rows gives, up to the rounding that `drift_union` states.

    Raises:
        ExecSpecError: quantiles; no chunks; an unknown metric.
        StatsError: a chunk that has no rows, or excludes other channels than those before it.
        ShapeMismatchError
    """
    return drift_union(_parts(specs, chunks, metric, threads), metric)


def _parts(
    specs: Sequence[Executable], chunks: Iterable[ActionSample | npt.ArrayLike], metric: str, threads: int | None
) -> Iterator[tuple[int, FloatArray]]:
    start, known = 0, None
    for chunk in chunks:
        try:
            sample = chunk if isinstance(chunk, ActionSample) else ActionSample(chunk, threads=threads)
            rows, excluded = sample.count, sorted(sample.excluded)
            if rows is None:
                raise StatsError(f"{sample.description!r} is a law without rows, so nothing weighs it against others")
            known = excluded if known is None else known
            if excluded != known:
                raise StatsError(f"it excludes channels {excluded}, those before it {known}: they have no union")
            drifts = drift_matrix(specs, sample, metric, threads=threads)
        except ExecSpecError as error:
            error.add_note(f"in the chunk that begins at row {start}")
            raise
        del chunk, sample  # so that the next is read into the memory of this one
        start += rows
        yield rows, drifts
