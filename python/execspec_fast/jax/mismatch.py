"""The metadata mismatch transform on device: the action executed in place of the one that was meant."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from ..errors import ShapeMismatchError
from ..unnormalizer import Executable
from .maps import Maps, one_key


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
        """Of physical actions `(..., D)`, in their dtype; NaN on channels that have no transform.

        Raises:
            ShapeMismatchError: another D, or the transforms of many pairs.
        """
        if self.scale.ndim != 1 or a.ndim < 1 or a.shape[-1] != self.scale.shape[0]:
            raise ShapeMismatchError(f"a has shape {a.shape}, the transform {self.scale.shape}; its last axis is (D,)")
        rows = a.reshape(-1, a.shape[-1]).astype(self.scale.dtype)
        return (rows * self.scale[None] + self.offset[None]).astype(a.dtype).reshape(a.shape)

    def inverse(self) -> Mismatch:
        """The transform of the exchanged pair."""
        scale = jnp.where(self.invertible, 1 / jnp.where(self.invertible, self.scale, 1), jnp.nan)
        return Mismatch(scale, -self.offset * scale, self.invertible)


def mismatch(intended: Executable | Maps, executed: Executable | Maps) -> Mismatch:
    """Of executing `executed` where `intended` was meant, each an executable or the maps of one key, `maps[k]`.

    Raises:
        ShapeMismatchError: different D, or the maps of many keys.
    """
    fi, fj = one_key(intended), one_key(executed)
    if fi.dim != fj.dim:
        raise ShapeMismatchError(f"the specs have {fi.dim} and {fj.dim} channels")
    found: Mismatch = _mismatch(fi, fj)
    return found


@jax.jit
def _mismatch(intended: Maps, executed: Maps) -> Mismatch:
    fi, fj = intended.line[0], executed.line[0]
    one_piece = jnp.isinf(intended.start[1:]).all(0) & jnp.isinf(executed.start[1:]).all(0)
    exists = one_piece & (fi.scale.hi != 0)
    scale = fj.scale / fi.scale
    offset = fj.offset - scale * fi.offset
    scales, offsets = (jnp.where(exists, x.rounded(), jnp.nan) for x in (scale, offset))
    return Mismatch(scales, offsets, exists & (fj.scale.hi != 0))
