"""Sibling keys: what else the same checkpoint could make the robot do, and how far that is from what was meant.

Only *plausible* wrong keys are ranked: those of the same width whose every channel moves within a factor of ten of
the intended one. A key that mistakes metres for millimetres is found at the first motion; one that is off by half of
the robot's reach is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..drift import Drift, drift, drift_matrix
from ..sample import ActionSample
from ..spec import ExecSpec
from ..stats import BoolArray, FloatArray
from .units import Units

PLAUSIBLE = 10.0
"""Largest ratio of ranges, per channel, at which a wrong key is mistaken for the right one."""


MANY = 1000
"""Keys of one width, above which pairs are only counted: their number, and the memory they take, grow as its square."""


@dataclass(frozen=True)
class Pair:
    """One key executed where another was meant; `shadowed`: the loader finds it only if another file is lost."""

    intended: ExecSpec
    executed: ExecSpec
    drift: Drift
    shadowed: bool

    def to_dict(self, units: Units) -> dict[str, Any]:
        """JSON-serializable; None for figures that are infinite or not defined."""
        drift = self.drift
        return {
            "intended": self.intended.key,
            "executed": self.executed.key,
            "shadowed": self.shadowed,
            "mean": drift.mean,
            "read": units.read(drift.mean_abs, drift.channels_used),
            "mean_abs": [_number(x) for x in drift.mean_abs],
            "worst_case": [_number(x) for x in drift.worst_case],
            "mean_l2_interval": [_number(x) for x in drift.mean_l2_interval],
            "channels_used": list(drift.channels_used),
            "sample": drift.sample,
            "assumes": list(drift.assumes),
        }


def _number(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


@dataclass(frozen=True)
class Siblings:
    """The wrong keys of one checkpoint.

    Attributes:
        nearest, worst: of the plausible pairs, the ones of smallest and largest mean |delta| over the channels
            that are no gripper; None if there is no plausible pair.
        plausible, implausible: how many pairs were ranked, and how many of the same D were not.
        equal: pairs that are one and the same spec under two names.
        other_width: pairs of different D.
        unranked: pairs of a checkpoint with more than `MANY` keys of one width, which nobody looked at.
    """

    nearest: Pair | None
    worst: Pair | None
    plausible: int
    implausible: int
    equal: int
    other_width: int
    unranked: int

    def to_dict(self, units: Callable[[ExecSpec], Units]) -> dict[str, Any]:
        """JSON-serializable, each pair in the units of its intended spec."""
        pairs = {"nearest": self.nearest, "worst": self.worst}
        counts = ("plausible", "implausible", "equal", "other_width", "unranked")
        return {
            **{name: pair and pair.to_dict(units(pair.intended)) for name, pair in pairs.items()},
            **{name: getattr(self, name) for name in counts},
        }


def rank(
    specs: Sequence[ExecSpec],
    shadowed: Sequence[ExecSpec],
    intended: Sequence[ExecSpec],
    sample_of: Callable[[ExecSpec], ActionSample],
) -> Siblings:
    """Rank every ordered pair of an intended spec and another one.

    Args:
        specs: the keys that the checkpoint's loader finds.
        shadowed: keys that it would find if it lost another file.
        intended: the one of `specs` that is meant; where that is unknown, all that could be.
        sample_of: the normalized actions an intended spec is executed with.
    """
    pairs: list[tuple[float, ExecSpec, ExecSpec, ActionSample]] = []
    equal = implausible = unranked = 0
    for dim in dict.fromkeys(spec.dim for spec in intended):
        group = [spec for spec in (*specs, *shadowed) if spec.dim == dim]
        if len(group) == 1:
            continue
        if len(group) > MANY:
            unranked += sum(spec in intended for spec in group) * (len(group) - 1)
            continue
        samples = {i: sample_of(spec) for i, spec in enumerate(group) if spec in intended}
        any_sample = next(iter(samples.values()))
        mean = drift_matrix(group, [samples.get(i, any_sample) for i in range(len(group))], "mean")
        close = plausible(group)
        for i, sample in samples.items():
            for j, executed in enumerate(group):
                if executed.digest == group[i].digest:
                    equal += i != j
                elif close[i, j] and math.isfinite(mean[i, j]):
                    pairs.append((float(mean[i, j]), group[i], executed, sample))
                else:
                    implausible += 1
    others = len(specs) + len(shadowed) - 1
    other_width = len(intended) * others - len(pairs) - implausible - equal - unranked
    pairs.sort(key=lambda pair: pair[0])
    nearest, worst = [
        Pair(meant, wrong, drift(meant, wrong, sample), wrong in shadowed)
        for _, meant, wrong, sample in (pairs[:1] + pairs[-1:])
    ] or (None, None)
    return Siblings(nearest, worst, len(pairs), implausible, equal, other_width, unranked)


def plausible(specs: Sequence[ExecSpec]) -> BoolArray:
    """(K, K): whether every channel that neither spec knows to be a gripper has ranges within a factor of ten.

    A channel that is constant in one spec only is never within it.
    """
    ranges = np.array([np.abs(np.diff(ends(spec), axis=0)[0]) for spec in specs])
    counted = np.array([[d not in (spec.gripper or ()) for d in range(spec.dim)] for spec in specs])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ranges[None] / ranges[:, None]
    alike = ((ratio >= 1 / PLAUSIBLE) & (ratio <= PLAUSIBLE)) | (ranges[:, None] == ranges[None])
    return np.asarray((alike | ~(counted[:, None] & counted[None])).all(axis=-1))


def ends(spec: ExecSpec) -> FloatArray:
    """(2, D): what -1 and 1 are un-normalized to."""
    return np.asarray(spec.unnormalizer(np.array([[-1.0], [1.0]]) * np.ones(spec.dim)))
