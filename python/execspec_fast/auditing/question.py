"""What an audit asks of every checkpoint alike: with which actions, in which units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..actions import Actions
from ..controllers import Controller
from ..errors import ExecSpecError
from ..sample import ActionSample
from ..spec import ExecSpec
from .siblings import ends, rank
from .units import Units


@dataclass(frozen=True, eq=False)
class Question:
    """How drift is measured and read.

    Attributes:
        actions: physical actions to integrate over, for specs of their width; None for the published figures.
        controller: what the actions are sent to, None if unknown.
        rate: actions per second in Hz, None for what a checkpoint declares.
    """

    actions: Actions | None = None
    controller: Controller | None = None
    rate: float | None = None

    @cached_property
    def plain(self) -> list[Any]:
        """All that an answer depends on beside the files, JSON-serializable."""
        import hashlib

        actions = self.actions and [self.actions.source, hashlib.sha256(self.actions.values.tobytes()).hexdigest()]
        c = self.controller
        return [actions, c and [c.name, c.scale.tolist(), c.unit, c.delta.value], self.rate]

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
        rate = self.rate or spec.conventions.rate.value
        return Units.of(np.abs(ends(spec)).max(axis=0), self.controller, rate)

    def siblings(
        self, specs: Sequence[ExecSpec], shadowed: Sequence[ExecSpec], intended: Sequence[ExecSpec]
    ) -> dict[str, Any] | None:
        """The wrong keys, as `Siblings.to_dict`; None if nothing is intended that can run."""
        return rank(specs, shadowed, intended, self.sample).to_dict(self.units) if intended else None
