"""How near an action must be to what a spec makes of u, column by column: in ULP of the channel's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import GuardError
from ..ops import OpDType
from ..stats import FloatArray
from ..unnormalizer import Unnormalizer
from .image import LINES
from .lines import FLOAT, line_of

ULPS = 8
MOST_ULPS = 1 << 20
NO_LINE = {"scale": 0.0, "offset": 0.0, "floor": -math.inf, "ceiling": math.inf}
NEVER_NEAR = -1.0
ROUNDED = 1 - 2.0**-48
"""For the rounding of the comparison itself."""
LARGEST_EVIDENCE = 2.0**1000


@dataclass(frozen=True, eq=False)
class Bands:
    """The columns of one map, each array `(T * D,)`.

    Attributes:
        lines: by name of `LINES` but the last, the clamped line; zero with open ends where there is none.
        error: how far the ops run literally may be from the line; inf where there is none.
        tolerance: `a` agrees with `U(u)` if they differ by at most this times max(1, |u|).
        dtype: by column, the coarsest on its way.
    """

    lines: dict[str, FloatArray]
    error: FloatArray
    tolerance: FloatArray
    dtype: tuple[OpDType, ...]

    @classmethod
    def of(cls, unnormalizer: Unnormalizer, u_dtype: OpDType, a_dtype: OpDType, ulps: float) -> Bands:
        """
        Raises:
            GuardError: a column that is not finite at u = -1 or 1.
        """
        dim = unnormalizer.dim
        ends = unnormalizer(np.array([[-1.0], [1.0]]) * np.ones(dim))
        for column in np.flatnonzero(~np.isfinite(ends).all(axis=0))[:1]:
            raise GuardError(
                f"column {column}: u = -1 and 1 become {ends[:, column].tolist()}, which nothing can guard"
            )
        narrow = OpDType.FLOAT32 in (u_dtype, a_dtype)
        coarse = (unnormalizer.table()["dtype"] == OpDType.FLOAT32).any(axis=0) | narrow
        dtype = tuple(OpDType.FLOAT32 if one else OpDType.FLOAT64 for one in coarse)
        eps = np.array([float(np.finfo(FLOAT[one]).eps) for one in dtype])
        scale = np.maximum(np.abs(ends).max(axis=0), np.abs(ends[1] - ends[0]))
        scale = np.maximum(scale, [float(np.finfo(FLOAT[one]).smallest_normal) for one in dtype])
        found = [line_of(unnormalizer, column, u_dtype, a_dtype) for column in range(dim)]
        lines = {
            name: np.array([NO_LINE[name] if line is None else getattr(line, name) for line in found])
            for name in LINES[:-1]
        }
        error = np.array([math.inf if line is None else line.error for line in found])
        return cls(lines, error, ulps * eps * scale, dtype)

    @property
    def near(self) -> FloatArray:
        """Nearer to the line than this, times max(1, |u|), is within the tolerance of the ops; -1 where none is."""
        left = (self.tolerance - self.error) * ROUNDED
        return np.where(left > 0, left, NEVER_NEAR)

    @property
    def wider(self) -> FloatArray:
        """`(T * D,)`, in units of max(1, |u|): how far beyond the exact map's image a value may be rounded."""
        narrow = [dtype == OpDType.FLOAT32 for dtype in self.dtype]
        return np.where(np.isfinite(self.error), self.error, np.where(narrow, self.tolerance, 0.0))

    @property
    def evidence(self) -> FloatArray:
        """`(T * D, 5)`: the lines, and the weight by which a residual from them is at most 1 if they explain it."""
        allowed = self.tolerance + self.error
        weight = np.where(np.isfinite(allowed), 1 / np.maximum(allowed, 1 / LARGEST_EVIDENCE), 0.0)
        return np.stack([*self.lines.values(), weight], axis=1)
