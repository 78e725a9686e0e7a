"""Drift: by how much executing `j` where `i` was meant changes an action, exactly, for one pair or all.

Everything is exact for the published numbers taken as exact doubles: `delta(u) = f_j(u) - f_i(u)` is piecewise
affine, and each metric is its integral against the sample (`cpp/include/execspec/drift.hpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core, ops
from .conventions import NOT_MAPS, Conventions, compare
from .errors import DTypeError, ExecSpecError, ShapeMismatchError
from .sample import ActionSample
from .unnormalizer import Executable, Unnormalizer

FloatArray = npt.NDArray[np.float64]

SEPARABLE = ("mean_abs", "bias", "rms", "max", "worst_case")
"""Metrics of one channel; a matrix of them is `(K, K, D)`."""
JOINT = ("mean", "mean_l2")
"""Metrics over channels; a matrix of them is `(K, K)`."""


@dataclass(frozen=True)
class Drift:
    """What executing one spec in place of another does to an action, per channel and over channels.

    Attributes:
        mean_abs, bias, rms, max: `(D,)` over the sample: E|delta|, E delta, sqrt(E delta^2), max|delta|;
            NaN on channels the sample excludes.
        worst_case: `(D,)`, sup |delta| over the intended spec's domain of u; inf where nothing bounds it.
        channels_used: channels behind the means below.
        mean: mean of `mean_abs` over them.
        mean_l2: E||delta||_2 over them; NaN where only marginals are known, see `mean_l2_interval`.
        mean_l2_interval: bounds that need no joint law, `[sqrt(sum (E|delta|)^2), sqrt(sum E delta^2)]`; a point
            where `mean_l2` is known.
        sample: what the actions are.
        assumes: what had to be assumed, one sentence each.
        reason: why the figures are NaN, if they are.
    """

    mean_abs: FloatArray
    bias: FloatArray
    rms: FloatArray
    max: FloatArray
    worst_case: FloatArray
    channels_used: tuple[int, ...]
    mean: float
    mean_l2: float
    mean_l2_interval: tuple[float, float]
    sample: str
    assumes: tuple[str, ...] = ()
    reason: str = ""


def drift(
    intended: Executable,
    executed: Executable,
    sample: ActionSample | npt.ArrayLike,
    limits: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    channels: Sequence[int] | None = None,
) -> Drift:
    """Drift of executing `executed` where `intended` was meant.

    Args:
        sample: normalized actions; an array `(..., D)` is wrapped.
        limits: `(low, high)`, scalars or `(D,)`: a controller's clip, applied to both actions.
        channels: channels to average over, in place of those that neither spec knows to be a gripper.

    Raises:
        ShapeMismatchError: specs or sample of different D.
    """
    fi, fj = (_limited(x.map, limits) for x in (intended, executed))
    actions = _as_sample(sample)
    used, assumes = _channels_used(fi, fj, actions, channels)
    more, conflicts = _compare(intended, executed)
    if conflicts:
        nothing = np.full(fi.dim, np.nan)
        nan = float("nan")
        return Drift(
            nothing, nothing, nothing, nothing, nothing, used, nan, nan, (nan, nan), actions.description, more,
            "; ".join(conflicts),
        )  # fmt: skip
    columns = {name: _core.separable(fi._core, fj._core, actions._core, name) for name in SEPARABLE}
    for name in SEPARABLE[:-1]:
        columns[name][list(actions.excluded)] = np.nan
    joint = _core.mean_l2(fi._core, fj._core, actions._core, used)
    mean_abs, rms = columns["mean_abs"][list(used)], columns["rms"][list(used)]
    interval = (joint, joint) if actions.joint else (float(np.hypot.reduce(mean_abs)), float(np.hypot.reduce(rms)))
    mean = float(mean_abs.mean()) if used else float("nan")
    reason = "" if actions.joint else "mean_l2 needs joint rows; the sample gives one law per channel"
    return Drift(
        **columns,
        channels_used=used,
        mean=mean,
        mean_l2=joint,
        mean_l2_interval=interval,
        sample=actions.description,
        assumes=(*assumes, *more),
        reason=reason,
    )


def drift_matrix(
    specs: Sequence[Executable],
    sample: ActionSample | Sequence[ActionSample] | npt.ArrayLike,
    metric: str = "mean_abs",
    out: FloatArray | None = None,
    threads: int | None = None,
) -> FloatArray:
    """Drift of every ordered pair: entry `[i, j]` is for executing `j` where `i` was meant.

    Args:
        specs: K executables of one D.
        sample: one for all rows, or K of them, one per intended spec; an array `(..., D)` is wrapped.
        metric: one of `SEPARABLE`, giving `(K, K, D)`, or of `JOINT`, giving `(K, K)` over the channels that
            neither spec of the pair knows to be a gripper.
        out: float64 array of that shape, written in place and returned.
        threads: None chooses by size. The bits never depend on it.

    Returns:
        NaN for pairs whose declared conventions differ by more than a map, and on channels a sample excludes.

    Raises:
        ShapeMismatchError, ExecSpecError (unknown metric)
    """
    if metric not in SEPARABLE + JOINT:
        raise ExecSpecError(f"no metric {metric!r}; known: {', '.join(SEPARABLE + JOINT)}")
    if not specs:
        raise ShapeMismatchError("no specs: a matrix needs at least one")
    maps = [spec.map for spec in specs]
    cores = [m._core for m in maps]
    samples = _as_samples(sample)
    if metric == "mean_l2":
        result = _core.mean_l2_matrix(cores, [s._core for s in samples], [list(s.excluded) for s in samples], threads)
    else:
        separable = "mean_abs" if metric == "mean" else metric
        result = _core.separable_matrix(cores, [s._core for s in samples], separable, threads)
        if metric != "worst_case":
            for i in range(len(specs)):
                result[i][:, list(samples[i if len(samples) > 1 else 0].excluded)] = np.nan
        if metric == "mean":
            result = _mean_over_channels(result, maps)
    result[_conflicting(specs)] = np.nan
    if out is None:
        return result
    if not isinstance(out, np.ndarray) or out.shape != result.shape or out.dtype != np.float64:
        raise ShapeMismatchError(f"out must be a float64 array of shape {result.shape}")
    if not out.flags.writeable:
        raise DTypeError("out is read-only")
    np.copyto(out, result)
    return out


def _mean_over_channels(matrix: FloatArray, maps: Sequence[Unnormalizer]) -> FloatArray:
    counted = np.array([[d not in (m.gripper or ()) for d in range(m.dim)] for m in maps], np.bool_)
    weights = (counted[:, None, :] & counted[None, :, :]) & ~np.isnan(matrix)
    total = np.where(weights, matrix, 0.0).sum(axis=-1)
    number = weights.sum(axis=-1)
    return np.asarray(np.where(number > 0, total / np.maximum(number, 1), np.nan))


def _channels_used(
    fi: Unnormalizer, fj: Unnormalizer, sample: ActionSample, channels: Sequence[int] | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    if channels is not None:
        wrong = [c for c in channels if c not in range(fi.dim) or not isinstance(c, int | np.integer)]
        if wrong:
            raise ShapeMismatchError(f"channel {wrong[0]} does not exist; the specs have channels 0 to {fi.dim - 1}")
        return tuple(channels), ()
    grippers = {c for f in (fi, fj) for c in f.gripper or ()}
    used = tuple(c for c in range(fi.dim) if c not in grippers and c not in sample.excluded)
    unknown = fi.gripper is None and fj.gripper is None
    return used, ("gripper channel unknown: all channels are averaged",) if unknown else ()


def _limited(unnormalizer: Unnormalizer, limits: tuple[npt.ArrayLike, npt.ArrayLike] | None) -> Unnormalizer:
    if limits is None:
        return unnormalizer
    low, high = (np.asarray(limit, np.float64) for limit in limits)
    if not {low.shape, high.shape} <= {(), (unnormalizer.dim,)}:
        raise ShapeMismatchError(
            f"limits have shapes {low.shape} and {high.shape}, the specs {unnormalizer.dim} channels"
        )
    return unnormalizer.then(ops.stage(unnormalizer.dim, ops.OpKind.CLIP, low, high))


def _as_sample(sample: Any) -> ActionSample:
    return sample if isinstance(sample, ActionSample) else ActionSample(sample)


def _as_samples(samples: Any) -> list[ActionSample]:
    listed = isinstance(samples, list | tuple) and bool(samples) and all(isinstance(s, ActionSample) for s in samples)
    return list(samples) if listed else [_as_sample(samples)]


def _conventions(x: Executable) -> Conventions | None:
    found = getattr(x, "conventions", None)
    return found if isinstance(found, Conventions) else None


def _compare(intended: Executable, executed: Executable) -> tuple[tuple[str, ...], tuple[str, ...]]:
    a, b = _conventions(intended), _conventions(executed)
    return compare(a, b) if a and b else ((), ())


def _conflicting(specs: Sequence[Executable]) -> npt.NDArray[np.bool_]:
    """`(K, K)`: both declare a convention that is not a map, and declare it differently."""
    result = np.zeros((len(specs), len(specs)), np.bool_)
    for name in NOT_MAPS:
        facts = [getattr(_conventions(spec), name, None) for spec in specs]
        values = [fact.value if fact and fact.status == "declared" else None for fact in facts]
        codes = {value: k for k, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
        label = np.array([codes.get(value, -1) for value in values])
        known = label >= 0
        result |= known[:, None] & known[None, :] & (label[:, None] != label[None, :])
    return result
