"""What a number means to the robot: representation, rotation, frame, gripper, units, rate.

Each field is a `Fact`: a value with the way it is known. Unknown is a value, reported and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar

from .stats import NormStats

T = TypeVar("T")
Status = Literal["declared", "inferred", "unknown"]


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and how it is known.

    Attributes:
        value: None if and only if `status` is `unknown`.
        status: `declared` (a file or the user says so), `inferred` (a written rule gives it), `unknown`.
        why: the place for declared (`config.json#/norm_map/ACTION`), the rule for inferred.
    """

    value: T | None
    status: Status
    why: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status == "unknown"):
            raise ValueError(f"a fact is unknown exactly when it has no value, got {self.value!r} as {self.status}")

    def to_dict(self) -> dict[str, Any]:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"value": value, "status": self.status, "why": self.why}


def declared(value: T, where: str) -> Fact[T]:
    return Fact(value, "declared", where)


def inferred(value: T, rule: str) -> Fact[T]:
    return Fact(value, "inferred", rule)


UNKNOWN: Fact[Any] = Fact(None, "unknown")


@dataclass(frozen=True, slots=True)
class Conventions:
    """The conventions of one executable spec, each a `Fact`.

    Attributes:
        representation: `absolute`, `relative` (to the chunk's first state) or `delta` (to the previous step).
        rotation: `axis_angle`, `euler_xyz`, `quat_xyzw`, `rot6d_rows`, …
        frame: `base` or `tool`.
        gripper: indices of the gripper channels; an empty tuple says there is none.
        units: unit of every channel, e.g. `("m", "m", "m", "rad", "rad", "rad", "1")`.
        rate: actions per second, Hz.
        horizon: actions per predicted chunk.
        controller: name of the controller the action is an input of.
        names: channel names.
    """

    representation: Fact[str] = UNKNOWN
    rotation: Fact[str] = UNKNOWN
    frame: Fact[str] = UNKNOWN
    gripper: Fact[tuple[int, ...]] = UNKNOWN
    units: Fact[tuple[str, ...]] = UNKNOWN
    rate: Fact[float] = UNKNOWN
    horizon: Fact[int] = UNKNOWN
    controller: Fact[str] = UNKNOWN
    names: Fact[tuple[str, ...]] = UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name).to_dict() for f in fields(self)}


TWO_VALUED = 0.9
"""A channel whose std reaches this share of its half-range sits at its two ends nearly always."""


def infer_gripper(stats: NormStats) -> Fact[tuple[int, ...]]:
    """The gripper channels, by the two rules the ecosystems leave us where nothing is declared.

    Mask: the Open-X pipelines leave only the gripper unmasked (`[T x 6, F]`), so mask false means gripper.
    Two-valued: the last channel's std is at least `TWO_VALUED` of its half-range, as an open/close command's is.
    """
    if stats.mask is not None and not stats.mask.all():
        channels = tuple(int(i) for i in (~stats.mask).nonzero()[0])
        return inferred(channels, "mask is false on these channels only, and Open-X pipelines unmask the gripper only")
    bounds = next(((lo, hi) for lo, hi in (("min", "max"), ("q01", "q99")) if lo in stats and hi in stats), None)
    if bounds and "std" in stats and len(stats.shape) == 1:
        half = (float(stats[bounds[1]][-1]) - float(stats[bounds[0]][-1])) / 2
        std = float(stats["std"][-1])
        if half > 0 and std >= TWO_VALUED * half:
            return inferred((stats.dim - 1,), f"last channel is two-valued: std {std:.4g} of half-range {half:.4g}")
    return UNKNOWN


NOT_MAPS = ("rotation", "frame")
"""Conventions whose difference no map of single channels expresses: where both sides declare one, no drift exists."""


def compare(intended: Conventions, executed: Conventions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a drift figure between two specs takes for granted, and what forbids it.

    Returns:
        assumes: a sentence for each convention that is inferred, known on one side only, or different and computed
            with all the same; one more that lists those known on neither side.
        conflicts: a sentence for each convention of `NOT_MAPS` that is declared differently on the two sides.
    """
    assumes, conflicts, neither = [], [], []
    for name in (f.name for f in fields(Conventions)):
        a, b = getattr(intended, name), getattr(executed, name)
        statuses = {a.status, b.status}
        if statuses == {"unknown"}:
            neither.append(name)
        elif "unknown" in statuses:
            known, silent = (b, "intended") if a.status == "unknown" else (a, "executed")
            assumes.append(f"{name} {_words(known.value)} holds for the {silent} spec too, which does not say")
        elif a.value != b.value:
            pair = f"{name} is {_words(a.value)} as intended ({a.status}), {_words(b.value)} as executed ({b.status})"
            if name in NOT_MAPS and statuses == {"declared"}:
                conflicts.append(f"{pair}, and no per-channel map leads from one to the other")
            else:
                assumes.append(f"{pair}; their numbers are compared as they are, so that drift holds the difference")
        elif "inferred" in statuses:
            assumes.append(f"{name} {_words(a.value)} is inferred, not declared")
    if neither:
        assumes.append(f"{', '.join(neither)}: the same on both sides, neither of which says")
    return tuple(assumes), tuple(conflicts)


def _words(value: object) -> str:
    return "(" + ", ".join(map(str, value)) + ")" if isinstance(value, tuple) else str(value)
