"""What a robot's controller does to an action: the scale from the numbers it is sent to metres and radians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .conventions import UNKNOWN, Fact
from .errors import ShapeMismatchError
from .stats import FloatArray


@dataclass(frozen=True, eq=False)
class Controller:
    """One controller of a robosuite robot.

    It clips an input to `[input_min, input_max]` and maps that interval linearly to `[output_min, output_max]`:
    `scale = |output_max - output_min| / |input_max - input_min|` (robosuite `Controller.scale_action`).
    An absolute position target (`delta` false) is neither clipped nor scaled.

    Attributes:
        name: robosuite's type, `OSC_POSE`, `JOINT_VELOCITY`, …
        part: the body part it drives in a composite file (`arms/right`), else empty.
        input_min, input_max, output_min, output_max: shape `(D,)`, or `(1,)` where the file gives one number
            for however many joints the robot has.
        unit: unit of every output channel, as many as the arrays are long.
        delta: whether an output is added to the robot's position; False for a position, velocity or torque target.
        frame: axes a delta is expressed in, `base` or `world`.
        rotation: how three rotation channels are read.
    """

    name: str
    part: str
    input_min: FloatArray
    input_max: FloatArray
    output_min: FloatArray
    output_max: FloatArray
    unit: tuple[str, ...]
    delta: Fact[bool] = UNKNOWN
    frame: Fact[str] = UNKNOWN
    rotation: Fact[str] = UNKNOWN

    @property
    def scales(self) -> bool:
        """Whether the linear map runs: always, but for an absolute pose or joint position."""
        return self.delta.value is not False or self.unit[0] not in ("m", "rad")

    @property
    def scale(self) -> FloatArray:
        """Output units per unit of action, shape as `input_min`; 1 where the controller does not scale."""
        if not self.scales:
            return np.ones_like(self.input_min)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.abs(self.output_max - self.output_min) / np.abs(self.input_max - self.input_min))

    def units_of(self, dim: int) -> tuple[FloatArray, tuple[str, ...]]:
        """Scale `(dim,)` and units of an action of `dim` channels: this controller's, then a gripper command.

        robosuite appends one gripper channel to an arm's own; it keeps scale 1 and unit `1`. A controller given
        by one number per figure drives `dim - 1` joints.

        Raises:
            ShapeMismatchError: the action has neither `D` nor `D + 1` channels.
        """
        scale, unit = self.scale, self.unit
        if len(scale) == 1 and dim > 1:
            scale, unit = np.repeat(scale, dim - 1), unit * (dim - 1)
        if dim not in (len(scale), len(scale) + 1):
            raise ShapeMismatchError(
                f"controller {self.name} takes {len(scale)} channels, or {len(scale) + 1} with a gripper; "
                f"the action has {dim}: name the controller this action is sent to"
            )
        gripper = dim - len(scale)
        return np.append(scale, np.ones(gripper)), unit + ("1",) * gripper
