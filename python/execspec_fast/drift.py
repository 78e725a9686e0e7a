"""Drift of a pair: by how much executing `j` where `i` was meant changes an action, exactly.

Everything is exact for the published numbers taken as exact doubles: `delta(u) = f_j(u) - f_i(u)` is piecewise
affine, and each metric is its integral against the sample (`cpp/include/execspec/drift.hpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core, arrays, ops
from .conventions import NOT_MAPS, Conventions, compare
from .errors import ShapeMismatchError
from .metric import parse_metric
from .sample import ActionSample
from .unnormalizer import Executable, Unnormalizer

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What executing one spec in place of another does to an action, per channel and over channels.

    Attributes:
        mean_abs, bias, rms, max: `(D,)` over the sample: E|delta|, E delta, sqrt(E delta^2), max|delta|;
            NaN on channels the sample excludes.
        flips, zeros: `(D,)`, how often the two actions have opposite signs, and how often one of them is zero.
        outside: `(D,)`, how often the executed action lies outside `limits`; NaN where none were given.
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
    flips: FloatArray
    zeros: FloatArray
    outside: FloatArray
    channels_used: tuple[int, ...]
    mean: float
    mean_l2: float
    mean_l2_interval: tuple[float, float]
    sample: str
    assumes: tuple[str, ...] = ()
    reason: str = ""
    _measure: Any = field(default=None, repr=False, compare=False)

    def quantile(self, p: float) -> FloatArray:
        """`(D,)`: the p-quantile of |delta|, 0 < p <= 1: the least value that a share p does not exceed.

        Raises:
            ExecSpecError: p outside (0, 1].
        """
        return self._separable(f"p{100 * p}")

    def exceeds(self, eps: float) -> FloatArray:
        """`(D,)`: P(|delta| > eps), eps >= 0.

        Raises:
            ExecSpecError: a threshold that is negative or not finite.
        """
        return self._separable(f"exceeds:{eps}")

    def quantile_l2(self, p: float) -> float:
        """The p-quantile of ||delta||_2 over `channels_used`, its maximum for p = 1; NaN where `mean_l2` is.

        Raises:
            ExecSpecError: p outside (0, 1].
        """
        metric = parse_metric(f"p{100 * p}_l2")
        return self._measure.norm(metric.kind, p, self.channels_used) if self._measure else float("nan")

    def _separable(self, name: str) -> FloatArray:
        metric = parse_metric(name)
        if self._measure is None:
            return np.full(self.mean_abs.shape, np.nan)
        return np.asarray(self._measure.separable(metric.kind, metric.parameter))


@dataclass(frozen=True)
class _Pair:
    intended: Unnormalizer
    executed: Unnormalizer
    sample: ActionSample

    def separable(self, kind: str, parameter: float = 0.0) -> FloatArray:
        out = np.empty((1, 1, self.intended.dim))
        _core.separable(out, [self.intended._core], [self.executed._core], [self.sample._core], kind, parameter, 1)
        if kind != "worst_case":
            out[..., list(self.sample.excluded)] = np.nan
        return np.asarray(out[0, 0])

    def norm(self, kind: str, parameter: float, channels: Sequence[int]) -> float:
        cores = (self.intended._core, self.executed._core, self.sample._core)
        return _core.joint_pair(*cores, list(channels), kind, parameter)

    def outside(self, executed: Unnormalizer, low: FloatArray, high: FloatArray) -> FloatArray:
        """How often an action before its clip lies outside of limits."""
        found = _core.outside(executed._core, self.sample._core, low.tolist(), high.tolist())
        found[list(self.sample.excluded)] = np.nan
        return found


def drift(
    intended: Executable,
    executed: Executable,
    sample: ActionSample | npt.ArrayLike,
    limits: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    channels: Sequence[int] | None = None,
) -> Drift:
    """Drift of executing `executed` where `intended` was meant.

    Args:
        sample: normalized actions; an array `(..., D)` is wrapped. Of one on a device all is measured there, in its
            dtype, and only the figures are fetched.
        limits: `(low, high)`, scalars or `(D,)`: a controller's clip, applied to both actions.
        channels: channels to average over, in place of those that neither spec knows to be a gripper.

    Raises:
        ShapeMismatchError: specs or sample of different D.
        ArrayError: an array that cannot be read where it lies, or that JAX traces.
    """
    bounds = None if limits is None else _limits(limits, executed.map.dim)
    fi, fj = _limited(intended.map, bounds), _limited(executed.map, bounds)
    there = arrays.elsewhere(sample, "sample")
    actions: Any = there[0].Pair.of(fi, fj, there[1]) if there else as_sample(sample)
    pair: Any = actions if there else _Pair(fi, fj, actions)
    mean_abs = pair.separable("mean_abs")  # also checks that the shapes agree
    used, assumes = _channels_used(fi, fj, actions, channels)
    more, conflicts = _compare(intended, executed)
    nan, nothing = float("nan"), np.full(fi.dim, np.nan)
    if conflicts:
        eight = (nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing)
        return Drift(*eight, used, nan, nan, (nan, nan), actions.description, more, "; ".join(conflicts))
    outside = nothing if bounds is None else pair.outside(executed.map, *bounds)
    rms = pair.separable("rms")
    joint = pair.norm("mean", 0.0, used)
    ends = (np.hypot.reduce(mean_abs[list(used)]), np.hypot.reduce(rms[list(used)]))
    return Drift(
        mean_abs=mean_abs,
        bias=pair.separable("bias"),
        rms=rms,
        max=pair.separable("max"),
        worst_case=pair.separable("worst_case"),
        flips=pair.separable("flips"),
        zeros=pair.separable("zeros"),
        outside=outside,
        channels_used=used,
        mean=sum(mean_abs[list(used)].tolist()) / len(used) if used else nan,
        mean_l2=joint,
        mean_l2_interval=(joint, joint) if actions.joint else (float(ends[0]), float(ends[1])),
        sample=actions.description,
        assumes=(*assumes, *more),
        reason="" if actions.joint else "mean_l2 needs joint rows; the sample gives one law per channel",
        _measure=pair,
    )


def _channels_used(
    fi: Unnormalizer, fj: Unnormalizer, sample: Any, channels: Sequence[int] | None
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


def _limits(limits: tuple[npt.ArrayLike, npt.ArrayLike], dim: int) -> tuple[FloatArray, FloatArray]:
    low, high = (np.asarray(limit, np.float64) for limit in limits)
    if not {low.shape, high.shape} <= {(), (dim,)}:
        raise ShapeMismatchError(f"limits have shapes {low.shape} and {high.shape}, the specs {dim} channels")
    return np.broadcast_to(low, (dim,)), np.broadcast_to(high, (dim,))


def _limited(unnormalizer: Unnormalizer, limits: tuple[FloatArray, FloatArray] | None) -> Unnormalizer:
    if limits is None:
        return unnormalizer
    return unnormalizer.then(ops.stage(unnormalizer.dim, ops.OpKind.CLIP, *limits))


def as_sample(sample: Any) -> ActionSample:
    """The sample itself; an array of normalized actions is wrapped."""
    return sample if isinstance(sample, ActionSample) else ActionSample(sample)


def conventions_of(x: Executable) -> Conventions | None:
    """What an executable declares; None for a bare map."""
    found = getattr(x, "conventions", None)
    return found if isinstance(found, Conventions) else None


def _compare(intended: Executable, executed: Executable) -> tuple[tuple[str, ...], tuple[str, ...]]:
    a, b = conventions_of(intended), conventions_of(executed)
    return compare(a, b) if a and b else ((), ())


def conflicting(intended: Sequence[Executable], executed: Sequence[Executable]) -> npt.NDArray[np.bool_]:
    """`(Ki, Kj)`: both declare a convention that is not a map, and declare it differently."""
    rows = [declared_not_maps(spec) for spec in intended]
    columns = rows if executed is intended else [declared_not_maps(spec) for spec in executed]
    result = np.zeros((len(rows), len(columns)), np.bool_)
    for here, there in zip(zip(*rows, strict=True), zip(*columns, strict=True), strict=True):
        codes = {value: code for code, value in enumerate({*here, *there} - {None})}
        if len(codes) < 2:
            continue
        i, j = (np.array([codes.get(value, -1) for value in side]) for side in (here, there))
        result |= (i[:, None] >= 0) & (j >= 0) & (i[:, None] != j)
    return result


def declared_not_maps(spec: Executable) -> tuple[Any, ...]:
    """What a spec declares of each convention that is not a map, in the order of `NOT_MAPS`; None where it does not."""
    conventions = conventions_of(spec)
    if conventions is None:
        return (None,) * len(NOT_MAPS)
    facts = [getattr(conventions, name) for name in NOT_MAPS]
    return tuple(fact.value if fact and fact.status == "declared" else None for fact in facts)
