"""What every benchmark runs on: seeded keys and actions, real rows where they are, and the machine in one line."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import execspec_fast
import numpy as np
import numpy.typing as npt
import pytest
from execspec_fast import Unnormalizer, isa, load_actions

Array = npt.NDArray[np.float64]

DIM = 7
KEYS = 1_000
ROWS = 1_000_000
SHARED = Path(__file__).resolve().parents[2] / "shared" / "trajectories"


def keys(count: int) -> list[Unnormalizer]:
    """Keys whose bounds lie between 0.5 and 1 on either side of zero: no two alike, every pair crosses somewhere."""
    low, high = np.random.default_rng(1).uniform(0.5, 1.0, (2, count, DIM))
    return [Unnormalizer.from_bounds(-lo, hi) for lo, hi in zip(low, high, strict=True)]


def scales_offsets(maps: list[Unnormalizer]) -> tuple[Array, Array]:
    """`a = scale * u + offset`, `(K, D)` each: what a brute-force peer is given."""
    scale, offset = zip(*(f.scale_offset() for f in maps), strict=True)
    return np.array(scale), np.array(offset)


def normal_rows(count: int) -> Array:
    """`(count, D)`, independent and normal, hardly a value twice: the hardest case for tables of unique values."""
    return np.random.default_rng(2).normal(0.0, 0.5, (count, DIM))


def real_rows() -> Array:
    """`(N, D)`, all 7-channel actions of LIBERO and robosuite in `shared/trajectories`, in controller units."""
    files = sorted([*SHARED.glob("libero/scripted/*.npz"), *SHARED.glob("robosuite/**/*.hdf5")])
    if not files:
        pytest.skip(f"no recorded actions in {SHARED}")
    return np.concatenate([load_actions(file).values.astype(np.float64) for file in files])


def some_pairs(count: int) -> list[tuple[int, int]]:
    """Ordered pairs of different keys, for checking an answer before it is timed."""
    pairs = np.random.default_rng(3).integers(0, count, (10, 2))
    return [(int(i), int(j)) for i, j in pairs if i != j]


def machine() -> str:
    """CPU, cores, the path the core took, versions of what was measured."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    versions = [f"{name} {version(name)}" for name in ("numpy", "jax", "numba") if find_spec(name)]
    built = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True) if shutil.which("g++") else None
    compiler = [f"g++ {built.stdout.strip()}"] if built else []
    core = f"execspec_fast {execspec_fast.__version__} ({isa.active()})"
    parts = [named[1] if named else platform.processor(), f"{os.cpu_count()} cores", platform.platform(), core]
    return ", ".join([*parts, f"Python {platform.python_version()}", *versions, *compiler])
