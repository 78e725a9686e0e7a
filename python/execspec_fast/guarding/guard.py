"""`Guard`: the gate in Python. A step is a call into C++; what it found is told in words afterwards."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Self, Unpack

from .. import _core
from ..errors import GuardWarning
from ..spec import ExecSpec
from ..unnormalizer import Unnormalizer
from .banner import banner
from .build import Options, guard_image
from .explanation import Explanation, explanations, of_gate
from .image import GuardImage
from .layout import read, write
from .status import Fault, Verdict


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which keys explain the latest steps.

    Attributes:
        keys: those that explain every step of the segment, the declared one first; more than one cannot be told apart.
        steps: of the segment, which begins anew with a step that only other keys explain.
        segments: so far; more than one means that the key has changed, or an action was not the policy's.
        best: the key of the smallest worst residual.
        worst: that residual, in tolerances; at most 1 where it explains.
        runner_up: the nearest key that is ruled out; None if none is.
        margin: its worst residual, in tolerances.
    """

    keys: tuple[str, ...]
    steps: int
    segments: int
    best: str
    worst: float
    runner_up: str | None
    margin: float

    @property
    def none(self) -> bool:
        """Whether none of them explains what was seen."""
        return self.steps > 0 and not self.keys

    def __str__(self) -> str:
        if not self.steps:
            return "nothing seen yet"
        seen = f"{self.steps:,} step{'s' * (self.steps > 1)}"
        if self.none:
            return f"none of these keys, over {seen}; {self.best} is nearest, {self.worst:.3g} tolerances off"
        ruled = f"; {self.runner_up} is ruled out by {self.margin:.3g} tolerances" if self.runner_up else ""
        return f"{' or '.join(self.keys)}, over {seen}{ruled}"


@dataclass(frozen=True, slots=True)
class Worst:
    """How near a channel came to a limit: 1 is at the limit."""

    value: float
    channel: str


@dataclass(frozen=True, slots=True)
class Counters:
    """What a guard has counted since it was made.

    Attributes:
        steps: calls of `step`, `tick` and `accept`.
        refused: those that were not to be executed.
        overshoots: values outside the envelope, within the margin.
        run: steps with faults, up to now without a clean one between.
        faults: steps by fault, those that occurred.
        envelope, jump, walk: the nearest that any channel came to each limit.
    """

    steps: int
    refused: int
    overshoots: int
    run: int
    faults: dict[Fault, int]
    envelope: Worst
    jump: Worst
    walk: Worst


class Guard(_core.Gate):
    """Checks every action before it moves a robot: that it is what the spec makes of u, and within limits.

    A guard belongs to the thread that first steps it. `step(u, a)`, `tick()` and `accept(u, a)` return the faults as an
    int, 0 for a clean step; `verdict` says what to do: 0 execute, 1 `hold`, 2 stop. Arrays are of the guard's own
    dtypes, contiguous, and never converted. A copy or a pickle is of its image alone: it starts as a new guard does,
    with nothing seen and nothing latched.

    Args:
        spec: what is audited, or a bare `Unnormalizer`.
        given: limits, mode and the rest, by name: see `guarding.build.guard_image`.

    Raises:
        GuardError: a bad limit, or one that is missing.
    """

    def __new__(cls, spec: ExecSpec | Unnormalizer, **given: Unpack[Options]) -> Self:
        return super().__new__(cls, write(guard_image(spec, **given)))

    @classmethod
    def from_image(cls, image: bytes) -> Self:
        """The guard of an image, as `execspec guard build` and `Guard.image` make it.

        Raises:
            FormatError: truncated, damaged, of another byte order or version, or malformed.
        """
        return super().__new__(cls, image)

    @cached_property
    def contents(self) -> GuardImage:
        """What it checks, as plain data."""
        return read(self.image)

    @property
    def verdict(self) -> Verdict:
        """Of the last call that judged."""
        return Verdict(super().verdict)

    @property
    def counters(self) -> Counters:
        """What was counted so far."""
        plain: dict[str, Any] = super().counters
        names = [channel.name for channel in self.contents.channels]
        for name in ("envelope", "jump", "walk"):
            value, d = plain.pop(f"worst_{name}")
            plain[name] = Worst(value, names[d])
        faults = {Fault(1 << bit): count for bit, count in enumerate(plain.pop("faults")) if count}
        return Counters(**plain, faults=faults)

    @property
    def evidence(self) -> Attribution:
        """Which of the declared spec and its siblings explains the latest steps."""
        plain: dict[str, Any] = super().evidence
        names = [one.name for one in self.contents.candidates]
        keys = tuple(names[k] for k in plain["explaining"])
        ruled = len(keys) < len(names) and plain["steps"] > 0
        return Attribution(
            keys,
            plain["steps"],
            plain["segments"],
            names[plain["best"]],
            plain["worst"],
            names[plain["runner_up"]] if ruled else None,
            plain["margin"],
        )

    def explain(self, mask: int) -> tuple[Explanation, ...]:
        """The latest occurrence of every fault in a mask that a step returned."""
        record: Callable[[int], Any] = self.record
        return tuple(explanations(mask, record, partial(of_gate, self.contents)))

    def banner(self) -> str:
        """Mode, spec, stage and every limit with its source, as text to print at the start."""
        return banner(self.contents)

    def announce(self, faults: int) -> None:
        """Called in mode `warn` by the first step of a run of faults."""
        warnings.warn("; ".join(map(str, self.explain(faults))), GuardWarning, stacklevel=2)

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_image, (type(self), self.image)

    def __repr__(self) -> str:
        image = self.contents
        return f"Guard({image.spec!r}, mode={image.mode.name.lower()!r}, stage={image.stage!r}, dim={image.dim})"


def _from_image(cls: type[Guard], image: bytes) -> Guard:
    return cls.from_image(image)
