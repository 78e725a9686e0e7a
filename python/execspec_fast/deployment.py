"""`Deployment`: policy spec, client ops and controller as one map, from what a policy emits to what a robot does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from . import ops
from .client import client_ops
from .controller import Controller, Gripper
from .conventions import Conventions, Fact, declared
from .errors import ShapeMismatchError
from .inference import ends, infer_gripper
from .ops import OpKind, OpTable
from .profiles import find_profile
from .spec import ExecSpec
from .stats import FloatArray
from .unnormalizer import Unnormalizer

T = TypeVar("T")
OPENING = "opening"
"""Unit of a gripper channel whose reading is known: 1 is open, -1 closed."""

BEYOND = 10.0
"""A range this many times larger, or smaller, than the controller's input range is in another unit."""


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
        self.controller.layout(self.width)

    def running(self, other: ExecSpec) -> Deployment:
        """The same client and controller with another spec, as when a wrong key is named.

        Raises:
            ShapeMismatchError: a spec of another width.
        """
        return replace(self, spec=replace(other, post=self.spec.post))

    @property
    def dim(self) -> int:
        return self.spec.dim

    @property
    def width(self) -> int:
        """Channels of one time step."""
        return self.spec.stats.dim

    @property
    def steps(self) -> int:
        """Time steps that one action holds."""
        return self.spec.steps or 1

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

        For analysis: the ops are exact, and not literally those of the controller's code. Its grippers are the
        controller's, whatever the policy calls one.
        """
        whole = self.command.then(self._controller_ops)
        return Unnormalizer(whole.table(), domain=whole.domain, gripper=self.grippers)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of every channel of `map`; `opening` for a gripper whose reading is known."""
        _, units = self.controller.units_of(self.width)
        layout = self.controller.layout(self.width)
        known = self.controller.gripper.value is not None
        return tuple(OPENING if k < 0 and known else unit for k, unit in zip(layout, units, strict=True)) * self.steps

    @property
    def grippers(self) -> tuple[int, ...]:
        """Channels that the controller takes for grippers."""
        return tuple(int(d) for d in np.flatnonzero(np.tile(self.controller.layout(self.width) < 0, self.steps)))

    @property
    def arm(self) -> tuple[int, ...]:
        """All other channels."""
        return tuple(d for d in range(self.dim) if d not in self.grippers)

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
            gripper=declared(tuple(d for d in self.grippers if d < self.width), controller.source),
            units=declared(self.units[: self.width], controller.source),
            rate=self.rate,
            controller=declared(controller.name, "deployed"),
        )

    @property
    def limits(self) -> FloatArray:
        """`(D,)`: how far the input goes either way; inf where nothing limits it, and for grippers.

        A joint that is told where to go, without a range, turns half a circle, more or less.
        """
        controller = self.controller
        limit = np.maximum(np.abs(controller.input_min), np.abs(controller.input_max))
        if not controller.scales and controller.delta.value is False and controller.unit[0] == "rad":
            limit = np.full(limit.size, math.pi)
        return np.tile(controller.spread(limit, math.inf, self.width), self.steps)

    @property
    def reach(self) -> FloatArray:
        """`(D,)`: how far the policy's action goes at `u` = -1 or 1, either way."""
        return np.asarray(np.abs(ends(self.spec)).max(axis=0))

    @cached_property
    def _controller_ops(self) -> OpTable:
        return _physical(self.controller, self.width, self.steps)


def scripted(spec: ExecSpec, controller: Controller) -> ExecSpec:
    """`spec` with the client ops of the script that runs such policies on this controller, where one is known.

    A `post` that it has already stays.
    """
    if spec.post is not None or infer_gripper(spec).value is None:
        return spec
    ecosystem = find_profile(spec.profile).ecosystem
    return replace(spec, post=client_ops(controller.name, spec.dim, spec.gripper or (), ecosystem))


def deploy(spec: ExecSpec, controller: Controller) -> Deployment:
    """A spec on a controller, with the client ops of its script.

    Raises:
        ShapeMismatchError: the controller does not take an action of that width.
    """
    return Deployment(scripted(spec, controller), controller)


def misfit(spec: ExecSpec, controller: Controller) -> str:
    """Why a controller cannot be meant for an action; empty if it can.

    It cannot, if it takes another width, moves the policy's gripper as a joint, or is sent `BEYOND` times its range.
    """
    try:
        deployment = deploy(spec, controller)
    except ShapeMismatchError as error:
        return str(error)
    if crossed := crossed_gripper(deployment):
        return crossed
    ratio = deployment.reach / deployment.limits
    d = int(np.argmax(ratio))
    if ratio[d] > BEYOND:
        return f"channel {d} reaches {deployment.reach[d]:.4g}, {ratio[d]:.3g} times what {controller.name} takes"
    return ""


def crossed_gripper(deployment: Deployment) -> str:
    """A gripper of the policy that the controller takes for part of the arm, in words; empty if there is none."""
    own = deployment.spec.conventions.gripper
    wrong = [d for d in own.value or () if d not in deployment.grippers]
    if not wrong:
        return ""
    name = deployment.controller.name
    return f"channel {wrong[0]} is the policy's gripper ({own.status}: {own.why}), and part of the arm to {name}"


def fit(deployment: Deployment) -> Fact[str]:
    """That an action is one of this controller's: as its units or channel names say, else inferred from its width."""
    said, controller = deployment.spec.conventions, deployment.controller
    if said.units.value == deployment.units[: deployment.width]:
        return Fact(controller.name, said.units.status, said.units.why)
    if said.names.value is not None and said.names.value == controller.names.value:
        return Fact(controller.name, said.names.status, said.names.why)
    return Fact(controller.name, "inferred", f"{deployment.width} channels fit, and no file says what they are")


def doubt(deployment: Deployment) -> str:
    """That joints are taken for joints on the strength of their number alone, in words; empty where more is known.

    Of a pose the gripper channel, and the reach of the others, say something too.
    """
    fits, controller = fit(deployment), deployment.controller
    if "m" in controller.unit or fits.status == "declared":
        return ""
    return f"these are the joints of {controller.name} (inferred: {fits.why})"


def _first(fact: Fact[T], otherwise: Fact[T]) -> Fact[T]:
    return otherwise if fact.status == "unknown" else fact


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
