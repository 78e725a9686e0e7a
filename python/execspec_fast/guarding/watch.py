"""`Watch`: the watch in Python. A step is a call into C++; what it found is told in words afterwards."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, cast

from .. import _core
from ..errors import GuardError, GuardWarning, TargetNotFoundError
from .banner import banner_of_watch
from .explanation import Explanation, explanations, of_watch
from .guard import Guard, Worst
from .image import QUANTITIES, GuardImage, Watched
from .layout import read, write
from .status import Fault, Verdict


@dataclass(frozen=True, slots=True)
class WatchCounters:
    """What a watch has counted since it was made.

    Attributes:
        steps: calls of `step`.
        refused: those that were not to be executed.
        run: steps with faults, up to now without a clean one between.
        faults: steps by fault, those that occurred.
        position, velocity, acceleration, jerk: the nearest that any channel came to each limit.
    """

    steps: int
    refused: int
    run: int
    faults: dict[Fault, int]
    position: Worst
    velocity: Worst
    acceleration: Worst
    jerk: Worst


class Watch(_core.Watch):
    """Holds every command of a control loop against limits of position, velocity, acceleration and jerk.

    A watch belongs to the thread that first steps it. `step(command, dt)` takes the outgoing command, `(D,)` float64 in
    its own space, and the seconds since the one before; it returns the faults as an int, 0 for a clean step. `verdict`
    says what to do: 0 send it, 1 hold, 2 stop. Rates are differences of commands, so say first where the robot stands,
    `start(position)`, and `executed(command, dt)` where something else ran. A command of another dtype or shape is an
    error and no step.

    With limits that have `stops=True`, `writes` is true and there is a command to send in the place of a refused one:
    `stop(out, dt)` writes the next of a ramp to a stand, until `at_rest`. Without, there are verdicts only, and the
    loop stops the robot. A copy or a pickle is of its image alone: it starts as a new watch does.

    Args:
        image: a `Guard` that was given `watch=WatchLimits(...)`, its image, or the file of one.

    Raises:
        GuardError: an image without limits of a watch.
        FormatError: truncated, damaged, of another byte order or version, or malformed.
        TargetNotFoundError: no such file.
    """

    def __new__(cls, image: Guard | GuardImage | bytes | str | os.PathLike[str]) -> Self:
        return super().__new__(cls, _bytes(image))

    @cached_property
    def contents(self) -> GuardImage:
        """All of its image, as plain data."""
        return read(self.image)

    @cached_property
    def limits(self) -> Watched:
        """What it checks, as plain data."""
        return cast("Watched", self.contents.watch)  # C++ opens none without

    @property
    def verdict(self) -> Verdict:
        """Of the last call that judged."""
        return Verdict(super().verdict)

    @property
    def counters(self) -> WatchCounters:
        """What was counted so far."""
        plain: dict[str, Any] = super().counters
        del plain["overshoots"]  # within a margin, of which a watch has none
        for name in QUANTITIES:
            value, d = plain.pop(f"worst_{name}")
            plain[name] = Worst(value, self.limits.channels[d].name)
        faults = {Fault(1 << bit): count for bit, count in enumerate(plain.pop("faults")) if count}
        return WatchCounters(**plain, faults=faults)

    def explain(self, mask: int) -> tuple[Explanation, ...]:
        """The latest occurrence of every fault in a mask that a step returned.

        The position or velocity of a watch that writes may be one that a stop from there would have come to.
        """
        record: Callable[[int], Any] = self.record
        return tuple(explanations(mask, record, partial(of_watch, self.limits)))

    def banner(self) -> str:
        """Mode, spec, whether it writes, and every limit with its source, as text to print at the start."""
        return banner_of_watch(self.contents, self.limits)

    def announce(self, faults: int) -> None:
        """Called in mode `warn` by the first step of a run of faults."""
        warnings.warn("; ".join(map(str, self.explain(faults))), GuardWarning, stacklevel=2)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.image,)

    def __repr__(self) -> str:
        mode = self.contents.mode.name.lower()
        return f"Watch({self.contents.spec!r}, mode={mode!r}, writes={self.writes}, dim={len(self.limits.channels)})"


def _bytes(image: Guard | GuardImage | bytes | str | os.PathLike[str]) -> bytes:
    if isinstance(image, Guard):
        return image.image
    if isinstance(image, GuardImage):
        return write(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if not isinstance(image, str | os.PathLike):
        raise GuardError(
            f"a watch is made of a guard or its image, got {type(image).__name__}: "
            "Watch(Guard(spec, watch=WatchLimits(names, ...)))"
        )
    try:
        data = Path(image).read_bytes()
    except FileNotFoundError:
        raise TargetNotFoundError(f"no such guard image: {image}") from None
    read(data, str(image))  # an error that names the file
    return data
