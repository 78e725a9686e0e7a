"""Jitted JAX on the CPU, all cores: the map over pairs as one writes it, and the same blocked by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = jax.numpy

BLOCK, TILE = 400, 32  # rows and pairs whose running sums stay in the second cache; the fastest of a dozen choices


@jax.jit
def mean_abs_plain(columns, alpha, beta):
    return jax.lax.map(lambda ab: jnp.abs(columns * ab[0][:, None] + ab[1][:, None]).mean(), (alpha, beta))


@jax.jit
def mean_abs_tuned(columns, alpha, beta):
    def one(channel):
        return _tiled(channel[0][None], channel[1][:, None], channel[2][:, None], lambda deltas: jnp.abs(deltas[0]))

    return jax.lax.map(one, (columns, alpha.T, beta.T)).mean(axis=0)


@jax.jit
def mean_l2_plain(columns, alpha, beta):
    rows = columns.T
    return jax.lax.map(lambda ab: jnp.linalg.norm(rows * ab[0] + ab[1], axis=1).mean(), (alpha, beta))


@jax.jit
def mean_l2_tuned(columns, alpha, beta):
    return _tiled(columns, alpha, beta, lambda deltas: jnp.sqrt(sum(delta * delta for delta in deltas)))


def _tiled(columns, alpha, beta, norm):
    """Mean of `norm` over rows: a scan over blocks of rows for each tile of pairs, one running sum per lane."""
    dim, count = columns.shape
    blocks = columns.reshape(dim, -1, BLOCK).swapaxes(0, 1)

    def tile(ab):
        a, b = ab

        def step(sums, block):
            return sums + norm([a[:, d, None] * block[d] + b[:, d, None] for d in range(dim)]), None

        return jax.lax.scan(step, jnp.zeros((TILE, BLOCK), columns.dtype), blocks)[0].sum(axis=1) / count

    return jax.lax.map(tile, tuple(x.reshape(-1, TILE, dim) for x in (alpha, beta))).reshape(-1)


def over_pairs(kernel, dtype, rows, scale, offset) -> Callable[[], np.ndarray]:
    """`kernel` for the unordered pairs of keys, `(K, K)`, pairs i < j; their number a multiple of `TILE`."""
    upper = np.triu_indices(len(scale), 1)
    alpha, beta = ((x[upper[1]] - x[upper[0]]).astype(dtype) for x in (scale, offset))
    x64 = partial(jax.enable_x64, np.dtype(dtype) == np.float64)
    with x64():
        inputs = tuple(jnp.asarray(x) for x in (np.ascontiguousarray(rows.T, dtype), alpha, beta))

    def call():
        out = np.zeros((len(scale), len(scale)))
        with x64():
            out[upper] = kernel(*inputs)
        return out

    return call
