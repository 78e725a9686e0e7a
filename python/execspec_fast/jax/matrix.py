"""Drift of all pairs on device, in square tiles of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ..errors import DTypeError, ShapeMismatchError
from ..metric import Metric, parse_metric
from ..unnormalizer import Executable
from .doubles import DD
from .drift import SEPARABLE
from .l2 import JOINT, lines
from .maps import Maps, one_key
from .sample import ActionSample
from .table import power_of_two

Specs = Maps | Sequence[Executable]
CELLS = 1 << 20  # numbers of one kind that a tile holds at a time


def drift_matrix(specs: Specs, sample: ActionSample | Any, metric: str = "mean_abs") -> Array:
    """Drift of every ordered pair: entry `[i, j]` is for executing `j` where `i` was meant.

    Args:
        specs: K executables of one D, or their `Maps`.
        sample: an `ActionSample` of this package's, or of `execspec_fast` with rows, or an array `(..., D)`.
        metric: as in `execspec_fast.drift_matrix`. Per channel, giving `(K, K, D)`: mean_abs, bias, rms, max,
            worst_case, flips, zeros, pXX, exceeds:EPS. Over the channels that neither spec knows to be a gripper,
            giving `(K, K)`: mean, mean_l2, max_l2, pXX_l2.

    Returns:
        In the sample's precision; NaN where `execspec_fast.drift_matrix` has it.

    Raises:
        ShapeMismatchError, DTypeError, ExecSpecError (unknown metric)
    """
    actions = _sample(sample)
    maps = stacked(specs, actions)
    return measure(maps, maps, actions, parse_metric(metric), same=True)


def drift_block(intended: Specs, executed: Specs, sample: ActionSample | Any, metric: str = "mean_abs") -> Array:
    """A rectangle of `drift_matrix`: entry `[i, j]` is for `executed[j]` where `intended[i]` was meant."""
    actions = _sample(sample)
    return measure(stacked(intended, actions), stacked(executed, actions), actions, parse_metric(metric), same=False)


def drift(
    intended: Executable | Maps, executed: Executable | Maps, sample: ActionSample | Any, metric: str = "mean_abs"
) -> Array:
    """Of one pair, executables or `maps[k]`: `(D,)`, or a number for a metric over channels."""
    actions = _sample(sample)
    one, other = (
        stacked(jax.tree.map(lambda leaf: leaf[None], one_key(x)) if isinstance(x, Maps) else [x], actions)
        for x in (intended, executed)
    )
    return measure(one, other, actions, parse_metric(metric), same=False)[0, 0]


def _sample(sample: Any) -> ActionSample:
    return sample if isinstance(sample, ActionSample) else ActionSample.of(sample)


def stacked(specs: Specs, sample: ActionSample) -> Maps:
    """Maps in the precision of a sample."""
    widest = jax.dtypes.canonicalize_dtype(np.float64)
    maps = (
        specs if isinstance(specs, Maps) else Maps.of(specs, None if sample.precision == widest else sample.precision)
    )
    if maps.start.ndim != 3:
        raise ShapeMismatchError("the maps are one key's, and a stack is wanted; take maps[k : k + 1], or see drift")
    if maps.dim != sample.dim:
        raise ShapeMismatchError(f"the specs have {maps.dim} channels, the sample {sample.dim}")
    if maps.precision != sample.precision:
        raise DTypeError(
            f"the maps are in {maps.precision} and the sample in {sample.precision}; make both with one dtype="
        )
    return maps


def measure(intended: Maps, executed: Maps, sample: ActionSample, metric: Metric, *, same: bool) -> Array:
    """All pairs of two stacks, which may be the `same`: then a symmetric metric costs half."""
    parameter: Any = None
    if metric.kind == "quantile":
        parameter = jnp.int32(max(1, ceil(metric.parameter * sample.count)))
    elif metric.kind == "exceeds":
        parameter = DD.of(metric.parameter, 0.0, sample.precision)
    kind = f"{metric.kind}_l2" if metric.joint and metric.name != "mean" else metric.kind
    symmetry = metric.symmetry if same else 0
    result: Array = _drift(intended, executed, sample, parameter, kind, symmetry, CELLS)
    return result


@partial(jax.jit, static_argnames=("kind", "symmetry", "cells"))
def _drift(i: Maps, j: Maps, sample: ActionSample, parameter: Any, kind: str, symmetry: int, cells: int) -> Array:
    counted = ~(i.gripper[:, None] | j.gripper[None] | sample.excluded[None, None])
    if kind in JOINT:
        result = _joint(i, j, sample, parameter, kind, symmetry, cells)
        unknown = jnp.isnan(sample.columns.centre)
        result = jnp.where((counted & unknown[None, None]).any(-1), jnp.nan, result)
    else:
        separable = "mean_abs" if kind == "mean" else kind
        result = _separable(i, j, sample, parameter, separable, symmetry, cells)
        if kind != "worst_case":
            unknown = jnp.isnan(sample.columns.centre) | sample.excluded
            result = jnp.where(unknown[None, None], jnp.nan, result)
    if kind == "mean":
        result = jnp.where(counted, result, 0).sum(-1) / counted.sum(-1, dtype=jnp.int32).astype(result.dtype)
    a, b = i.declared[:, None], j.declared[None]
    conflict = ((a != 0) & (b != 0) & (a != b)).any(-1)
    return jnp.where(conflict.reshape(conflict.shape + (1,) * (result.ndim - 2)), jnp.nan, result)


CHANNELS = Maps(start=-1, cut=-1, line=-1, domain=None, points=None, gripper=-1, declared=None)  # type: ignore[arg-type]


def _separable(i: Maps, j: Maps, sample: ActionSample, parameter: Any, kind: str, symmetry: int, cells: int) -> Array:
    prepare, measure = SEPARABLE[kind]
    prepared = jax.vmap(jax.vmap(prepare, in_axes=(CHANNELS, 0)), in_axes=(0, None))

    def pair(a: Any, b: Any) -> Array:
        return jax.vmap(measure, in_axes=(0, 0, 0, None))(sample.columns, a, b, parameter)

    pieces = i.start.shape[1] * j.start.shape[1]
    return _tiled(pair, prepared(i, sample.columns), prepared(j, sample.columns), symmetry, cells // (pieces * i.dim))


def _joint(i: Maps, j: Maps, sample: ActionSample, parameter: Any, kind: str, symmetry: int, cells: int) -> Array:
    a, b = (jax.vmap(lines, in_axes=(0, None))(maps, sample) for maps in (i, j))
    pairs = 64 * cells // sample.count  # a pair holds its norms; of a separable metric a cell is some fifty numbers
    return _tiled(lambda a, b: JOINT[kind](sample, a, b, parameter), a, b, symmetry, pairs)


def _tiled(pair: Callable[[Any, Any], Array], i: Any, j: Any, symmetry: int, pairs: int) -> Array:
    """`pair` for all pairs of two stacks, `(Ki, Kj, …)`; of a matrix with a symmetry, for one half of the tiles.

    Args:
        pairs: how many a tile may hold.
    """
    ki, kj = (jax.tree.leaves(stack)[0].shape[0] for stack in (i, j))
    side = power_of_two(isqrt(max(pairs, 1)) + 1) // 2  # the greatest power of two that fits
    si, sj = min(side, ki), min(side, kj)
    i, j = _in_tiles(i, si), _in_tiles(j, sj)
    ni, nj = -(-ki // si), -(-kj // sj)
    at_i, at_j = np.triu_indices(ni) if symmetry else np.indices((ni, nj)).reshape(2, -1)

    def tile(at: tuple[Array, Array]) -> Array:
        a, b = jax.tree.map(lambda leaf: leaf[at[0]], i), jax.tree.map(lambda leaf: leaf[at[1]], j)
        return jax.vmap(lambda x: jax.vmap(lambda y: pair(x, y))(b))(a)

    tiles = lax.map(tile, (jnp.asarray(at_i, jnp.int32), jnp.asarray(at_j, jnp.int32)))
    whole = jnp.zeros((ni, nj, *tiles.shape[1:]), tiles.dtype)
    if symmetry:
        whole = whole.at[at_j, at_i].set(symmetry * tiles.swapaxes(1, 2))
    whole = whole.at[at_i, at_j].set(tiles).swapaxes(1, 2)
    return whole.reshape(ni * si, nj * sj, *tiles.shape[3:])[:ki, :kj]


def _in_tiles(stack: Any, side: int) -> Any:
    """Leaves `(K, …)` as `(tiles, side, …)`, the last tile filled up with the first keys."""
    count = jax.tree.leaves(stack)[0].shape[0]
    rows = np.arange(-(-count // side) * side).reshape(-1, side) % count
    return jax.tree.map(lambda leaf: leaf[rows], stack)
