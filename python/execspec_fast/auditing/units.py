"""What a drift is read in: the unit of the action itself, or what a controller makes of it in one step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..deployment import OPENING, Deployment
from ..stats import FloatArray

ACTION_UNITS = "controller units"
"""Unit of an action whose controller is not known: whatever number the controller is sent."""

GRIPPER = "gripper"
"""Of a gripper: the share of its way from closed to open."""

PLAIN = {
    "m": (1000.0, "mm"),
    "rad": (180 / math.pi, "deg"),
    "rad/s": (180 / math.pi, "deg/s"),
    "N m": (1.0, "N m"),
    OPENING: (0.5, GRIPPER),
}
"""Units people read, with how many of them the unit of a deployment is."""

READ = tuple(name for _, name in PLAIN.values())


@dataclass(frozen=True, eq=False)
class Units:
    """How to read the drift of one action.

    Attributes:
        factor: `(D,)`, read units per unit of what the controller is sent; of an opening for a gripper.
        names: unit of every channel after that, empty for a channel that has none (a gripper nobody knows to read).
        controller: what makes these of an action, empty if unknown.
    """

    factor: FloatArray
    names: tuple[str, ...]
    controller: str = ""

    @classmethod
    def of(cls, deployment: Deployment) -> Units:
        """What its controller makes of an action in one step."""
        scale, _ = deployment.controller.units_of(deployment.width)
        known = [PLAIN.get(unit, (0.0, "")) for unit in deployment.units]
        factor = np.tile(scale, deployment.steps) * np.array([factor for factor, _ in known])
        return cls(factor, tuple(name for _, name in known), deployment.controller.name)

    @classmethod
    def plain(cls, dim: int) -> Units:
        """Action units, for an action whose controller is not known."""
        return cls(np.ones(dim), (ACTION_UNITS,) * dim)

    def read(self, drift: FloatArray, channels: Sequence[int]) -> dict[str, float]:
        """Unit to the mean of `drift` (`(D,)`, in controller units) over those channels that have it.

        Grippers are read beside them, whether they are among `channels` or not; channels of which `drift` says nothing
        are left out.
        """
        read: dict[str, float] = {}
        chosen = [d for d, name in enumerate(self.names) if name == GRIPPER or (name and d in channels)]
        for unit in dict.fromkeys(self.names[d] for d in chosen):
            values = [drift[d] * self.factor[d] for d in chosen if self.names[d] == unit and not np.isnan(drift[d])]
            if values:
                read[unit] = float(np.mean(values))
        return read

    def share(self, drift: FloatArray, channels: Sequence[int], limits: Mapping[str, float]) -> float:
        """The largest share of a limit that a drift reaches, by unit; NaN if it says nothing of one of them."""
        read = self.read(drift, channels)
        if not set(limits) <= set(read):
            return math.nan
        return max(read[unit] / limit if limit else math.inf for unit, limit in limits.items())
