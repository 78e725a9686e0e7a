"""What an audit asks of every checkpoint alike: with which actions, sent to what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..actions import Actions
from ..agreement import Agreement, agree, infer_gripper
from ..client import client_ops
from ..controller import Controller
from ..conventions import declared
from ..deployment import Deployment, summary
from ..errors import ExecSpecError
from ..profiles import find_profile
from ..sample import ActionSample
from ..spec import ExecSpec
from .siblings import ends, rank
from .units import Units, takes

OPEN_X = ("openvla", "openvla-oft")
"""Ecosystems whose rollout scripts `client_ops` knows."""


@dataclass(frozen=True, eq=False)
class Question:
    """How drift is measured and read.

    Attributes:
        actions: physical actions to integrate over, for specs of their width; None for the published figures.
        controller: what the actions are sent to, None if unknown.
    """

    actions: Actions | None = None
    controller: Controller | None = None

    @cached_property
    def plain(self) -> list[Any]:
        """All that an answer depends on beside the files, JSON-serializable."""
        import hashlib

        actions = self.actions and [self.actions.source, hashlib.sha256(self.actions.values.tobytes()).hexdigest()]
        return [actions, self.controller and self.controller.to_dict()]

    def sample(self, spec: ExecSpec) -> ActionSample:
        """The normalized actions `spec` is executed with: the given ones, else those behind its figures.

        Figures that make no distribution (decreasing quantiles) leave a uniform one, which its description says.
        """
        if self.actions is not None and self.actions.values.shape[-1] == spec.dim:
            return ActionSample.from_physical(self.actions.values, spec, self.actions.description)
        try:
            return ActionSample.from_stats(spec)
        except ExecSpecError:
            return ActionSample.uniform(spec.dim)

    def units(self, spec: ExecSpec) -> Units:
        """What the drift of `spec` is read in: what the controller makes of it, if it can be its controller."""
        rate = (self.controller and self.controller.rate.value) or spec.conventions.rate.value
        return Units.of(np.abs(ends(spec)).max(axis=0), self.controller, rate)

    def motion(self, spec: ExecSpec) -> dict[str, Any] | None:
        """What `spec` makes the robot do, as `Summary.to_dict` and the controller's name.

        None if no controller is named, or this cannot be its action.
        """
        reach = np.abs(ends(spec)).reshape(-1, spec.stats.dim).max(axis=0)
        if self.controller is None or not takes(self.controller, reach):
            return None
        found = summary(Deployment(_sent(spec, self.controller), self.controller), self.sample(spec))
        return {"controller": self.controller.name, **found.to_dict()}

    def agreement(self, spec: ExecSpec) -> tuple[Agreement, ...]:
        """C1 to C9 of `spec` and the controller; none if no controller is named."""
        if self.controller is None:
            return ()
        return agree(_sent(spec, self.controller), self.controller, self.sample(spec))

    def siblings(
        self, specs: Sequence[ExecSpec], shadowed: Sequence[ExecSpec], intended: Sequence[ExecSpec]
    ) -> dict[str, Any] | None:
        """The wrong keys, as `Siblings.to_dict`; None if nothing is intended that can run."""
        return rank(specs, shadowed, intended, self.sample).to_dict(self.units) if intended else None


def at_rate(controller: Controller | None, rate: float | None, where: str) -> Controller | None:
    """The controller at `rate` Hz, which `where` says; as it is if nothing does.

    Raises:
        ExecSpecError: a rate without a controller, which would change nothing; or one that is not positive.
    """
    if rate is None:
        return controller
    if controller is None:
        raise ExecSpecError(
            f"{where}: {rate:g} Hz, and no controller that runs at it; name one, by file or name (--controller, "
            "or controller in [[deployment]])"
        )
    if not 0 < rate < math.inf:
        raise ExecSpecError(f"{where}: {rate:g} Hz is no rate; name actions per second")
    return replace(controller, rate=declared(rate, where))


def _sent(spec: ExecSpec, controller: Controller) -> ExecSpec:
    """`spec` with the client ops of the script that runs such policies on this controller, where one is known."""
    if find_profile(spec.profile).ecosystem not in OPEN_X or infer_gripper(spec).value is None:
        return spec
    return replace(spec, post=client_ops(controller.name, spec.dim, spec.gripper or ()))
