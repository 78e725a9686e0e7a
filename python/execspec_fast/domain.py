"""The domain of `u`: what a policy head can emit. It decides what "worst case" means."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Domain:
    """Values one channel of `u` can take.

    Attributes:
        lo, hi: bounds, infinite for a regression or diffusion head.
        points: the exact values where the head emits from a table (OpenVLA's 255 bin centres), else empty.
        name: how reports call it.
    """

    lo: float = -math.inf
    hi: float = math.inf
    points: tuple[float, ...] = ()
    name: str = "unbounded"

    def to_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "lo": self.lo if math.isfinite(self.lo) else None,
            "hi": self.hi if math.isfinite(self.hi) else None,
            "points": len(self.points),
        }


UNBOUNDED = Domain()
UNIT_INTERVAL = Domain(-1.0, 1.0, (), "[-1, 1]")
