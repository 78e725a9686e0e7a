"""The metadata mismatch transform on device: the action executed in place of the one that was meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ..unnormalizer import Executable
from .maps import Maps


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mismatch:
    """`T(a) = (s_j / s_i) (a - c_i) + c_j`.

    Attributes:
        scale, offset: `(D,)`, `T(a) = scale a + offset`; NaN where no transform exists.
        invertible: bool `(D,)`, whether T has an inverse. `execspec_fast.mismatch` says why where it has none.
    """

    scale: Array
    offset: Array
    invertible: Array

    def __call__(self, a: Array) -> Array:
        """Of physical actions `(..., D)` in the dtype of the transform; NaN on channels that have none."""
        rows = a.reshape(-1, a.shape[-1])
        return (rows * self.scale[None] + self.offset[None]).reshape(a.shape)

    def inverse(self) -> Mismatch:
        """The transform of the exchanged pair."""
        scale = jnp.where(self.invertible, 1 / jnp.where(self.invertible, self.scale, 1), jnp.nan)
        return Mismatch(scale, -self.offset * scale, self.invertible)


def mismatch(intended: Executable | Maps, executed: Executable | Maps) -> Mismatch:
    """Of executing `executed` where `intended` was meant, each an executable or the maps of one key, `maps[k]`."""
    found: Mismatch = _mismatch(_one(intended), _one(executed))
    return found


def _one(spec: Any) -> Maps:
    return spec if isinstance(spec, Maps) else Maps.of([spec])[0]


@jax.jit
def _mismatch(intended: Maps, executed: Maps) -> Mismatch:
    fi, fj = intended.line[0], executed.line[0]
    one_piece = jnp.isinf(intended.start[1:]).all(0) & jnp.isinf(executed.start[1:]).all(0)
    exists = one_piece & (fi.scale.hi != 0)
    scale = fj.scale / fi.scale
    offset = fj.offset - scale * fi.offset
    scales, offsets = (jnp.where(exists, x.rounded(), jnp.nan) for x in (scale, offset))
    return Mismatch(scales, offsets, exists & (fj.scale.hi != 0))
