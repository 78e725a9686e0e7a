"""Health of one key: what its published figures give away before anything moves.

Each rule is a function from a `Subject` to the `Symptom`s it shows. Rules keep quiet about figures that the
key's un-normalizer does not read, and about what its forward map clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..stats import BoolArray, FloatArray
from .symptoms import Subject, Symptom

ORDER = ("min", "q01", "q10", "q50", "q90", "q99", "max")
"""Figures in the order they must have on every channel."""

ROUNDING = 1e-5
"""Relative slack of the structural laws: figures are accumulated, and often stored, in float32."""

STD_ROUNDING = 1e-2
"""Slack of a std relative to the values: a sum of a million squares in float32 is off by that much."""

NEAR_ZERO = 1e-2
"""A range below this share of the median channel's is near-constant."""

PARKED = 100.0
"""What 0 normalizes to on a channel whose range is tiny for where it lies; a two-valued channel stays far below."""

AMPLIFIED = 10.0
"""Standard deviation of normalized data that no head made for [-1, 1] or for z-scores can follow."""

OUTLIERS = 10.0
"""Range in use over the range of the middle 98 % of the data, above which outliers set the scale."""

CHECK_DATA = "Recompute the statistics from the training data."


def where(bad: BoolArray) -> tuple[int, ...]:
    """Channels of a (D,) or (T, D) array that are bad, at any time step."""
    return tuple(int(d) for d in np.flatnonzero(bad.reshape(-1, bad.shape[-1]).any(axis=0)))


def worst(values: FloatArray, bad: BoolArray) -> float:
    """The largest of the bad values."""
    return float(np.max(values[bad]))


def empty(s: Subject) -> Iterator[Symptom]:
    if s.stats.dim == 0 or s.stats.count == 0:
        yield Symptom("error", "statistics of no data", CHECK_DATA, numbers=f"count {s.stats.count}, D {s.stats.dim}")


def sentinel(s: Subject) -> Iterator[Symptom]:
    figures = {name: s.stats[name] for name in s.stats}
    scored = {"mean", "std"} <= set(s.needs) & set(figures)
    infinite = [name for name, value in figures.items() if np.isinf(value).all()]
    if infinite:
        yield Symptom(
            "error",
            "statistics were never set: every value is infinite",
            "Load the statistics of the training data; the buffers still hold what they were created with.",
            numbers=", ".join(infinite),
            evidence={"figures": infinite},
        )
    elif s.stats.dim > 1 and all(not value.any() for value in figures.values()):
        yield Symptom("error", "every figure is zero, so every action decodes to zero", CHECK_DATA)
    elif scored and s.stats.dim > 1 and not figures["mean"].any() and (figures["std"] == 1).all():
        yield Symptom(
            "error",
            "mean 0 and std 1 on every channel: placeholders, the action passes through unscaled",
            "Store the statistics the policy was trained with.",
        )


def inert(s: Subject) -> Iterator[Symptom]:
    if not s.active.any():
        yield Symptom(
            "error",
            "the mask is false on every channel: the action passes through unscaled",
            "Set the mask true on every channel that training normalizes.",
        )


def zero_range(s: Subject) -> Iterator[Symptom]:
    if s.width is None:
        return
    zero = s.active & (s.width == 0)
    explodes = zero & (s.gain * s.spread > AMPLIFIED)
    if explodes.any():
        size = worst(s.gain * s.spread, explodes)
        yield Symptom(
            "warning",
            "range is zero but the data move, and training divides by the range",
            "Recompute with a wider quantile or min/max on these channels, or take them out of the action.",
            where(explodes),
            f"one std of the data normalizes to {size:.3g}",
            {"normalized_std": size},
        )
    arm = s.active & ~s.stats.padding & ~np.isin(np.arange(s.stats.dim), s.gripper)
    dead = not s.partial and arm.any() and not (arm & ~zero).any()
    lost = zero & ~explodes & (s.spread > 0)
    if lost.any():
        what = "every channel that is no gripper" if dead else "the channel"
        yield Symptom(
            "warning" if dead else "note",
            f"range is zero but the data move: the un-normalizer holds {what} still",
            "Recompute with a wider quantile if the robot needs these channels.",
            where(lost),
            f"std {worst(s.spread, lost):.3g}",
            {"std": worst(s.spread, lost)},
        )
    constant = zero & (s.spread == 0) & ~s.stats.padding
    if constant.any() and dead:
        yield Symptom("error", "the robot never moves: no channel but a gripper has a range", CHECK_DATA)
    elif constant.any():
        yield Symptom("note", "channels that never move", "None needed if the robot has no such axis.", where(constant))


def near_zero_range(s: Subject) -> Iterator[Symptom]:
    """A channel parked far from zero: its range is small beside the other channels' and beside its own offset."""
    if s.width is None or s.width.ndim > 1:
        return
    moving = s.active & (s.width > 0)
    typical = float(np.median(s.width[moving])) if moving.any() else 0.0
    low = s.stats[(s.interval or ("mean",))[0]]
    at_zero = -low * s.gain - (1 if s.interval else 0)
    narrow = moving & (s.width < NEAR_ZERO * typical) & (np.abs(at_zero) > PARKED)
    if narrow.any():
        d = int(np.argmax(np.where(narrow, np.abs(at_zero), 0)))
        yield Symptom(
            "warning",
            "range is nearly zero, and training divides by it without a clip",
            "Widen the range of these channels to what the robot can do, or leave them unnormalized.",
            where(narrow),
            f"range {s.width[d]:.3g} where the median is {typical:.3g}, so 0 normalizes to {at_zero[d]:.6g}",
            {
                "range": float(s.width[d]),
                "median_range": typical,
                "gain": float(s.gain[d]),
                "zero": float(at_zero[d]),
            },
        )


def outliers(s: Subject) -> Iterator[Symptom]:
    if s.width is None or "q01" not in s.stats or "q99" not in s.stats:
        return
    middle = s.stats["q99"] - s.stats["q01"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(s.active & (middle > 0) & (s.width > 0), s.width / middle, 0.0)
    ratio *= 5 if s.interval is None else 1  # the middle 98 % of a normal distribution is 4.7 std wide
    inflated = ratio > OUTLIERS
    if inflated.any():
        scale = "std" if s.interval is None else "range"
        yield Symptom(
            "warning",
            f"outliers set the {scale}: nearly all data normalize to nearly one value",
            "Look for corrupt episodes, drop them and recompute, or use the quantiles.",
            where(inflated),
            f"{scale} is {worst(s.width / middle, inflated):.3g} times q99 - q01",
            {"ratio": worst(s.width / middle, inflated)},
        )
    far = s.active & (s.width > 0) & (s.gain * s.spread > AMPLIFIED)
    if far.any():
        size = worst(s.gain * s.spread, far)
        yield Symptom(
            "warning",
            "outliers lie far outside the quantiles, and training does not clip them",
            "Look for corrupt episodes, drop them and recompute.",
            where(far),
            f"one std of the data normalizes to {size:.3g}",
            {"normalized_std": size},
        )


def crossed(s: Subject) -> Iterator[Symptom]:
    if s.width is not None and (bad := s.active & (s.width < 0)).any():
        lo, hi = s.interval or ("0", "std")
        yield Symptom("error", f"{lo} > {hi}: the channel runs backwards", CHECK_DATA, where(bad))


def disordered(s: Subject) -> Iterator[Symptom]:
    named = [name for name in ORDER if name in s.stats]
    for lo, hi in [*pairwise(named), ("min", "mean"), ("mean", "max")]:
        if lo not in s.stats or hi not in s.stats or (lo, hi) == s.interval:
            continue
        excess = s.stats[lo] - s.stats[hi]
        bad = excess > ROUNDING * np.maximum(np.abs(s.stats[lo]), np.abs(s.stats[hi]))
        if bad.any():
            by = worst(excess, bad)
            yield Symptom(
                "warning", f"{lo} > {hi}, which no data can have", CHECK_DATA, where(bad), f"by {by:.3g}", {"by": by}
            )


def impossible_std(s: Subject) -> Iterator[Symptom]:
    """0 <= std <= (max - min) / 2 * sqrt(n / (n - 1)), the bound of Popoviciu with the sample correction."""
    if "std" not in s.stats or "min" not in s.stats or "max" not in s.stats:
        return
    n = s.stats.count or 2
    largest = (s.stats["max"] - s.stats["min"]) / 2 * math.sqrt(n / max(n - 1, 1))
    slack = STD_ROUNDING * np.maximum(np.abs(s.stats["min"]), np.abs(s.stats["max"]))
    bad = (s.stats["std"] < 0) | (s.stats["std"] > largest + slack)
    if bad.any():
        d = where(bad)[0]
        std, bound = float(s.stats["std"].reshape(-1, s.stats.dim)[0, d]), float(largest.reshape(-1, s.stats.dim)[0, d])
        yield Symptom(
            "warning",
            "std is larger than any data between min and max can have",
            CHECK_DATA,
            where(bad),
            f"std {std:.3g}, at most {bound:.3g}",
            {"std": std, "bound": bound},
        )


def frozen_std(s: Subject) -> Iterator[Symptom]:
    """A std of 0 belongs to data of one value, which have no range."""
    if "std" not in s.stats:
        return
    bad = (s.stats["std"] == 0) & (s.half_range > STD_ROUNDING * s.largest)
    if bad.any():
        half = worst(s.half_range, bad)
        yield Symptom(
            "warning",
            "std is 0 where other figures have a range",
            CHECK_DATA,
            where(bad),
            f"half of the range {half:.3g}",
            {"half_range": half},
        )


def merged(s: Subject) -> Iterator[Symptom]:
    if s.stats.estimator == "merged" and s.interval and s.interval[0].startswith("q"):
        yield Symptom(
            "warning",
            "quantiles averaged over episodes are no quantiles of the data: more than 2 % lies outside them",
            "Recompute the quantiles over all episodes at once.",
            numbers=" and ".join(s.interval),
        )


def per_time_step(s: Subject) -> Iterator[Symptom]:
    if len(s.stats.shape) > 1 and not (s.profile and s.profile.per_step):
        yield Symptom(
            "error",
            "one row of figures per time step, which this un-normalizer cannot read",
            "Name the un-normalizer that scales each step of the chunk by its own row.",
            numbers=f"shape {s.stats.shape}",
            evidence={"shape": list(s.stats.shape)},
        )


def pooled(s: Subject) -> Iterator[Symptom]:
    needed = [s.stats[name] for name in s.needs if name in s.stats]
    same = needed and all((value == value.flat[0]).all() for value in needed)
    if s.stats.dim > 2 and same and any(abs(value.flat[0]) not in (0, 1, math.inf) for value in needed):
        yield Symptom(
            "warning",
            "all channels share the same figures, as if pooled, or broadcast from a scalar",
            "Compute the statistics per channel (over time, not over channels).",
            numbers=", ".join(f"{name} {s.stats[name].flat[0]:.4g}" for name in s.needs if name in s.stats),
        )


def missing(s: Subject) -> Iterator[Symptom]:
    absent = [name for name in s.needs if name not in s.stats]
    if absent and s.profile:
        yield Symptom(
            "error",
            f"{s.profile.name} reads {' and '.join(s.needs)}, but not all of them are published",
            "Add the missing statistics, or name the mode the policy was trained with.",
            numbers=f"published: {', '.join(s.stats)}",
            evidence={"missing": absent, "published": list(s.stats)},
        )


def not_finite(s: Subject) -> Iterator[Symptom]:
    for name in s.stats:
        bad = ~np.isfinite(s.stats[name])
        if bad.any() and not np.isinf(s.stats[name]).all():
            used = name in s.needs
            yield Symptom(
                "error" if used else "warning",
                f"{name} is not finite" + ("" if used else ", though this un-normalizer does not read it"),
                CHECK_DATA,
                where(bad),
            )
