"""Sibling keys: what else the same checkpoint could make the robot do, and how far that is from what was meant.

Only *plausible* wrong keys are ranked: those of the same width whose every channel moves within a factor of ten of
the intended one. A key that mistakes metres for millimetres is found at the first motion; one that is off by half of
the robot's reach is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..controller import Controller
from ..deployment import deploy
from ..drift import Drift, drift
from ..inference import ends
from ..matrix import drift_matrix
from ..sample import ActionSample
from ..spec import ExecSpec
from ..stats import BoolArray, FloatArray
from ..unnormalizer import Executable
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
    units: Units

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for figures that are infinite or not defined."""
        drift = self.drift
        return {
            "intended": self.intended.key,
            "executed": self.executed.key,
            "shadowed": self.shadowed,
            "controller": self.units.controller or None,
            "mean": drift.mean,
            "read": self.units.read(drift.mean_abs, drift.channels_used),
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
        nearest, worst: of the plausible pairs, the ones of smallest and largest drift; None if there is none.
        plausible, implausible: how many pairs were ranked, and how many of the same shape were not.
        equal: pairs that are one and the same spec under two names.
        other_width: pairs of different shape.
        unranked: pairs of a checkpoint with more than `MANY` keys of one shape, which nobody looked at.
    """

    nearest: Pair | None
    worst: Pair | None
    plausible: int
    implausible: int
    equal: int
    other_width: int
    unranked: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        pairs = {"nearest": self.nearest, "worst": self.worst}
        counts = ("plausible", "implausible", "equal", "other_width", "unranked")
        return {
            **{name: pair and pair.to_dict() for name, pair in pairs.items()},
            **{name: getattr(self, name) for name in counts},
        }


def rank(
    specs: Sequence[ExecSpec],
    shadowed: Sequence[ExecSpec],
    intended: Sequence[ExecSpec],
    sample_of: Callable[[ExecSpec], ActionSample],
    controller_of: Callable[[ExecSpec], Controller | None] = lambda _: None,
    limits: Mapping[str, float] | None = None,
) -> Siblings:
    """Rank every ordered pair of an intended spec and another one by their drift.

    With a controller, both run on it under the client ops of the intended one, and drift is of what it takes of them:
    its clip and its gripper included, in its input units. Without, it is of the actions.

    Args:
        specs: the keys that the checkpoint's loader finds.
        shadowed: keys that it would find if it lost another file.
        intended: the one of `specs` that is meant; where that is unknown, all that could be.
        sample_of: the normalized actions an intended spec is executed with.
        controller_of: what its actions are sent to.
        limits: accepted drift by unit: pairs are ranked by the largest share of one; else, and where one of the units
            is not read, by mean |delta| over the channels that are no gripper.
    """
    pairs: list[tuple[float, _Group, int, int]] = []
    equal = implausible = unranked = 0
    meant: dict[Any, list[ExecSpec]] = {}
    for spec in intended:
        meant.setdefault((spec.stats.shape, controller_of(spec)), []).append(spec)
    for (shape, controller), chosen in meant.items():
        alike = [spec for spec in (*specs, *shadowed) if spec.stats.shape == shape]
        if len(alike) == 1:
            continue
        if len(alike) > MANY:
            unranked += len(chosen) * (len(alike) - 1)
            continue
        group = _Group.of(alike, chosen, controller, sample_of)
        size, close = group.sizes(limits), plausible(alike)
        for i in group.samples:
            for j, executed in enumerate(alike):
                if executed.digest == alike[i].digest:
                    equal += i != j
                elif close[i, j] and math.isfinite(size[i, j]):
                    pairs.append((float(size[i, j]), group, i, j))
                else:
                    implausible += 1
    others = len(specs) + len(shadowed) - 1
    other_width = len(intended) * others - len(pairs) - implausible - equal - unranked
    pairs.sort(key=lambda pair: pair[0])
    nearest, worst = [group.pair(i, j, shadowed) for _, group, i, j in (pairs[:1] + pairs[-1:])] or (None, None)
    return Siblings(nearest, worst, len(pairs), implausible, equal, other_width, unranked)


@dataclass(frozen=True, eq=False)
class _Group:
    """Specs of one shape.

    Attributes:
        runs: what each of them makes of an action.
        samples: actions of those that are meant, by index.
        units: what their drift is read in.
    """

    specs: Sequence[ExecSpec]
    runs: Sequence[Executable]
    samples: Mapping[int, ActionSample]
    units: Units

    @classmethod
    def of(
        cls,
        specs: Sequence[ExecSpec],
        meant: Sequence[ExecSpec],
        controller: Controller | None,
        sample_of: Callable[[ExecSpec], ActionSample],
    ) -> _Group:
        samples = {i: sample_of(spec) for i, spec in enumerate(specs) if spec in meant}
        if controller is None:
            return cls(specs, specs, samples, Units.plain(meant[0].dim))
        client = deploy(meant[0], controller.unscaled)
        units = Units.of(deploy(meant[0], controller))
        return cls(specs, [client.running(spec) for spec in specs], samples, units)

    def sizes(self, limits: Mapping[str, float] | None) -> FloatArray:
        """(K, K): what pairs are ranked by; rows of specs that are not meant say nothing."""
        any_sample = next(iter(self.samples.values()))
        samples = [self.samples.get(i, any_sample) for i in range(len(self.specs))]
        if not limits or not set(limits) <= set(self.units.names):
            return drift_matrix(self.runs, samples, "mean")
        size = np.full((len(self.specs), len(self.specs)), np.nan)
        for i, row in enumerate(drift_matrix(self.runs, samples, "mean_abs")):
            if i in self.samples:
                size[i] = [self.units.share(drift, range(len(drift)), limits) for drift in row]
        return size

    def pair(self, i: int, j: int, shadowed: Sequence[ExecSpec]) -> Pair:
        found = drift(self.runs[i], self.runs[j], self.samples[i])
        return Pair(self.specs[i], self.specs[j], found, self.specs[j] in shadowed, self.units)


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
