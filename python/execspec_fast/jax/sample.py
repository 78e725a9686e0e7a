"""`ActionSample` on device: columns sorted, with centred prefix sums, as in `cpp/include/execspec/empirical.hpp`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from .. import sample as host
from ..errors import ShapeMismatchError, StatsError
from .doubles import DD, prefix_sums, two_sum
from .precision import as_array, checked, limit, widened, working_dtype


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Column:
    """N values of one channel, in order. Moments are of `t = (x - centre) / unit`, with |t| at most 1.

    Attributes:
        x: `(N,)`, the values; all NaN where one of them is unusable.
        centre, unit: scalars, the median and a power of two.
        first, second: `(N + 1,)`, the sums of t and of t^2 before each value.
    """

    x: Array
    centre: Array
    unit: Array
    first: DD
    second: DD

    @classmethod
    def of(cls, values: Array) -> Column:
        """Sort `(N,)` values."""
        usable = (jnp.abs(values) <= limit(values.dtype)).all()
        x = jnp.sort(jnp.where(usable, values, jnp.nan))
        centre = x[x.size // 2]
        unit = lax.stop_gradient(_power_of_two_above(jnp.maximum(x[-1] - centre, centre - x[0])))
        none = DD.exact(jnp.zeros(x.size + 1, x.dtype))
        column = cls(x, centre, unit, none, none)
        t = column.local(x)
        return cls(x, centre, unit, prefix_sums(t), prefix_sums(t * t))

    @property
    def count(self) -> int:
        return self.x.shape[0]

    def local(self, x: Array) -> DD:
        return two_sum(x, -self.centre).scaled(1 / self.unit)

    def at(self, rank: Array) -> DD:
        """The value of a rank; the nearest one's beyond both ends."""
        return DD.exact(jnp.take(self.x, rank, mode="clip"))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ActionSample:
    """N normalized actions.

    Attributes:
        columns: every channel sorted, leaves `(D, …)`.
        rows: `(D, N)`, the actions in their order.
        excluded: bool `(D,)`, channels that the sample says nothing about.
    """

    columns: Column
    rows: Array
    excluded: Array

    @classmethod
    def of(cls, u: Any, dtype: npt.DTypeLike | None = None) -> ActionSample:
        """Of normalized actions, or of an `execspec_fast.ActionSample` with rows.

        Args:
            u: `(..., D)`, float32 or float64.
            dtype: to compute in: float32, float64, or None for the widest that JAX has.

        Raises:
            ShapeMismatchError, DTypeError
            StatsError: no rows; a value that is not finite, or larger than `ops.LIMIT` (1e18 in float32). Where u is
                traced nothing can be raised, and the drift of that channel is NaN.
        """
        if isinstance(u, host.ActionSample):
            if u._core.rows is None:
                raise StatsError("the sample is a law without rows; draw some on the host, sample.independent(count)")
            return cls._of(u._core.rows, dtype, tuple(d in u.excluded for d in range(u.dim)))
        return cls._of(u, dtype, None)

    @classmethod
    def _of(cls, u: Any, dtype: npt.DTypeLike | None, excluded: tuple[bool, ...] | None) -> ActionSample:
        array = as_array(u, "actions")
        wide = checked(array.dtype) == np.float64 and dtype is None
        working = widened(working_dtype(dtype), wide=wide)
        if array.ndim < 1 or array.size == 0:
            raise ShapeMismatchError(
                f"actions have shape {array.shape}; a sample needs rows, channels in the last axis"
            )
        rows = jnp.asarray(array.reshape(-1, array.shape[-1])).astype(working).T
        mask = jnp.asarray(np.array(excluded if excluded is not None else [False] * rows.shape[0]))
        sample = cls(_sorted(rows), rows, mask)
        if not isinstance(rows, jax.core.Tracer):
            _refuse(np.asarray(jnp.isnan(sample.columns.centre)), working)
        return sample

    @property
    def precision(self) -> str:
        """The dtype that drift is computed in; sums are held in two of them."""
        return self.rows.dtype.name

    @property
    def dim(self) -> int:
        return self.rows.shape[0]

    @property
    def count(self) -> int:
        return self.rows.shape[1]


def first_where(lo: Array, hi: Array, holds: Callable[[Array], Array], steps: int) -> Array:
    """The least integer of [lo, hi) for which `holds`, which is false and then true; hi if there is none.

    Args:
        steps: bits of the largest hi - lo.
    """

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        lo, hi = ends
        middle = lo + (hi - lo) // 2
        left = (lo >= hi) | holds(middle)
        return jnp.where(left, lo, middle + 1), jnp.where(left & (lo < hi), middle, hi)

    # what enters a loop must vary over a mesh's devices as what leaves it does, so both depend on the condition
    nothing = jnp.where(holds(lo), 0, jnp.zeros_like(lo))
    found: Array = lax.fori_loop(0, steps, halve, (lo + nothing, hi + nothing))[0]
    return found


@jax.jit
def _sorted(rows: Array) -> Column:
    return jax.vmap(Column.of)(rows)


def _power_of_two_above(x: Array) -> Array:
    exponent = jnp.frexp(x)[1]
    above: Array = jnp.where(x > 0, jnp.ldexp(jnp.ones_like(x), exponent), 1)
    return above


def _refuse(bad: npt.NDArray[np.bool_], dtype: np.dtype[Any]) -> None:
    if bad.any():
        raise StatsError(
            f"channel {int(np.argmax(bad))}: an action is not finite or of magnitude > {limit(dtype):g}; "
            "drop or repair such rows first"
        )
