"""`Deployment`: policy spec, client ops and controller as one map, from what a policy emits to what a robot does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from . import _core, ops
from .controller import Controller, Gripper
from .conventions import Conventions, Fact, declared
from .drift import drift
from .ops import OpKind, OpTable
from .sample import ActionSample
from .spec import ExecSpec
from .stats import FloatArray
from .unnormalizer import Unnormalizer

T = TypeVar("T")
OPENING = "opening"
"""Unit of a gripper channel whose reading is known: 1 is open, -1 closed."""
DRAWS = 10_000
"""Rows drawn where a sample has none."""


@dataclass(frozen=True, eq=False)
class Deployment:
    """One policy on one robot. Wherever arithmetic wants a spec, a deployment serves too (`.map`).

    Attributes:
        spec: the policy, its `post` included.
        controller: what its action is sent to.

    Raises:
        ShapeMismatchError: the controller does not take an action of that width.
    """

    spec: ExecSpec
    controller: Controller

    def __post_init__(self) -> None:
        self.controller.layout(self._width)

    @property
    def dim(self) -> int:
        return self.spec.dim

    @cached_property
    def command(self) -> Unnormalizer:
        """From `u` to what the controller is sent: the spec's ops, then its `post`."""
        own = self.spec.map
        return own if self.spec.post is None else own.then(self.spec.post)

    @cached_property
    def reaction(self) -> Unnormalizer:
        """From the policy's own action `a` to what the robot does: `post`, then the controller."""
        own = self._controller_ops
        return Unnormalizer(own if self.spec.post is None else np.concatenate([self.spec.post, own]))

    @cached_property
    def map(self) -> Unnormalizer:
        """From `u` to what the robot does per step, in `units`: the command, the input clip, the output scale.

        For analysis: the ops are exact, and not literally those of the controller's code.
        """
        return self.command.then(self._controller_ops)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of every channel of `map`; `opening` for a gripper whose reading is known."""
        _, units = self.controller.units_of(self._width)
        layout = self.controller.layout(self._width)
        known = self.controller.gripper.value is not None
        return tuple(OPENING if k < 0 and known else unit for k, unit in zip(layout, units, strict=True)) * self._steps

    @property
    def grippers(self) -> tuple[int, ...]:
        """Channels that the controller takes for grippers."""
        return tuple(int(d) for d in np.flatnonzero(np.tile(self.controller.layout(self._width) < 0, self._steps)))

    @property
    def rate(self) -> Fact[float]:
        """Actions per second: the controller's, else what the checkpoint says."""
        return _first(self.controller.rate, self.spec.conventions.rate)

    @cached_property
    def conventions(self) -> Conventions:
        """What the numbers of `map` mean: the controller's word where it has one, else the policy's."""
        spec, controller = self.spec.conventions, self.controller
        return replace(
            spec,
            rotation=_first(controller.rotation, spec.rotation),
            frame=_first(controller.frame, spec.frame),
            units=declared(self.units[: self._width], controller.source),
            rate=self.rate,
            controller=declared(controller.name, "deployed"),
        )

    @cached_property
    def _controller_ops(self) -> OpTable:
        return _physical(self.controller, self._width, self._steps)

    @property
    def _width(self) -> int:
        return self.spec.stats.dim

    @property
    def _steps(self) -> int:
        return self.spec.steps or 1


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
        assumes: what the figures leave out or take for granted, one sentence each.
    """

    saturation: FloatArray
    motion: FloatArray
    units: tuple[str, ...]
    saturated: int | None
    translation: tuple[float, float] | None
    rotation: float | None
    rate: float | None
    sample: str
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
            "assumes": list(self.assumes),
        }


def saturation(deployment: Deployment, sample: ActionSample) -> FloatArray:
    """`(D,)`: the share of the sample whose command lies outside the controller's input range, ends not counted.

    Exact: the mass where the piecewise-affine command is beyond a limit. NaN on channels the sample excludes.

    Raises:
        ShapeMismatchError: a sample of another width.
    """
    controller, width, steps = deployment.controller, deployment._width, deployment._steps
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
    arm = [d for d in range(deployment.dim) if d not in deployment.grippers]
    worst = max(arm, key=lambda d: (np.nan_to_num(share[d]), -d), default=None)
    still = Unnormalizer(ops.stage(deployment.dim, OpKind.LINEAR, 0.0, 0.0))
    metres, radians = ([d for d in arm if units[d] == unit and d not in sample.excluded] for unit in ("m", "rad"))
    first = metres if deployment._steps == 1 else metres[: len(metres) // deployment._steps]
    moved = drift(still, deployment, sample, channels=first)
    return Summary(
        saturation=share,
        motion=moved.mean_abs,
        units=units,
        saturated=worst if worst is not None and share[worst] > 0 else None,
        translation=moved.mean_l2_interval if first and delta else None,
        rotation=float(moved.mean_abs[radians].mean()) if radians and delta else None,
        rate=deployment.rate.value,
        sample=sample.description,
        assumes=tuple(_assumes(deployment, sample)),
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


def _first(fact: Fact[T], otherwise: Fact[T]) -> Fact[T]:
    return otherwise if fact.status == "unknown" else fact


def _assumes(deployment: Deployment, sample: ActionSample) -> list[str]:
    controller = deployment.controller
    found = [f"{remark.value} ({remark.why})" for remark in controller.remarks]
    if controller.beyond.value == "project":
        found.append("a command outside its range is shortened: motion is an upper bound there")
    if controller.beyond.status == "unknown" and controller.scales:
        found.append("what happens to a command outside its range is unknown: it is counted and passed on")
    if controller.delta.value is not True:
        what = "absolute" if controller.delta.value is False else "perhaps absolute"
        found.append(f"actions are {what} targets: motion per step depends on the robot's state")
    if controller.gripper.value is None and deployment.grippers:
        found.append("how the controller reads the gripper is unknown: its command is compared as it is")
    if deployment._steps > 1:
        found.append(f"the length of a step is that of the first of {deployment._steps} in a chunk")
    found += [f"channel {d} is left out: {why}" for d, why in sample.excluded.items()]
    return found


def _physical(controller: Controller, width: int, steps: int) -> OpTable:
    """The controller's ops, `(stages, steps * width)`: clip, scale, gripper reading."""
    layout = controller.layout(width)
    arm, own = layout >= 0, (controller.input_min, controller.input_max, controller.scale, controller.offset)
    low, high, scale, offset = (controller.spread(values, 0.0, width) for values in own)
    stages = [ops.stage(width, OpKind.LINEAR, scale, offset, where=arm)]
    if controller.beyond.value == "clip":
        stages.insert(0, ops.stage(width, OpKind.CLIP, low, high, where=arm))
    gripper = controller.gripper.value
    if gripper is not None:
        stages += [ops.stage(width, kind, *p, where=~arm) for kind, p in _opening(gripper)]
    return np.tile(np.concatenate(stages), (1, steps))


def _opening(gripper: Gripper) -> list[tuple[OpKind, tuple[float, ...]]]:
    """From a gripper command to an opening: 1 open, -1 closed."""
    if gripper.reading == "switch":
        side = 1.0 if gripper.open > gripper.closed else -1.0
        return [(OpKind.STEP, (gripper.threshold, -side, gripper.tie, side))]
    return [(OpKind.CLIP, gripper.range), (OpKind.TO_ENDPOINT, (gripper.closed, gripper.open))]


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
