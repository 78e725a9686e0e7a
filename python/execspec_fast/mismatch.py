"""The metadata mismatch transform: the action executed in place of the one that was meant, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core, ops
from .errors import NotInvertibleError
from .unnormalizer import Executable, Unnormalizer

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Mismatch:
    """The metadata mismatch transform `T(a) = (s_j / s_i) (a - c_i) + c_j`: the action executed in place of `a`.

    Attributes:
        scale, offset: float64 `(D,)`, `T(a) = scale * a + offset`; NaN where no transform exists.
        invertible: bool `(D,)`, whether T has an inverse.
        reason: per channel why not, empty if it has.
    """

    scale: FloatArray
    offset: FloatArray
    invertible: npt.NDArray[np.bool_]
    reason: tuple[str, ...]

    def __call__(self, a: npt.ArrayLike, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Apply T to physical actions `(..., D)`, in their dtype.

        Raises:
            NotInvertibleError: a channel that has no transform.
        """
        missing = np.flatnonzero(np.isnan(self.scale))
        if missing.size:
            raise NotInvertibleError(f"channel {missing[0]} has no mismatch transform: {self.reason[missing[0]]}")
        stage = ops.stage(self.scale.size, ops.OpKind.LINEAR, self.scale, self.offset)
        return Unnormalizer(stage)(a, out)

    def inverse(self) -> Mismatch:
        """The transform of the exchanged pair; NaN on channels that have none."""
        scale = np.where(self.invertible, 1.0, np.nan) / np.where(self.invertible, self.scale, 1.0)
        return Mismatch(scale, -self.offset * scale, self.invertible, self.reason)


def mismatch(intended: Executable, executed: Executable) -> Mismatch:
    """The mismatch transform of executing `executed` where `intended` was meant (arXiv 2606.03724, closed form).

    Raises:
        ShapeMismatchError: different D.
    """
    fi, fj = intended.map, executed.map
    scale, offset = _core.mismatch(fi._core, fj._core)
    reason = []
    for d in range(fi.dim):
        if not fi._core.invertible(d):
            reason.append("the intended map is a constant, a clip or a step")
        elif not fj._core.invertible(d):
            reason.append("the executed map is a constant, a clip or a step")
        else:
            reason.append("")
    return Mismatch(scale, offset, np.array([not r for r in reason], np.bool_), tuple(reason))
