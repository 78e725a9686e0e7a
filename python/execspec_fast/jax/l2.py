"""Joint drift ||delta||_2 of a pair: a norm does not separate into channels, so the rows are swept.

As in `cpp/include/execspec/joint.hpp`, delta comes from coefficients that are differences in double-double, so that
nearly equal keys keep their digits; on a row it is off by no more than rounding of `|scale t| + |offset|`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from .drift import bits_of, root, unit
from .maps import Line, Maps
from .sample import ActionSample, first_where

BLOCK = 32  # numbers added one after another


def lines(key: Maps, sample: ActionSample) -> tuple[Array, Array, Line, Array]:
    """One key's pieces in the local coordinates, `(P, D)`: start, the next one's, line; and the gripper, `(D,)`."""
    beyond = jnp.full_like(key.start[:1], jnp.inf)
    local = key.line.local(sample.columns.centre[None], sample.columns.unit[None])
    return key.start, jnp.concatenate([key.start[1:], beyond]), local, key.gripper


def squares(sample: ActionSample, i: Any, j: Any) -> tuple[Array, Array]:
    """||delta||^2 of all rows, `(N,)`, and the square's root of the unit they are in, a power of two."""
    (begin_i, end_i, f, gripper_i), (begin_j, end_j, g, gripper_j) = i, j
    counted = ~(gripper_i | gripper_j | sample.excluded)
    delta = g[None, :] - f[:, None]
    scale, offset = (jnp.where(counted[None, None], x.hi, 0) for x in (delta.scale, delta.offset))
    size = unit(jnp.maximum(abs(scale), abs(offset)).max())
    scale, offset = scale / size, offset / size
    t = jax.vmap(lambda x, u: x.local(u).hi)(sample.columns, sample.rows)
    norms = jnp.zeros_like(sample.rows[0])
    for d in range(sample.dim):
        value = scale[0, 0, d] * t[d] + offset[0, 0, d]
        for a in range(scale.shape[0]):
            for b in range(scale.shape[1]):
                if a or b:
                    u = sample.rows[d]
                    there = (u >= jnp.maximum(begin_i[a, d], begin_j[b, d])) & (
                        u < jnp.minimum(end_i[a, d], end_j[b, d])
                    )
                    value = jnp.where(there, scale[a, b, d] * t[d] + offset[a, b, d], value)
        norms = norms + value * value
    return norms, size


def mean(sample: ActionSample, i: Any, j: Any, _: Any) -> Array:
    """E ||delta||. Added up in blocks, and blocks of blocks, rounding does not grow with the number of rows."""
    norms, size = squares(sample, i, j)
    return size * (_by_blocks(jnp.sum, root(norms)) / sample.count)


def largest(sample: ActionSample, i: Any, j: Any, _: Any) -> Array:
    """The largest ||delta||."""
    norms, size = squares(sample, i, j)
    return size * root(_by_blocks(jnp.max, norms))


def quantile(sample: ActionSample, i: Any, j: Any, rank: Array) -> Array:
    """The `rank`-th smallest ||delta||, counted from 1: bisection over the numbers of the dtype, which beats a sort."""
    norms, size = squares(sample, i, j)
    bits = bits_of(norms)
    zero = jnp.zeros_like(bits[0])
    enough = lambda most: (bits <= most).sum(dtype=jnp.int32) >= rank  # noqa: E731
    found = first_where(zero, bits.max(), enough, 8 * norms.dtype.itemsize - 1)
    return size * root(norms[jnp.argmax(bits == found)])


def _by_blocks(reduce: Callable[..., Array], x: Array) -> Array:
    """Of numbers that are not negative, a block's far apart in memory, so that neighbours go through one by one."""
    while x.size > 1:
        x = reduce(jnp.pad(x, (0, -x.size % BLOCK)).reshape(BLOCK, -1), axis=0)
    return x[0]


JOINT: dict[str, Callable[[ActionSample, Any, Any, Any], Array]] = {
    "mean_l2": mean,
    "max_l2": largest,
    "quantile_l2": quantile,
}
