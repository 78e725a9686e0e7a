"""What a certificate states, as plain data: specifications, the sample, and one comparison per pair.

A number that is infinite or not defined is None, and its field's name leads to the reason in `undefined`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _core
from ..bounds import drift_bounds
from ..conventions import compare
from ..drift import SEPARABLE, drift
from ..errors import ExecSpecError, ShapeMismatchError
from ..mismatch import mismatch
from ..ops import OpDType, OpKind, OpTable
from ..sample import ActionSample
from ..spec import ExecSpec
from ..stats import FloatArray
from .policy import Policy

Limits = tuple[FloatArray, FloatArray]

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


def comparison(
    intended: ExecSpec, executed: ExecSpec, sample: ActionSample, policy: Policy, limits: Limits | None
) -> dict[str, Any]:
    """Everything found of executing one spec where the other was meant, with the verdict.

    Raises:
        ShapeMismatchError: specs, sample or limits of different D.
    """
    if intended.dim != executed.dim:
        raise ShapeMismatchError(
            f"{intended.name} has {intended.dim} channels and {executed.name} {executed.dim}: "
            "actions of different width cannot be compared"
        )
    assumes, conflicts = compare(intended.conventions, executed.conventions)
    barred = "; ".join(conflicts)
    same_post = _same(intended.post, executed.post)
    if not same_post:
        conflicts += ("the clients run different ops after the un-normalizer",)
    found = drift(intended, executed, sample)
    bounds = drift_bounds(intended, executed)
    transform = mismatch(intended, executed)
    saturation = None if limits is None else [_saturation(spec, sample, limits) for spec in (intended, executed)]
    channels = []
    for d, name in enumerate(intended.channels):
        why: dict[str, str] = {}
        known = np.nan if barred else 1.0  # no map of single channels leads from one to the other
        channel = {
            "name": name,
            "scale": _number(known * transform.scale[d], why, "scale", barred or transform.reason[d]),
            "offset": _number(known * transform.offset[d], why, "offset", barred or transform.reason[d]),
            "invertible": not barred and bool(transform.invertible[d]),
            **{
                metric: _number(getattr(found, metric)[d], why, metric, sample.excluded.get(d) or found.reason)
                for metric in SEPARABLE
            },
            "mean_abs_low": _number(known * bounds.lower[d], why, "mean_abs_low", barred),
            "mean_abs_high": _number(known * bounds.upper[d], why, "mean_abs_high", barred),
            "bounds_from": bounds.reason[d] or "the published figures",
            "saturation": None
            if saturation is None
            else [_number(side[d], why, "saturation", sample.excluded.get(d, "")) for side in saturation],
            "undefined": why,
        }
        channels.append(channel)
    outside = np.flatnonzero((found.mean_abs < bounds.lower) | (found.mean_abs > bounds.upper))
    if outside.size:
        listed = ", ".join(intended.channels[d] for d in outside)
        assumes += (f"the sample is not the distribution behind the figures: its mean is out of bounds on {listed}",)
    why = {}
    joint = [_number(x, why, "mean_l2_interval", found.reason) for x in found.mean_l2_interval]
    result = {
        "executed": specification(executed),
        "channels": channels,
        "channels_used": list(found.channels_used),
        "mean": _number(found.mean, why, "mean", found.reason or "no channel is averaged"),
        "mean_l2": _number(found.mean_l2, why, "mean_l2", found.reason),
        "mean_l2_interval": joint,
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


def _saturation(spec: ExecSpec, sample: ActionSample, limits: Limits) -> FloatArray:
    share = _core.outside(spec.map._core, sample._core, *(limit.tolist() for limit in limits))
    share[list(sample.excluded)] = np.nan
    return share


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
