"""`Controller`: what a robot does with the action it is sent, from its input range to metres and radians."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .conventions import UNKNOWN, Fact, declared
from .errors import ExecSpecError, ShapeMismatchError
from .stats import FloatArray

GIVEN = "the rate given"
"""What says the rate of a controller, where it is an argument."""

GripperReading = Literal["position", "speed", "switch"]


@dataclass(frozen=True, slots=True)
class Gripper:
    """How a controller reads a gripper channel.

    Attributes:
        reading: `position` (anything between open and closed, clipped), `speed` (the same of its motion), or
            `switch` (the side of a threshold).
        open, closed: the commands that mean fully open and fully closed.
        threshold, tie: of a switch; `tie` is the opening (-1 closed, 1 open, 0 neither) that the threshold means.
    """

    reading: GripperReading
    open: float
    closed: float
    threshold: float = 0.0
    tie: float = 0.0

    @property
    def range(self) -> tuple[float, float]:
        """The commands it does not clip."""
        if self.reading == "switch":
            return -math.inf, math.inf
        return min(self.open, self.closed), max(self.open, self.closed)


@dataclass(frozen=True, eq=False)
class Controller:
    """One controller of a robot, for an action of `arms` times (its own channels, then perhaps a gripper).

    It maps `[input_min, input_max]` linearly to `[output_min, output_max]`:
    `scale = |output_max - output_min| / |input_max - input_min|` (robosuite `Controller.scale_action`).
    An input without limits (all four infinite) is passed through.

    Attributes:
        name: as users call it, or robosuite's type: `OSC_POSE`, `JOINT_VELOCITY`, …
        input_min, input_max, output_min, output_max: shape `(D,)`, or `(1,)` where one number stands for however
            many joints the robot has.
        unit: unit of every output channel, as many as the arrays are long.
        part: the body part it drives in a composite file (`arms/right`), else empty.
        source: where the ranges are written.
        sha256: of the file it was read from; empty if it is one of the table.
        beyond: what happens to an input outside its range: `clip`, `project` (the vector is shortened) or `pass`.
        delta: whether an output is added to a state; False for a position, velocity or torque target.
        reference: that state: `achieved`, `last_target` or `chunk_start`.
        frame: axes a delta is expressed in, `base`, `world` or `tool`.
        rotation: how three rotation channels are read, as in `rotation.READINGS`.
        gripper: how the gripper channels are read; unknown also where no map of that channel alone says it.
        rate: actions per second, Hz.
        names: of all channels, in order.
        remarks: what it also does that is no map of single channels.
    """

    name: str
    input_min: FloatArray
    input_max: FloatArray
    output_min: FloatArray
    output_max: FloatArray
    unit: tuple[str, ...]
    part: str = ""
    source: str = ""
    sha256: str = ""
    beyond: Fact[str] = UNKNOWN
    delta: Fact[bool] = UNKNOWN
    reference: Fact[str] = UNKNOWN
    frame: Fact[str] = UNKNOWN
    rotation: Fact[str] = UNKNOWN
    gripper: Fact[Gripper] = UNKNOWN
    rate: Fact[float] = UNKNOWN
    names: Fact[tuple[str, ...]] = UNKNOWN
    remarks: tuple[Fact[str], ...] = ()
    arms: int = 1

    @property
    def scales(self) -> bool:
        """Whether the linear map runs: always, but for an input without limits."""
        return bool(np.isfinite(self.input_max).all())

    @property
    def scale(self) -> FloatArray:
        """Output units per unit of action, shape as `input_min`; 1 where the controller does not scale."""
        if not self.scales:
            return np.ones_like(self.input_min)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.abs(self.output_max - self.output_min) / np.abs(self.input_max - self.input_min))

    @property
    def offset(self) -> FloatArray:
        """Output of a zero action, in output units, shape as `input_min`."""
        if not self.scales:
            return np.zeros_like(self.input_min)
        return np.asarray((self.output_min + self.output_max - self.scale * (self.input_min + self.input_max)) / 2)

    @property
    def unscaled(self) -> Controller:
        """The same controller told in its own input units: what it takes of an action, and nothing of its scale."""
        return replace(self, output_min=self.input_min, output_max=self.input_max)

    def layout(self, dim: int) -> npt.NDArray[np.intp]:
        """Which of its own channels each channel of an action `(dim,)` is; -1 for a gripper.

        A controller given by one number per figure drives all joints of an arm but the last, which is the gripper.

        Raises:
            ShapeMismatchError: the action does not have `arms` times `D` or `D + 1` channels.
        """
        own = self.input_min.size
        width, rest = divmod(dim, self.arms)
        joints = width - 1 if own == 1 and width > 1 else own
        if rest or width not in (joints, joints + 1):
            takes = f"{own * self.arms} channels, or {(own + 1) * self.arms} with a gripper"
            takes += f" for each of {self.arms} arms" if self.arms > 1 else ""
            raise ShapeMismatchError(
                f"controller {self.name} takes {takes}; the action has {dim}: "
                "name the controller this action is sent to"
            )
        arm = np.zeros(joints, np.intp) if own == 1 else np.arange(own)
        return np.tile(np.append(arm, [-1] * (width - joints)).astype(np.intp), self.arms)

    def spread(self, own: FloatArray, gripper: float, dim: int) -> FloatArray:
        """`own`, a number per channel of its own, on each channel of an action `(dim,)`; `gripper` on the others."""
        layout = self.layout(dim)
        return np.where(layout < 0, gripper, own[layout])

    def units_of(self, dim: int) -> tuple[FloatArray, tuple[str, ...]]:
        """Scale `(dim,)` and units of an action of `dim` channels; a gripper command keeps scale 1 and unit `1`.

        Raises:
            ShapeMismatchError: as `layout`.
        """
        units = tuple("1" if k < 0 else self.unit[k] for k in self.layout(dim))
        return self.spread(self.scale, 1.0, dim), units

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for a limit that is not there."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @property
    def meaning(self) -> dict[str, Any]:
        """What it does, and not how that is known: `to_dict` without name, places and remarks, of facts the values."""
        places = ("name", "part", "source", "sha256", "remarks")
        plain = {name: value for name, value in self.to_dict().items() if name not in places}
        return {name: value["value"] if isinstance(value, dict) else value for name, value in plain.items()}


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


def _plain(value: Any) -> Any:
    match value:
        case Fact():
            return {"value": _plain(value.value), "status": value.status, "why": value.why}
        case Gripper():
            return asdict(value)
        case np.ndarray():
            return [x if math.isfinite(x) else None for x in value.tolist()]
        case tuple():
            return [_plain(item) for item in value]
    return value
