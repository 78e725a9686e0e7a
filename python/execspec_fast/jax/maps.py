"""The piecewise-affine maps of a stack of keys as a pytree, and the maps' place on a column of actions.

The pieces are those that C++ compiles from the op table; nothing here compiles one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from ..drift import declared_not_maps
from ..errors import ShapeMismatchError, StatsError
from ..unnormalizer import Executable
from .doubles import DD
from .precision import limit, widened, working_dtype
from .table import power_of_two


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Line:
    """`scale x + offset`."""

    scale: DD
    offset: DD

    def __call__(self, x: DD) -> DD:
        return self.scale * x + self.offset

    def __sub__(self, other: Line) -> Line:
        return Line(self.scale - other.scale, self.offset - other.offset)

    def local(self, centre: Array, unit: Array) -> Line:
        """The same as a function of `t = (x - centre) / unit`."""
        return Line(self.scale.scaled(unit), self(DD.exact(jnp.broadcast_to(centre, self.scale.hi.shape))))

    def __getitem__(self, at: Any) -> Line:
        return Line(self.scale[at], self.offset[at])


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Maps:
    """What analysis reads of K keys: P pieces per channel, filled up to a power of two by pieces that nothing reaches.

    `maps[k]` is the k-th key's, `maps[a:b]` a stack of some.

    Attributes:
        start: `(K, P, D)`, the least number of the dtype that is in the piece.
        cut: `(K, P, D)`, where the piece begins, as the real number it is.
        line: `(K, P, D)`, the map on the piece.
        domain: `(K, 2)`, bounds of u.
        points: `(K, Q)`, values of u where the policy emits from a table, NaN where it does not; Q may be 0.
        gripper: bool `(K, D)`, channels known to be a gripper.
        declared: int32 `(K, C)`, a code for every declared convention that is not a map; 0 where nothing is declared.
    """

    start: Array
    cut: DD
    line: Line
    domain: Array
    points: Array
    gripper: Array
    declared: Array

    @classmethod
    def of(cls, specs: Sequence[Executable], dtype: npt.DTypeLike | None = None) -> Maps:
        """Of K executables of the same D.

        Args:
            dtype: float32, float64, or None for the widest that JAX has.

        Raises:
            ShapeMismatchError: different D, or none at all.
            DTypeError: float64 while `jax_enable_x64` is off.
            StatsError: figures too large for float32.
        """
        maps = [spec.map for spec in specs]
        if not maps or len({m.dim for m in maps}) > 1:
            raise ShapeMismatchError(f"a stack needs keys of one D, got {[m.dim for m in maps]}")
        working = widened(working_dtype(dtype), wide=dtype is None)
        pieces = [[m._core.pieces(d) for d in range(m.dim)] for m in maps]
        shape = (len(maps), power_of_two(max(len(own) for key in pieces for own in key)), maps[0].dim)
        figures = np.zeros((7, *shape))  # cut, whether the piece is without it, scale, offset
        figures[0] = np.inf
        for k, key in enumerate(pieces):
            for d, own in enumerate(key):
                for n, (cut, after, scale, offset) in enumerate(own):
                    figures[:, k, n, d] = *cut, after, *scale, *offset
        return cls(
            start=jnp.asarray(_starts(figures[0], figures[1], figures[2], working)),
            cut=DD.of(figures[0], figures[1], working),
            line=Line(_finite(figures[3:5], working), _finite(figures[5:7], working)),
            domain=jnp.asarray(np.array([[m.domain.lo, m.domain.hi] for m in maps], working)),
            points=jnp.asarray(_points([m.domain.points for m in maps]).astype(working)),
            gripper=jnp.asarray(np.array([[d in (m.gripper or ()) for d in range(m.dim)] for m in maps])),
            declared=jnp.asarray(np.array([[_code(x) for x in declared_not_maps(spec)] for spec in specs], np.int32)),
        )

    @property
    def precision(self) -> str:
        """The dtype that drift is computed in; numbers are held in two of them."""
        return self.start.dtype.name

    @property
    def dim(self) -> int:
        return self.start.shape[-1]

    def __getitem__(self, key: Any) -> Maps:
        taken: Maps = jax.tree.map(lambda leaf: leaf[key], self)
        return taken


def one_key(spec: Executable | Maps) -> Maps:
    """An executable's maps, or those of one key.

    Raises:
        ShapeMismatchError: the maps of many keys.
    """
    maps = spec if isinstance(spec, Maps) else Maps.of([spec])[0]
    if maps.start.ndim != 2:
        raise ShapeMismatchError(
            f"the maps hold {maps.start.shape[0]} keys, and one is wanted; take one, maps[k], or jax.vmap over them"
        )
    return maps


def _starts(hi: npt.NDArray[Any], lo: npt.NDArray[Any], after: npt.NDArray[Any], dtype: np.dtype[Any]) -> Any:
    exact = np.where((lo > 0) | ((lo == 0) & (after > 0)), np.nextafter(hi, np.inf), hi)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    return np.where(rounded < exact, np.nextafter(rounded, dtype.type(np.inf)), rounded)


def _finite(figures: npt.NDArray[Any], dtype: np.dtype[Any]) -> DD:
    large = np.abs(figures[0]) > limit(dtype)
    if dtype == np.float32 and large.any():  # in float64 the core has checked
        k, _, d = (int(i) for i in np.argwhere(large)[0])
        raise StatsError(
            f"key {k}, channel {d}: figures of magnitude {np.abs(figures[0, k, :, d]).max():g} do not fit {dtype}; "
            "call jax.config.update('jax_enable_x64', True)"
        )
    return DD.of(figures[0], figures[1], dtype)


def _points(domains: Sequence[tuple[float, ...]]) -> npt.NDArray[np.float64]:
    """`(K, Q)`, each domain's last point repeated up to Q."""
    most = max(map(len, domains))
    count = power_of_two(most) if most else 0
    return np.array([(*own, *[own[-1] if own else math.nan] * (count - len(own))) for own in domains], np.float64)


def _code(value: object) -> int:
    """The same for equal conventions of any two stacks."""
    return 0 if value is None else crc32(repr(value).encode()) - (1 << 31) or 1
