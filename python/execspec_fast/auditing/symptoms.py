"""What a health rule may look at, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import Severity
from ..ops import OpFlag
from ..profile import Profile
from ..stats import BoolArray, FloatArray, NormStats

INTERVALS = (("q01", "q99"), ("min", "max"), ("q10", "q90"))
"""The figures a profile can decode [-1, 1] to."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What a rule sees on one key.

    Attributes:
        headline: what is wrong, in words that are the same for every key that shows it.
        fix: the next step, one sentence.
        channels: where; empty for all of them.
        numbers: the figures that show it, in words.
        evidence: the same for machines.
    """

    severity: Severity
    headline: str
    fix: str
    channels: tuple[int, ...] = ()
    numbers: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """What a rule may look at: one key's figures, the un-normalizer that reads them (None if unknown), its gripper."""

    stats: NormStats
    profile: Profile | None = None
    gripper: tuple[int, ...] = ()

    @property
    def active(self) -> BoolArray:
        """(D,): channels that the un-normalizer scales; one that honours the mask passes the others through."""
        honoured = self.profile is None or self.profile.mask
        return self.stats.mask if self.stats.mask is not None and honoured else np.ones(self.stats.dim, np.bool_)

    @property
    def partial(self) -> bool:
        """Whether the key may be one part of a robot, which may rest while others move: GR00T has keys by part."""
        return self.profile is not None and self.profile.ecosystem == "gr00t"

    @property
    def needs(self) -> tuple[str, ...]:
        return self.profile.needs if self.profile else ()

    @property
    def interval(self) -> tuple[str, str] | None:
        """The two figures that -1 and 1 decode to, for a profile that decodes to an interval."""
        return next((pair for pair in INTERVALS if set(pair) <= set(self.needs)), None)

    @cached_property
    def width(self) -> FloatArray | None:
        """The scale the un-normalizer reads, `hi - lo` or `std`; None if there is none or it is not finite."""
        if not all(name in self.stats and np.isfinite(self.stats[name]).all() for name in self.needs):
            return None
        if self.interval:
            return self.stats[self.interval[1]] - self.stats[self.interval[0]]
        return self.stats["std"] if "std" in self.needs else None

    @cached_property
    def gain(self) -> FloatArray:
        """Units of `u` that training sees per unit of `a`; 0 where the forward map clips, or is unknown."""
        if self.profile is None or not self.profile.training.amplifies or self.width is None:
            return np.zeros(self.stats.shape)
        guarded = (self.profile.flags & OpFlag.EPS_IF_ZERO) != 0
        width = np.where(guarded & (self.width != 0), self.width, self.width + self.profile.training.eps)
        with np.errstate(divide="ignore"):
            return (2.0 if self.interval else 1.0) / width

    @property
    def spread(self) -> FloatArray:
        """How far the data move on each channel, as far as is known: the std, else half of the largest range."""
        if "std" in self.stats:
            return np.where(self.stats["std"] != 0, self.stats["std"], self.half_range)
        return self.half_range

    @property
    def half_range(self) -> FloatArray:
        """Half of the largest published range; 0 where none is published."""
        pairs = [(lo, hi) for lo, hi in INTERVALS if lo in self.stats and hi in self.stats]
        halves = [(self.stats[hi] - self.stats[lo]) / 2 for lo, hi in pairs]
        return np.asarray(np.max(halves or [np.zeros(self.stats.shape)], axis=0))

    @property
    def largest(self) -> FloatArray:
        """The largest magnitude of any figure of each channel."""
        return np.asarray(np.max([np.abs(self.stats[name]) for name in self.stats], axis=0))
