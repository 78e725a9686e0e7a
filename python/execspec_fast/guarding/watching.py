"""`WatchLimits`: what a watch holds an outgoing command against, in the command's own space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import GuardError
from ..stats import FloatArray
from .given import BY_USER, NOT_CHECKED, bounds, limit, seconds
from .image import MAX_CHANNELS, QUANTITIES, WATCH_NUMBERS, Watched, WatchedChannel

Order = Literal["position", "velocity"]
ORDERS: tuple[Order, ...] = ("position", "velocity")
LEAST = 1e-100
"""Of acceleration and jerk; from a smaller one, the sums of a ramp would overflow."""


@dataclass(frozen=True, eq=False)
class WatchLimits:
    """Limits of the command a controller is sent at its own rate. None: that quantity is not checked.

    Attributes:
        names: of the channels, `(D,)`, whose number and order need not be the policy's.
        unit: of a position, `(D,)` or one for all; velocity has it per second, and so on.
        position: low and high, each a number or `(D,)`; where commands are velocities, of what they add up to.
        velocity, acceleration, jerk: largest absolute value, a number or `(D,)`, per s, s^2, s^3.
        order: what a command is.
        max_age: seconds a command may be old.
        max_dt: seconds that may lie between two commands.
        stops: whether the watch writes a ramp to a stand under these limits; else it only gives verdicts.
        source: where these numbers are from.

    Raises:
        GuardError: a bad limit, none at all, or a stop without an acceleration to brake with.
    """

    names: tuple[str, ...]
    unit: str | tuple[str, ...] = ""
    position: tuple[npt.ArrayLike, npt.ArrayLike] | None = None
    velocity: npt.ArrayLike | None = None
    acceleration: npt.ArrayLike | None = None
    jerk: npt.ArrayLike | None = None
    order: Order = "position"
    max_age: float | None = None
    max_dt: float | None = None
    stops: bool = False
    source: str = BY_USER

    def __post_init__(self) -> None:
        if not _texts(self.names) or not all(self.names):
            raise GuardError(f"a watch needs the names of its channels, a tuple of text, got {self.names!r}")
        if len({*self.names}) < len(self.names):
            raise GuardError(f"the channels of a watch have names of their own, got {self.names!r}")
        if len(self.names) > MAX_CHANNELS:
            raise GuardError(f"{len(self.names)} channels of the watch; it takes {MAX_CHANNELS}")
        if not isinstance(self.unit, str) and not _texts(self.unit):
            raise GuardError(f"the unit of a position is text, one for all channels or a tuple, got {self.unit!r}")
        if not isinstance(self.unit, str) and len(self.unit) != len(self.names):
            raise GuardError(f"{len(self.unit)} units for {len(self.names)} channels of the watch")
        if self.order not in ORDERS:
            raise GuardError(f"order {self.order!r}: a command is one of {', '.join(ORDERS)}")
        if not isinstance(self.stops, bool):
            raise GuardError(f"stops must be true or false, got {self.stops!r}")
        table = self.table
        if np.isinf(table).all():
            raise GuardError("a watch without any limit of position, velocity, acceleration or jerk watches nothing")
        for name, rates in zip(QUANTITIES[2:], table[3:], strict=True):
            for d in np.flatnonzero(rates < LEAST)[:1]:
                raise GuardError(f"channel {self.names[d]}: {name} = {rates[d]:.9g} is below {LEAST:g}, no robot's")
        if self.stops and np.isinf(table[3]).any():
            raise GuardError("a watch that stops needs a finite acceleration for every channel, to brake with")
        seconds("max_age", self.max_age)
        seconds("max_dt", self.max_dt)

    @property
    def table(self) -> FloatArray:
        """`(5, D)`: low, high, velocity, acceleration, jerk; infinite where not checked."""
        rest = [limit(name, getattr(self, name), self.names) for name in QUANTITIES[1:]]
        return np.stack([*bounds("position", self.position, self.names), *rest])

    def watched(self) -> Watched:
        """As an image holds it, each limit with its source."""
        units = (self.unit,) * len(self.names) if isinstance(self.unit, str) else self.unit
        sources = {name: self._source(name) for name in QUANTITIES}
        rows = [dict(zip(WATCH_NUMBERS, row, strict=True)) for row in self.table.T.tolist()]
        age, dt = self._source("max_age"), self._source("max_dt")
        return Watched(
            tuple(
                WatchedChannel(name, unit, sources, limits)
                for name, unit, limits in zip(self.names, units, rows, strict=True)
            ),
            ORDERS.index(self.order),
            self.stops,
            seconds("max_age", self.max_age),
            seconds("max_dt", self.max_dt),
            age if age == dt else f"max_age: {age}, max_dt: {dt}",
        )

    def _source(self, name: str) -> str:
        return NOT_CHECKED if getattr(self, name) is None else self.source


def _texts(given: object) -> bool:
    return isinstance(given, list | tuple) and bool(given) and all(isinstance(one, str) for one in given)
