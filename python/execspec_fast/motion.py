"""What a deployment makes a robot do with a sample of actions: how often it saturates, how far it moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core, ops
from .deployment import Deployment, doubt
from .drift import drift
from .ops import OpKind
from .sample import ActionSample
from .stats import FloatArray
from .unnormalizer import Unnormalizer

DRAWS = 10_000
"""Rows drawn where a sample has none."""


@dataclass(frozen=True, eq=False)
class Summary:
    """What a deployment makes a robot do with a sample of actions.

    Attributes:
        saturation: `(D,)`, share of the actions outside the controller's input range; NaN where the sample says
            nothing, 0 where there is no range.
        motion: `(D,)`, mean |a| in `units`: per step for a delta, of the target itself where it is none.
        units: as `Deployment.units`.
        saturated: the arm channel that is outside most often, None if none ever is.
        translation: mean length of a step, m, as bounds; equal where the sample has joint rows. None where the
            controller adds no metres to the robot's position.
        rotation: mean |a| over the channels in rad per step, None where it adds no radians.
        rate: steps per second, None if unknown.
        sample: what the actions are.
        caveats: what the words of this summary take for granted, one sentence each.
        assumes: what its figures leave out beside that.
    """

    saturation: FloatArray
    motion: FloatArray
    units: tuple[str, ...]
    saturated: int | None
    translation: tuple[float, float] | None
    rotation: float | None
    rate: float | None
    sample: str
    caveats: tuple[str, ...]
    assumes: tuple[str, ...]

    def __str__(self) -> str:
        """`channel 2 saturates 3.1 % of the time; moves 6 mm per step, 12 cm/s; …`"""
        parts = ["never saturates"]
        if self.saturated is not None:
            parts = [f"channel {self.saturated} saturates {_percent(self.saturation[self.saturated])} of the time"]
        if self.translation is not None:
            parts.append(f"moves {_span(self.translation, 1000, 'mm')} per step")
            if self.rate is not None:
                parts[-1] += f", {_span(self.translation, 100 * self.rate, 'cm/s')}"
        if self.rotation is not None:
            degrees = math.degrees(self.rotation)
            parts.append(f"turns {_two(degrees)} deg per step and {'axis' if self.translation else 'joint'}")
            if self.rate is not None:
                parts[-1] += f", {_two(degrees * self.rate)} deg/s"
        return "; ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable, SI units per step; None for what is not known."""
        return {
            "text": str(self),
            "saturation": [_number(x) for x in self.saturation],
            "motion": [_number(x) for x in self.motion],
            "units": list(self.units),
            "translation": None if self.translation is None else list(self.translation),
            "rotation": self.rotation,
            "rate": self.rate,
            "sample": self.sample,
            "caveats": list(self.caveats),
            "assumes": list(self.assumes),
        }


def saturation(deployment: Deployment, sample: ActionSample) -> FloatArray:
    """`(D,)`: the share of the sample whose command lies outside the controller's input range, ends not counted.

    Exact: the mass where the piecewise-affine command is beyond a limit. NaN on channels the sample excludes.

    Raises:
        ShapeMismatchError: a sample of another width.
    """
    controller, width, steps = deployment.controller, deployment.width, deployment.steps
    gripper = controller.gripper.value
    ends = gripper.range if gripper else (-math.inf, math.inf)
    low, high = (
        np.tile(controller.spread(own, end, width), steps)
        for own, end in zip((controller.input_min, controller.input_max), ends, strict=True)
    )
    share = _core.outside(deployment.command._core, sample._core, low.tolist(), high.tolist())
    share[list(sample.excluded)] = np.nan
    return share


def summary(deployment: Deployment, sample: ActionSample) -> Summary:
    """Saturation and motion of a deployment over a sample of normalized actions.

    Raises:
        ShapeMismatchError: a sample of another width.
    """
    units, delta = deployment.units, deployment.controller.delta.value
    share = saturation(deployment, sample)
    arm = deployment.arm
    worst = max(arm, key=lambda d: (np.nan_to_num(share[d]), -d), default=None)
    still = Unnormalizer(ops.stage(deployment.dim, OpKind.LINEAR, 0.0, 0.0))
    metres, radians = ([d for d in arm if units[d] == unit and d not in sample.excluded] for unit in ("m", "rad"))
    first = metres if deployment.steps == 1 else metres[: len(metres) // deployment.steps]
    moved = drift(still, deployment, sample, channels=first)
    saturated = worst if worst is not None and share[worst] > 0 else None
    return Summary(
        saturation=share,
        motion=moved.mean_abs,
        units=units,
        saturated=saturated,
        translation=moved.mean_l2_interval if first and delta else None,
        rotation=float(moved.mean_abs[radians].mean()) if radians and delta else None,
        rate=deployment.rate.value,
        sample=sample.description,
        caveats=tuple(_caveats(deployment, sample, saturated is not None, bool(first and delta))),
        assumes=tuple(_assumes(deployment)),
    )


def rotations(deployment: Deployment, sample: ActionSample) -> tuple[FloatArray, str]:
    """The rotations of a sample as three numbers in rad, `(N, 3)`, and what the rows are; no rows without a pose.

    Where the sample gives one law per channel, independent draws from them.
    """
    units = deployment.units
    turning = [d for d, unit in enumerate(units) if unit == "rad"]
    if "m" not in units or len(turning) % 3 or any(d in sample.excluded for d in turning):
        return np.empty((0, 3)), sample.description
    if not sample.joint:
        sample = sample.independent(DRAWS)
    rows = np.asarray(sample._core.rows)
    return deployment.map(rows)[:, turning].reshape(-1, 3), sample.description


def _caveats(deployment: Deployment, sample: ActionSample, saturates: bool, moves: bool) -> Iterator[str]:
    controller = deployment.controller
    if words := doubt(deployment):
        yield words
    if controller.delta.value is not True:
        what = "absolute" if controller.delta.value is False else "perhaps absolute"
        yield f"actions are {what} targets: motion per step depends on the robot's state"
    if saturates and controller.beyond.value == "project":
        yield "a command outside its range is shortened: motion is an upper bound there"
    if saturates and controller.beyond.status == "unknown":
        yield "what happens to a command outside its range is unknown: it is counted and passed on"
    if moves and deployment.steps > 1:
        yield f"the length of a step is that of the first of {deployment.steps} in a chunk"
    channels = ", ".join(map(str, sample.excluded))
    if channels:
        yield f"left out are channels {channels}: {next(iter(sample.excluded.values()))}"


def _assumes(deployment: Deployment) -> Iterator[str]:
    controller = deployment.controller
    yield from (f"{remark.value} ({remark.why})" for remark in controller.remarks)
    if controller.gripper.value is None and deployment.grippers:
        yield "how the controller reads the gripper is unknown: its command is compared as it is"


def _number(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def _span(bounds: tuple[float, float], factor: float, unit: str) -> str:
    low, high = (_two(factor * bound) for bound in bounds)
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _percent(share: float) -> str:
    """An epsilon of an un-normalizer reaches past a limit too."""
    return "under 0.01 %" if share < 1e-4 else f"{_two(100 * share)} %"


def _two(x: float) -> str:
    """Two digits, without an exponent for what a robot can do."""
    return f"{float(f'{x:.2g}'):g}"
