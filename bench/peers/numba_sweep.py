"""numba, all cores: the loop as one writes it, and the same tuned by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

numba = pytest.importorskip("numba")


@numba.njit(parallel=True)
def plain(columns, scale, offset, out):
    size, dim = scale.shape
    for i in numba.prange(size):
        for j in range(i + 1, size):
            for d in range(dim):
                alpha, beta = scale[j, d] - scale[i, d], offset[j, d] - offset[i, d]
                total = 0.0
                for u in columns[d]:
                    total += abs(alpha * u + beta)
                out[i, j] += total


@numba.njit(fastmath=True)
def sum_of_block(block, alpha, beta):
    total = np.float32(0)
    for n in range(block.size):
        total += abs(alpha * block[n] + beta)
    return total


@numba.njit(parallel=True)
def tuned(columns, scale, offset, out):  # float32, SIMD by fastmath, rows in blocks that stay in the first cache
    size, dim = scale.shape
    count = columns.shape[1]
    for p in numba.prange(size):
        i = p // 2 if p % 2 == 0 else size - 1 - p // 2  # long and short rows to every thread
        for d in range(dim):
            for start in range(0, count, 4096):
                block = columns[d, start : start + 4096]
                for j in range(i + 1, size):
                    out[i, j] += sum_of_block(block, scale[j, d] - scale[i, d], offset[j, d] - offset[i, d])


def mean_abs(kernel, dtype, rows, scale, offset) -> Callable[[], np.ndarray]:
    """Mean |delta| over rows and channels, `(K, K)`, pairs i < j. `kernel`: `plain` or `tuned`."""
    columns = np.ascontiguousarray(rows.T, dtype)
    scales, offsets = scale.astype(dtype), offset.astype(dtype)

    def call():
        out = np.zeros((len(scale), len(scale)))
        kernel(columns, scales, offsets, out)
        return out / rows.size

    return call
