"""What a certificate states, as plain data: specifications, the sample, and one comparison per pair.

A number that is infinite or not defined is None, and its field's name leads to the reason in `undefined`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from ..agreement import agree
from ..auditing.units import Units
from ..bounds import drift_bounds
from ..conventions import Conventions, compare
from ..deployment import Deployment
from ..drift import drift
from ..errors import ExecSpecError, ShapeMismatchError
from ..mismatch import mismatch
from ..motion import saturation, summary
from ..ops import OpDType, OpKind, OpTable, describe
from ..sample import ActionSample
from ..spec import ExecSpec
from ..stats import FloatArray
from ..unnormalizer import Executable, Unnormalizer
from .policy import Policy

Limits = tuple[FloatArray, FloatArray]

METRICS = ("mean_abs", "bias", "rms", "max", "worst_case")
"""Of `Drift`, by channel."""

FIGURES, UNIFORM, GIVEN = "figures", "uniform", "given"
UNBOUNDED = "infinite: nothing bounds it"


def specification(spec: ExecSpec) -> dict[str, Any]:
    """A spec with the sha256 of every file it was read from."""
    sources = {
        name: {"file": source.file, "pointer": source.pointer, "sha256": source.sha256}
        for name, source in spec.sources.items()
    }
    return {**spec.to_dict(), "sources": sources}


def choose(intended: ExecSpec, sample: ActionSample | None) -> tuple[ActionSample, str]:
    """The sample to integrate over, and its kind: `given`, or recomputable as `figures` or `uniform`."""
    if sample is not None:
        return sample, GIVEN
    try:
        return ActionSample.from_stats(intended), FIGURES
    except ExecSpecError:
        return ActionSample.uniform(intended.dim), UNIFORM


def actions(sample: ActionSample, kind: str) -> dict[str, Any]:
    """A sample, by description and by the sha256 of its rows (float64, little-endian) or of its laws."""
    import hashlib

    laws = sample._laws
    if laws is None:
        data = np.ascontiguousarray(sample._core.rows, "<f8").tobytes()
    else:
        pieces = [[law] if isinstance(law, tuple) else law for law in laws]
        data = repr([[[float(x).hex() for x in piece] for piece in law] for law in pieces]).encode()
    return {
        "kind": kind,
        "description": sample.description,
        "count": sample.count,
        "excluded": {str(channel): reason for channel, reason in sample.excluded.items()},
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def robot(deployment: Deployment | None, sample: ActionSample) -> dict[str, Any] | None:
    """What a controller makes of a spec: client ops, saturation, motion, and C1 to C9; None without one."""
    if deployment is None:
        return None
    post = deployment.spec.post
    return {
        "client": None if post is None else list(describe(post)),
        "motion": summary(deployment, sample).to_dict(),
        "agreement": [row.to_dict() for row in agree(deployment.spec, deployment.controller, sample)],
    }


@dataclass(frozen=True, eq=False)
class Side:
    """A spec, and what runs of it.

    Attributes:
        robot: with a controller, the deployment.
    """

    spec: ExecSpec
    robot: Deployment | None = None

    @property
    def post(self) -> OpTable | None:
        return (self.robot.spec if self.robot else self.spec).post

    @property
    def map(self) -> Unnormalizer:
        """From `u` to what the robot does; without a controller, to what one is sent."""
        if self.robot is not None:
            return self.robot.map
        return self.spec.map if self.post is None else self.spec.map.then(self.post)

    @property
    def conventions(self) -> Conventions:
        return self.spec.conventions if self.robot is None else self.robot.conventions

    @property
    def taken(self) -> Executable:
        """The same in controller units: means over channels want one unit."""
        if self.robot is None:
            return self
        return Deployment(self.robot.spec, self.robot.controller.unscaled)

    @property
    def units(self) -> Sequence[str | None]:
        """Unit of every channel of `map`; None where no controller says."""
        return self.robot.units if self.robot else [None] * self.spec.dim

    def saturation(self, sample: ActionSample, limits: Limits | None) -> FloatArray | None:
        """`(D,)`, share of the actions outside the limits, else the controller's input range; None without either."""
        if limits is None:
            return saturation(self.robot, sample) if self.robot else None
        share = _core.outside(self.spec.map._core, sample._core, *(limit.tolist() for limit in limits))
        share[list(sample.excluded)] = np.nan
        return share


def comparison(meant: Side, run: Side, sample: ActionSample, policy: Policy, limits: Limits | None) -> dict[str, Any]:
    """Everything found of executing one spec where the other was meant, with the verdict.

    Raises:
        ShapeMismatchError: specs, sample or limits of different D.
    """
    intended, executed = meant.spec, run.spec
    if intended.dim != executed.dim:
        raise ShapeMismatchError(
            f"{intended.name} has {intended.dim} channels and {executed.name} {executed.dim}: "
            "actions of different width cannot be compared"
        )
    assumes, conflicts = compare(meant.conventions, run.conventions)
    barred = "; ".join(conflicts)
    same_post = _same(meant.post, run.post)
    if not same_post:
        assumes += ("the clients run different ops after the un-normalizer: drift holds the difference",)
    found, whole = drift(meant, run, sample), drift(meant.taken, run.taken, sample)
    read = Units.of(meant.robot).read(whole.mean_abs, whole.channels_used) if meant.robot else None
    bounds = drift_bounds(intended, run, meant)
    transform = mismatch(intended, executed)
    shares = [side.saturation(sample, limits) for side in (meant, run)]
    channels = []
    for d, name in enumerate(intended.channels):
        why: dict[str, str] = {}
        known = np.nan if barred else 1.0  # no map of single channels leads from one to the other
        channel = {
            "name": name,
            "unit": meant.units[d],
            "scale": _number(known * transform.scale[d], why, "scale", barred or transform.reason[d]),
            "offset": _number(known * transform.offset[d], why, "offset", barred or transform.reason[d]),
            "invertible": not barred and bool(transform.invertible[d]),
            **{
                metric: _number(getattr(found, metric)[d], why, metric, sample.excluded.get(d) or found.reason)
                for metric in METRICS
            },
            "mean_abs_low": _number(known * bounds.lower[d], why, "mean_abs_low", barred),
            "mean_abs_high": _number(known * bounds.upper[d], why, "mean_abs_high", barred),
            "bounds_from": bounds.reason[d] or "the published figures",
            "saturation": [
                _number(x[d], why, "saturation", sample.excluded.get(d, "")) for x in shares if x is not None
            ]
            or None,
            "undefined": why,
        }
        channels.append(channel)
    outside = np.flatnonzero((found.mean_abs < bounds.lower) | (found.mean_abs > bounds.upper))
    if outside.size:
        listed = ", ".join(intended.channels[d] for d in outside)
        assumes += (f"the sample is not the distribution behind the figures: its mean is out of bounds on {listed}",)
    why = {}
    joint = [_number(x, why, "mean_l2_interval", whole.reason) for x in whole.mean_l2_interval]
    result = {
        "executed": specification(executed),
        "deployment": robot(run.robot, sample),
        "channels": channels,
        "channels_used": list(whole.channels_used),
        "mean": _number(whole.mean, why, "mean", whole.reason or "no channel is averaged"),
        "mean_l2": _number(whole.mean_l2, why, "mean_l2", whole.reason),
        "mean_l2_interval": joint,
        "read": read,
        "undefined": why,
        "assumes": list(dict.fromkeys((*found.assumes, *assumes))),
        "bounds_assume": list(bounds.assumptions),
        "conflicts": list(conflicts),
        "same_ops": same_post and _same(intended.table(), executed.table()),
    }
    name, reasons = policy.judge(intended, executed, result)
    return {**result, "verdict": {"name": name, "reasons": reasons}}


def nearest(comparisons: Sequence[Mapping[str, Any]]) -> int | None:
    """Index of the comparison of smallest mean drift; None if none has one."""
    known = [(each["mean"], n) for n, each in enumerate(comparisons) if each["mean"] is not None]
    return min(known)[1] if known else None


def _same(a: OpTable | None, b: OpTable | None) -> bool:
    """Whether two tables are one in bits, stages that do nothing aside."""
    if a is None or b is None:
        return a is b
    return _stripped(a) == _stripped(b)


def _stripped(table: OpTable) -> list[bytes]:
    return [
        b"".join(op.tobytes() for op in column if (op["kind"], op["dtype"]) != (OpKind.IDENTITY, OpDType.SAME))
        for column in table.T
    ]


def _number(x: float, why: dict[str, str], field: str, reason: str) -> float | None:
    if math.isfinite(x):
        return float(x)
    why[field] = UNBOUNDED if math.isinf(x) else reason or "not defined"
    return None
