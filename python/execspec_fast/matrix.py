"""Drift of all pairs at once: every key executed where every other was meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core, arrays
from .drift import as_sample, conflicting
from .errors import DTypeError, ExecSpecError, ShapeMismatchError
from .l2 import mean_l2_bounds
from .metric import Metric, parse_metric
from .sample import ActionSample
from .unnormalizer import Executable, Unnormalizer

FloatArray = npt.NDArray[np.float64]
Samples = ActionSample | Sequence[ActionSample] | npt.ArrayLike


def drift_matrix(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str = "mean_abs",
    out: FloatArray | None = None,
    threads: int | None = None,
    tol: float | None = None,
) -> FloatArray:
    """Drift of every ordered pair: entry `[i, j]` is for executing `j` where `i` was meant.

    Args:
        specs: K executables of one D.
        sample: one for all rows, or K of them, one per intended spec; an array `(..., D)` is wrapped, and the result
            is of its kind and on its device (in float32 where JAX has no float64).
        metric: per channel, giving `(K, K, D)`: mean_abs, bias, rms, max, worst_case, flips, zeros, pXX (a percentile
            of |delta|), exceeds:EPS. Over the channels that neither spec of the pair knows to be a gripper, giving
            `(K, K)`: mean, mean_l2, max_l2, pXX_l2.
        out: float64 array of that shape, written in place and returned.
        threads: None chooses by size. The bits never depend on it.
        tol: for mean_l2, to within this share of it: the middle of certified intervals (`mean_l2_bounds`), swept over
            the rows only where they are wider. The log says how many were.

    Returns:
        NaN for pairs whose declared conventions differ by more than a map, and on channels a sample excludes.

    Raises:
        ShapeMismatchError, ExecSpecError (unknown metric)
        ArrayError: an array that cannot be read where it lies.
    """
    return arrays.through(  # type: ignore[no-any-return]
        sample,
        out,
        lambda sample, out: _drift_matrix(specs, sample, metric, out, threads, tol),
        lambda jax, sample: jax.drift_matrix(specs, sample, metric),
        name="sample",
        rounded=True,
    )


def _drift_matrix(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str,
    out: FloatArray | None,
    threads: int | None,
    tol: float | None,
) -> FloatArray:
    if tol is None:
        return drift_block(specs, specs, sample, metric, out, threads)
    samples = as_samples(sample)
    if metric != "mean_l2" or len(samples) != 1:
        raise ExecSpecError(f"tol = {tol} is for mean_l2 over one sample; {metric} costs no less with it")
    found = mean_l2_bounds(specs, samples[0], tol=tol, threads=threads)
    pairs = len(specs) * (len(specs) + 1) // 2
    from logging import getLogger  # not at import: NumPy loads no logging, and few ask for a tolerance

    getLogger(__name__).info(
        "mean_l2 within %g: %d of %d pairs swept, the rest by %d cells", tol, found.swept, pairs, found.cells
    )
    result = found.lower + (found.upper - found.lower) / 2
    if out is None:
        return result
    np.copyto(_checked(out, result.shape), result)
    return out


def drift_block(
    intended: Sequence[Executable],
    executed: Sequence[Executable],
    sample: Samples,
    metric: str = "mean_abs",
    out: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """A rectangle of `drift_matrix`: entry `[i, j]` is for `executed[j]` where `intended[i]` was meant."""
    measure = parse_metric(metric)
    if not intended or not executed:
        raise ShapeMismatchError("no specs: a matrix needs at least one")
    samples = as_samples(sample)
    rows, columns = [x.map for x in intended], [x.map for x in executed]
    shape = (len(rows), len(columns)) if measure.joint else (len(rows), len(columns), rows[0].dim)
    direct = out is not None and _checked(out, shape).flags.c_contiguous
    result = out if out is not None and direct else np.empty(shape)
    _fill(result, rows, columns, samples, measure, threads)
    barred = conflicting(intended, executed)
    if barred.any():  # else the mask is not worth another pass over the result
        result[barred] = np.nan
    if out is None or direct:
        return result
    np.copyto(out, result)
    return out


def _fill(
    out: FloatArray,
    rows: list[Unnormalizer],
    columns: list[Unnormalizer],
    samples: list[ActionSample],
    metric: Metric,
    threads: int | None,
) -> None:
    cores = [m._core for m in rows], [m._core for m in columns], [s._core for s in samples]
    excluded = [list(s.excluded) for s in samples]
    if metric.name == "mean":
        _core.mean(out, *cores, excluded, threads)
        return
    if metric.joint:
        _core.joint(out, *cores, excluded, metric.kind, metric.parameter, threads)
        return
    _core.separable(out, *cores, metric.kind, metric.parameter, threads)
    if metric.kind == "worst_case":
        return
    for i, own in enumerate(samples):
        if own.excluded:
            out[i if len(samples) > 1 else slice(None), :, list(own.excluded)] = np.nan


def _checked(out: Any, shape: tuple[int, ...]) -> FloatArray:
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != np.float64:
        raise ShapeMismatchError(f"out must be a float64 array of shape {shape}")
    if not out.flags.writeable:
        raise DTypeError("out is read-only")
    return out


def as_samples(samples: Any) -> list[ActionSample]:
    """One sample for all rows, or those given, one per row; an array is wrapped."""
    listed = isinstance(samples, list | tuple) and bool(samples) and all(isinstance(s, ActionSample) for s in samples)
    return list(samples) if listed else [as_sample(samples)]
