"""`GuardImage`: everything a gate and a watch check, as plain data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..ops import OpDType, OpTable, describe
from ..stats import FloatArray
from .status import Mode

MAX_CHANNELS, MAX_ROWS, MAX_STAGES, MAX_LATCH, MAX_SIBLINGS = 64, 1024, 64, 1_000_000, 64

COLUMNS = (
    "scale", "offset", "floor", "ceiling", "near", "tolerance", "low", "high", "margin", "middle", "inverse", "jump",
    "walk",
)  # fmt: skip
"""Numbers per column, `step * D + channel`; what each is stands in the C++ header."""
LINES = ("scale", "offset", "floor", "ceiling", "evidence")
SOURCES = ("envelope", "tolerance", "jump", "walk")
QUANTITIES = ("position", "velocity", "acceleration", "jerk")
WATCH_NUMBERS = ("low", "high", *QUANTITIES[1:])


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of the action.

    Attributes:
        relative: whether it is a delta, held by zero; else it is held by the last action.
        values: the commands of a gripper; empty where its envelope is all that is known.
        sources: by name of `SOURCES`, where its numbers are from.
    """

    name: str
    unit: str
    relative: bool
    values: tuple[float, ...]
    sources: dict[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the keys that attribution tells apart; `digest` in hexadecimal digits."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class WatchedChannel:
    """One channel of the outgoing command.

    Attributes:
        unit: of a position.
        sources: by name of `QUANTITIES`, where its limits are from.
        limits: by name of `WATCH_NUMBERS`, per second and so on; infinite where not checked.
    """

    name: str
    unit: str
    sources: dict[str, str]
    limits: dict[str, float]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watch checks.

    Attributes:
        order: 0 if commands are positions, 1 if velocities.
        stops: whether it writes a stop.
        max_age, max_dt: seconds; infinite where not checked.
        source: of these two.
    """

    channels: tuple[WatchedChannel, ...]
    order: int
    stops: bool
    max_age: float
    max_dt: float
    source: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for a limit that is not there."""
        channels = [
            {**asdict(channel), "limits": {name: _finite(x) for name, x in channel.limits.items()}}
            for channel in self.channels
        ]
        ages = {"max_age": _finite(self.max_age), "max_dt": _finite(self.max_dt)}
        return {**asdict(self), **ages, "channels": channels}


@dataclass(frozen=True, eq=False)
class GuardImage:
    """What a guard checks, as plain data.

    Attributes:
        spec: name of the spec.
        digest: its, in hexadecimal digits.
        stage: where `a` is taken, `unnormalized` or `command`.
        source: the certificate it was built from, or `user`.
        mode: what faults do.
        channels: of one action, `(D,)`.
        ops: from u to a at that stage, shape `(stages, T * D)`; T is 1 where figures have no time steps.
        columns: `(len(COLUMNS), T, D)`.
        candidates: the spec first, then its siblings.
        lines: of each as clamped lines, `(T * D, len(LINES), candidates)`.
        u_dtype, a_dtype: in which the ops begin, and to which their result is rounded.
        latch: so many soft faults within so many steps latch.
        max_age: of an action in seconds; infinite where not checked.
        watch: None where commands are not watched.
    """

    spec: str
    digest: str
    stage: str
    source: str
    mode: Mode
    channels: tuple[Channel, ...]
    ops: OpTable
    columns: FloatArray
    candidates: tuple[Candidate, ...]
    lines: FloatArray
    u_dtype: OpDType
    a_dtype: OpDType
    latch: tuple[int, int]
    max_age: float
    max_age_source: str
    watch: Watched | None

    @property
    def dim(self) -> int:
        return len(self.channels)

    @property
    def steps(self) -> int:
        """Time steps of the figures; 1 where every row of a chunk is treated alike."""
        return int(self.columns.shape[1])

    def column(self, name: str) -> FloatArray:
        """`(T, D)`, one of `COLUMNS`."""
        return np.asarray(self.columns[COLUMNS.index(name)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for a limit that is not there. Columns are by channel, one number per time step."""
        plain = {name: getattr(self, name) for name in ("spec", "digest", "stage", "source")}
        return {
            **plain,
            "mode": self.mode.name.lower(),
            "u_dtype": self.u_dtype.name.lower(),
            "a_dtype": self.a_dtype.name.lower(),
            "steps": self.steps,
            "latch": list(self.latch),
            "max_age": _finite(self.max_age),
            "max_age_source": self.max_age_source,
            "candidates": [asdict(one) for one in self.candidates],
            "channels": [
                {
                    **asdict(channel),
                    **{name: [_finite(x) for x in self.column(name)[:, d].tolist()] for name in COLUMNS},
                    "ops": list(describe(self.ops[:, d :: self.dim])),
                }
                for d, channel in enumerate(self.channels)
            ],
            "watch": self.watch and self.watch.to_dict(),
        }


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None
