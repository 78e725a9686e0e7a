"""Names of drift metrics: what a caller writes, as what the core measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ExecSpecError

SEPARABLE = ("mean_abs", "bias", "rms", "max", "worst_case", "flips", "zeros")
"""Metrics of one channel that need no number. With a number: `pXX` (a percentile of |delta|), `exceeds:EPS`."""
JOINT = ("mean", "mean_l2", "max_l2")
"""Metrics over channels; `mean` is that of `mean_abs`. With a number: `pXX_l2`."""


@dataclass(frozen=True)
class Metric:
    """A metric as the core knows it.

    Attributes:
        name: what the caller wrote.
        kind, parameter: the core's name, and the number it needs.
        joint: over channels, so a matrix of it is `(K, K)`; else `(K, K, D)`.
        symmetry: 1 if over one sample `M[j, i] = M[i, j]`, -1 if `M[j, i] = -M[i, j]`, 0 if neither.
        additive: over a union of shards it is the mean of the shards', weighted by their rows (of squares, for rms).
    """

    name: str
    kind: str
    parameter: float = 0.0
    joint: bool = False

    @property
    def symmetry(self) -> int:
        return {"bias": -1, "worst_case": 0}.get(self.kind, 1)

    @property
    def additive(self) -> bool:
        return self.kind != "quantile"


def parse_metric(name: str) -> Metric:
    """Metric of a name.

    Raises:
        ExecSpecError: no such metric, a percentile outside (0, 100], a threshold that is negative or not finite.
    """
    text, joint = (name[:-3], True) if name.endswith("_l2") else (name, False)
    if name in JOINT:
        return Metric(name, text, joint=True)
    if name in SEPARABLE:
        return Metric(name, name)
    if text.startswith("p"):
        percent = _number(text[1:])
        if 0 < percent <= 100:
            return Metric(name, "quantile", percent / 100, joint)
    if name.startswith("exceeds:"):
        eps = _number(name.removeprefix("exceeds:"))
        if 0 <= eps < math.inf:
            return Metric(name, "exceeds", eps)
    raise ExecSpecError(
        f"no metric {name!r}; known: {', '.join(SEPARABLE + JOINT)}, pXX and pXX_l2 with 0 < XX <= 100, "
        "exceeds:EPS with EPS >= 0"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
