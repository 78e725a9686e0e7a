"""`sweep.cpp` and `squares.cpp`, compiled on the spot for this machine: one thread."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

DOUBLES, FLOATS = (np.ctypeslib.ndpointer(dtype, flags="C") for dtype in (np.float64, np.float32))


@cache
def library(source: str) -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip(f"no g++ to compile {source} with")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "peer.so")
        flags = ["-std=c++17", "-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, str(Path(__file__).with_name(source)), "-o", str(built)], check=True)
        return ctypes.CDLL(str(built))


def mean_abs(rows, scale, offset) -> Callable[[], np.ndarray]:
    """Mean |delta| over rows and channels, `(K, K)`, pairs i < j; K a multiple of 4, N of 16."""
    columns, scales, offsets = (np.ascontiguousarray(x.T, np.float32) for x in (rows, scale, offset))
    (dim, count), size = columns.shape, len(scale)
    sums = np.zeros((size, size))
    sweep = library("sweep.cpp").sweep
    sweep.argtypes = [FLOATS, ctypes.c_size_t, ctypes.c_size_t, FLOATS, FLOATS, ctypes.c_size_t, DOUBLES]

    def call():
        sweep(columns, count, dim, scales, offsets, size, sums)
        return np.triu(sums, 1) / (count * dim)

    return call


def mean_square(rows, scale, offset) -> Callable[[], np.ndarray]:
    """Mean ||delta||^2 over rows in float64, `(P,)` by `np.triu_indices(K, 1)`; D = 7, N a multiple of 32."""
    upper = np.triu_indices(len(scale), 1)
    alpha, beta = (np.ascontiguousarray(x[upper[1]] - x[upper[0]]) for x in (scale, offset))
    columns, sums = np.ascontiguousarray(rows.T), np.zeros(len(alpha))
    squares = library("squares.cpp").squares
    squares.argtypes = [DOUBLES, ctypes.c_size_t, DOUBLES, DOUBLES, ctypes.c_size_t, DOUBLES]

    def call():
        squares(columns, len(rows), alpha, beta, len(alpha), sums)
        return sums / len(rows)

    return call
