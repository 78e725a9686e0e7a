"""`sweep.cpp`, compiled on the spot for this machine: one thread, float32."""

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

SOURCE = Path(__file__).with_name("sweep.cpp")


@cache
def library() -> ctypes.CDLL:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++ to compile the SIMD sweep with")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder, "sweep.so")
        flags = ["-std=c++17", "-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", str(built)], check=True)
        return ctypes.CDLL(str(built))


def mean_abs(rows, scale, offset) -> Callable[[], np.ndarray]:
    """Mean |delta| over rows and channels, `(K, K)`, pairs i < j; K a multiple of 4, N of 16."""
    columns, scales, offsets = (np.ascontiguousarray(x.T, np.float32) for x in (rows, scale, offset))
    (dim, count), size = columns.shape, len(scale)
    sums = np.zeros((size, size))
    double, single = (np.ctypeslib.ndpointer(dtype, flags="C") for dtype in (np.float64, np.float32))
    sweep = library().sweep
    sweep.argtypes = [single, ctypes.c_size_t, ctypes.c_size_t, single, single, ctypes.c_size_t, double]

    def call():
        sweep(columns, count, dim, scales, offsets, size, sums)
        return np.triu(sums, 1) / (count * dim)

    return call
