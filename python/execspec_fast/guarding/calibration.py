"""What correct episodes of a spec look like: limits on the figures of a block, and how seldom one passes them.

A block is a number of successive steps of one episode. Its figures are two per channel, the low and the high decile of
the normalized action `u` that the spec executes as what was executed: a key that shifts a channel moves both the same
way, a wider one apart, a narrower one together. The limits of a figure are its least and its largest among all blocks
of the calibration, so that a block can pass a channel's limits in four ways.

`p0` bounds the chance that a correct episode has a block beyond one limit. Steps of an episode depend on each other, so
what is counted is episodes. A limit is the largest of n, and by Wilks (1941, "Determination of sample sizes for setting
tolerance limits") the chance p that another episode passes it has `P(p > x) <= (1 - x)^n`, which is also the bound of
Clopper and Pearson (1934) for none among n. With the risk shared by all k limits, at the given confidence none of them
is passed with a chance above `p0 = 1 - ((1 - confidence) / k)^(1 / n)`.

The one assumption: the episodes of the calibration and those of a correct deployment are drawn alike and independently.
Episodes of other tasks, of another policy or of another robot are not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ExecSpecError, FormatError, ShapeMismatchError, StatsError
from ..formats import strict_json
from ..sample import ExactInverse
from ..spec import ExecSpec

FORMAT = "execspec-guard-calibration"
SCHEMA_VERSION = 1

BLOCK = 50
"""Steps of a block unless told, 2.5 s at 20 Hz. Best are several times the steps over which actions stay alike; how
many decides how soon a wrong key shows, never how often a right one is blamed."""

SHORTEST, LONGEST = 10, 1_000_000
"""Steps of a block: the fewest that have deciles, and a bound on memory."""

LARGEST_P0 = 0.5
"""Above it, an episode of which every block is wrong would not even double the evidence."""

SIDES = 4
"""Limits of one channel: two figures, each with a least and a largest."""

ROOM, ROUNDING = 1e-4, 2.0**-23
"""By how much limits are wider than what was seen, since a recording may hold actions in float32: in units of `u`, and
as a share of the channel's largest action."""

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """Least and largest of each figure of a block, in one channel, in units of `u`.

    Attributes:
        channel: its index in the spec.
        name: its name there.
    """

    channel: int
    name: str
    low_decile: Ends
    high_decile: Ends


@dataclass(frozen=True, slots=True)
class Calibration:
    """Limits of one spec, and what they rest on.

    Attributes:
        spec: its name.
        digest: its digest; limits of one spec mean nothing for another.
        block: steps of a block.
        most_blocks: the most blocks that an episode of the calibration had.
        episodes: their number.
        steps: their steps, whole blocks or not.
        confidence: that no limit is passed with a chance above `p0`.
        limits: of every channel that has an inverse, in order.
        excluded: the other channels, name to reason.
        sources: where the episodes come from.

    Raises:
        StatsError: numbers that no calibration has.
    """

    spec: str
    digest: str
    block: int
    most_blocks: int
    episodes: int
    steps: int
    confidence: float
    limits: tuple[ChannelLimits, ...]
    excluded: Mapping[str, str]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        _check(self.block, self.confidence, self.episodes, len(self.limits))
        if not self.episodes <= self.episodes * self.most_blocks <= self.episodes * (self.steps // self.block):
            raise StatsError(f"{self.steps} steps hold no {self.most_blocks} blocks of {self.block} in one episode")
        channels = [one.channel for one in self.limits]
        if channels != sorted({*channels}) or channels[0] < 0:
            raise StatsError(f"channels {channels} do not increase from 0 up")
        for one in self.limits:
            if any(least > largest for least, largest in (one.low_decile, one.high_decile)):
                raise StatsError(f"channel {one.name}: the least of a figure is above its largest")

    @property
    def count(self) -> int:
        """How many limits there are."""
        return SIDES * len(self.limits)

    @property
    def p0(self) -> float:
        """Bound on the chance that a correct episode passes a limit."""
        return -math.expm1(math.log((1 - self.confidence) / self.count) / self.episodes)

    def bounds(self) -> npt.NDArray[np.float64]:
        """The limits as float64 `(2, 2, C)`: least and largest; low and high decile; the channels of `limits`."""
        ends = [[one.low_decile, one.high_decile] for one in self.limits]
        return np.array(ends, np.float64).transpose(2, 1, 0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        return {"format": FORMAT, "schema_version": SCHEMA_VERSION, **asdict(self), "p0": self.p0}

    def to_json(self) -> bytes:
        """The bytes of a calibration file."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, file: str = "") -> Calibration:
        """Read a calibration file; `file` names it in errors.

        Raises:
            FormatError: not one, of another schema version, or with numbers that no calibration has.
        """
        plain = strict_json.loads(data, file)
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise FormatError("not a calibration; `execspec guard calibrate` makes one", file=file)
        if plain.get("schema_version") != SCHEMA_VERSION:
            why = f"schema version {plain.get('schema_version')!r}; this program reads {SCHEMA_VERSION}"
            raise FormatError(why, file=file, pointer="/schema_version")
        _hold(plain, _MEMBERS, file, "")
        for n, one in enumerate(plain["limits"]):
            _hold(one, _LIMITS, file, f"/limits/{n}")
            for name in ("low_decile", "high_decile"):
                _hold(dict(enumerate(one[name])), {0: _NUMBER, 1: _NUMBER}, file, f"/limits/{n}/{name}")
                one[name] = float(one[name][0]), float(one[name][1])
        _hold(plain["excluded"], dict.fromkeys(plain["excluded"], str), file, "/excluded")
        _hold(dict(enumerate(plain["sources"])), dict.fromkeys(range(len(plain["sources"])), str), file, "/sources")
        facts = {name: plain[name] for name in _MEMBERS if name not in ("format", "schema_version", "p0")}
        facts |= {"limits": tuple(ChannelLimits(**one) for one in plain["limits"]), "sources": tuple(plain["sources"])}
        try:
            made = cls(**facts)
        except StatsError as error:
            raise FormatError(str(error), file=file) from error
        if not math.isclose(made.p0, plain["p0"], rel_tol=1e-12):
            raise FormatError(f"{plain['p0']!r}; the other numbers give {made.p0!r}", file=file, pointer="/p0")
        return made


def calibrate(
    spec: ExecSpec,
    episodes: Sequence[npt.ArrayLike],
    *,
    block: int = BLOCK,
    confidence: float = 0.95,
    sources: Sequence[str] = (),
) -> Calibration:
    """Limits of `spec` from episodes that are known to be correct.

    Args:
        episodes: physical actions `(T, D)` of each, as executed and whole, float32 or float64.
        block: steps of a block, from 10 up.
        confidence: that no limit is passed with a chance above `p0`, in (0, 1).
        sources: where the episodes come from.

    Raises:
        ShapeMismatchError, DTypeError
        StatsError: too few episodes (says how many are needed), one shorter than a block, an action that is not finite,
            or a spec of which no channel has an inverse.
    """
    inverse = ExactInverse(spec)
    used = [d for d in range(inverse.dim) if d not in inverse.excluded]
    _check(block, confidence, len(episodes), len(used))
    normalized = [_normalized(inverse, episode, n, block) for n, episode in enumerate(episodes)]
    room = _room(inverse, np.concatenate(episodes))[used]
    figures = [deciles(u[k : k + block, used]) for u in normalized for k in range(0, len(u) - block + 1, block)]
    least, largest = np.min(figures, axis=0) - room, np.max(figures, axis=0) + room
    limits = [
        ChannelLimits(d, spec.channels[d], *((float(lo), float(hi)) for lo, hi in zip(*ends, strict=True)))
        for d, *ends in zip(used, least.T, largest.T, strict=True)
    ]
    return Calibration(
        spec=spec.name,
        digest=spec.digest,
        block=block,
        most_blocks=max(map(len, normalized)) // block,
        episodes=len(normalized),
        steps=sum(map(len, normalized)),
        confidence=confidence,
        limits=tuple(limits),
        excluded={spec.channels[d]: why for d, why in inverse.excluded.items()},
        sources=tuple(source.encode("utf-8", "backslashreplace").decode() for source in sources),
    )


def deciles(u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The figures of a block: of every channel of `(T, C)`, the values that a tenth of the steps is below and above."""
    tenth = len(u) // 10
    return np.partition(u, (tenth, len(u) - 1 - tenth), axis=0)[[tenth, -1 - tenth]]


def episodes_needed(channels: int, confidence: float) -> int:
    """The fewest episodes that bound the limits of so many channels usefully."""
    return math.ceil(math.log((1 - confidence) / (SIDES * channels)) / math.log1p(-LARGEST_P0))


def _check(block: int, confidence: float, episodes: int, channels: int) -> None:
    if not SHORTEST <= block <= LONGEST:
        raise StatsError(f"a block of {block!r} steps; it has from {SHORTEST} to {LONGEST:,}")
    if not 0 < confidence < 1:
        raise StatsError(f"confidence {confidence!r} is not between 0 and 1")
    if not channels:
        raise StatsError("no channel has an inverse, so actions say nothing of u")
    if episodes < (needed := episodes_needed(channels, confidence)):
        raise StatsError(
            f"too few correct episodes, {episodes}: limits on {channels} channels at confidence {confidence:g} need "
            f"{needed} at least; record {needed - episodes} more"
        )


def _normalized(inverse: ExactInverse, episode: npt.ArrayLike, n: int, block: int) -> npt.NDArray[np.float64]:
    if np.ndim(episode) != 2:
        raise ShapeMismatchError(f"episode {n} (from 0) has shape {np.shape(episode)}, (T, {inverse.dim}) is wanted")
    try:
        u = inverse(episode)
    except ExecSpecError as error:
        raise type(error)(f"episode {n} (from 0): {error}") from error
    if len(u) < block:
        why = f"{len(u)} steps, a block {block}; leave it out or take shorter blocks"
        raise StatsError(f"episode {n} (from 0) has {why}")
    return u


def _room(inverse: ExactInverse, a: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rounding = ROUNDING * np.abs(a).max(axis=0).astype(np.float64)
    return np.asarray(ROOM + np.abs(inverse(a + rounding) - inverse(a - rounding)).max(axis=0))


_NUMBER = int | float
_MEMBERS: Mapping[str, Any] = {
    "format": str,
    "schema_version": int,
    "spec": str,
    "digest": str,
    "block": int,
    "most_blocks": int,
    "episodes": int,
    "steps": int,
    "confidence": _NUMBER,
    "p0": _NUMBER,
    "limits": list,
    "excluded": dict,
    "sources": list,
}
_LIMITS: Mapping[str, Any] = {"channel": int, "name": str, "low_decile": list, "high_decile": list}


def _hold(value: Any, members: Mapping[Any, Any], file: str, pointer: str) -> None:
    """An object of exactly these members, each of its type."""
    if not isinstance(value, dict) or value.keys() != members.keys():
        found = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise FormatError(f"{', '.join(map(str, members))} wanted, found {found}", file=file, pointer=pointer)
    for name, kind in members.items():
        if isinstance(value[name], bool) or not isinstance(value[name], kind):
            why = f"{getattr(kind, '__name__', 'number')} wanted, found {type(value[name]).__name__}"
            raise FormatError(why, file=file, pointer=f"{pointer}/{strict_json.escape(str(name))}")
