"""What an audit asks of every checkpoint alike: with which actions, sent to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..actions import Actions
from ..agreement import Agreement, agree
from ..controller import Controller
from ..deployment import deploy, misfit, scripted
from ..errors import ExecSpecError
from ..motion import summary
from ..sample import ActionSample
from ..spec import ExecSpec
from .siblings import rank


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

    def takes(self, spec: ExecSpec) -> Controller | None:
        """What `spec` is sent to; None if no controller is named, or none that can be meant for this action."""
        return None if self.controller is None or misfit(spec, self.controller) else self.controller

    def unfit(self, specs: Sequence[ExecSpec]) -> str:
        """Why the controller can be meant for none of these; empty if it can, if none is named, or for no specs."""
        why = [misfit(spec, self.controller) for spec in specs] if self.controller else []
        return why[0] if why and all(why) else ""

    def motion(self, spec: ExecSpec) -> dict[str, Any] | None:
        """What `spec` makes the robot do, as `Summary.to_dict` and the controller's name; None as `takes`."""
        controller = self.takes(spec)
        if controller is None:
            return None
        return {"controller": controller.name, **summary(deploy(spec, controller), self.sample(spec)).to_dict()}

    def agreement(self, spec: ExecSpec) -> tuple[Agreement, ...]:
        """C1 to C9 of `spec` and the controller; none if no controller is named."""
        if self.controller is None:
            return ()
        return agree(scripted(spec, self.controller), self.controller, self.sample(spec))

    def siblings(
        self,
        specs: Sequence[ExecSpec],
        shadowed: Sequence[ExecSpec],
        intended: Sequence[ExecSpec],
        limits: Mapping[str, float] | None = None,
    ) -> dict[str, Any] | None:
        """The wrong keys, as `Siblings.to_dict`; None if nothing is intended that can run. `limits` as in `rank`."""
        return rank(specs, shadowed, intended, self.sample, self.takes, limits).to_dict() if intended else None
