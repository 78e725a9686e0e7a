"""A pair and actions on a device, measured for `execspec_fast.drift`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ..metric import Metric
from ..unnormalizer import Unnormalizer
from .matrix import measure, stacked
from .sample import ActionSample

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Both maps, clipped by a controller's limits where there are some, and the actions, of which none is excluded."""

    intended: Unnormalizer
    executed: Unnormalizer
    sample: ActionSample
    description = "actions"
    excluded = ()
    joint = True

    @classmethod
    def of(cls, intended: Unnormalizer, executed: Unnormalizer, u: Any) -> Pair:
        return cls(intended, executed, ActionSample.of(u))

    def separable(self, kind: str, parameter: float = 0.0) -> FloatArray:
        """`(D,)`, float64 on the host."""
        return np.array(self._measured(Metric(kind, kind, parameter), ()), np.float64)

    def norm(self, kind: str, parameter: float, channels: Sequence[int]) -> float:
        """Over some channels."""
        if not channels:
            return float("nan")
        others = tuple(set(range(self.intended.dim)) - set(channels))
        return float(self._measured(Metric(f"{kind}_l2", kind, parameter, joint=True), others))

    def outside(self, executed: Unnormalizer, low: FloatArray, high: FloatArray) -> FloatArray:
        """How often the clip of `self.executed` to limits changes an action of `executed`."""
        return replace(self, intended=executed).separable("exceeds")

    def _measured(self, metric: Metric, left_out: Sequence[int]) -> Any:
        one, other = (stacked([spec], self.sample) for spec in (self.intended, self.executed))
        gripper = jnp.asarray(np.isin(np.arange(one.dim), left_out)[None])
        i, j = replace(one, gripper=gripper), replace(other, gripper=gripper)
        return measure(i, j, self.sample, metric, same=False)[0, 0]
