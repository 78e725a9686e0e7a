"""What a drift is read in: the unit of the action itself, or what a controller makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..agreement import BEYOND
from ..controller import Controller
from ..errors import ShapeMismatchError
from ..stats import FloatArray

ACTION_UNITS = "controller units"
"""Unit of an action whose controller is not known: whatever number the controller is sent."""

PLAIN = {"m": (1000.0, "mm"), "rad": (180 / math.pi, "deg"), "rad/s": (180 / math.pi, "deg/s"), "N m": (1.0, "N m")}
"""Units people read, with how many of them the SI unit is."""


@dataclass(frozen=True, eq=False)
class Units:
    """How to read the drift of one action.

    Attributes:
        factor: `(D,)`, read units per unit of action.
        names: unit of every channel after that, empty for a channel that has none (a gripper command).
    """

    factor: FloatArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, reach: FloatArray, controller: Controller | None, rate: float | None = None) -> Units:
        """What a controller makes of an action that reaches `reach` (shape `(D,)`, absolute values) where u is -1 or 1.

        Action units, if no controller is named or this cannot be its action. With a rate in Hz, a controller that adds
        every action to the robot's position makes it a speed.
        """
        if controller is None or not takes(controller, reach):
            return cls(np.ones(reach.size), (ACTION_UNITS,) * reach.size)
        scale, units = controller.units_of(reach.size)
        per_second = rate if rate and controller.delta.value else None
        known = [PLAIN.get(unit, (0.0, "")) for unit in units]
        factor = scale * np.array([factor for factor, _ in known]) * (per_second or 1.0)
        return cls(factor, tuple(f"{name}/s" if name and per_second else name for _, name in known))

    def read(self, drift: FloatArray, channels: Sequence[int]) -> dict[str, float]:
        """Unit to the mean of `drift` (shape `(D,)`, in action units) over those channels that have this unit."""
        means = {}
        for name in dict.fromkeys(self.names[d] for d in channels):
            if name:
                means[name] = float(np.mean([drift[d] * self.factor[d] for d in channels if self.names[d] == name]))
        return means


def takes(controller: Controller, reach: FloatArray) -> bool:
    """Whether an action that reaches `reach`, shape `(D,)`, can be meant for a controller.

    It cannot, if it has another width, or goes `BEYOND` times further than the input that is taken.
    """
    limit = np.maximum(np.abs(controller.input_min), np.abs(controller.input_max))
    try:
        limits = controller.spread(limit, math.inf, reach.size)
    except ShapeMismatchError:
        return False
    return not (reach > BEYOND * limits).any()
