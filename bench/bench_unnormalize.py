"""Batch un-normalization of 10^7 rows, beside a copy and beside OpenVLA's own expression."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from comparison import at_least, beside
from execspec_fast import Unnormalizer, ops
from workload import DIM

ROWS = 10_000_000
LOW, HIGH = np.random.default_rng(4).uniform(0.5, 1.0, (2, DIM)) * [[-1], [1]]
MASK = np.arange(DIM) < DIM - 1
HEAD = 100_000  # rows whose bits are compared
WORK = f"batch unnormalize float32 {ROWS:,} x {DIM}"


@pytest.fixture(scope="module")
def u():
    return np.random.default_rng(5).uniform(-1, 1, (ROWS, DIM)).astype(np.float32)


def openvla(u, low, high):
    return np.where(MASK, 0.5 * (u + 1) * (high - low) + low, u)


@pytest.mark.parametrize(("threads", "work"), [(1, WORK), (None, "the same, called without `threads`: all cores")])
def test_float32_beside_a_copy(benchmark, u, threads, work):
    f, out = Unnormalizer.from_bounds(LOW, HIGH, MASK), np.zeros_like(u)
    copy = np.zeros_like(u)
    low, high = LOW.astype(np.float32), HIGH.astype(np.float32)
    np.testing.assert_array_equal(f(u, out=out, threads=1)[:HEAD], openvla(u[:HEAD], low, high))
    ours = partial(f, u, out=out, threads=threads)
    beside(benchmark, work, ours, "np.copyto", partial(np.copyto, copy, u), at_least(1.1, aim=1.4), rounds=9)


def test_float32_beside_openvla(benchmark, u):
    f, out = Unnormalizer.from_bounds(LOW, HIGH, MASK), np.zeros_like(u)
    low, high = LOW.astype(np.float32), HIGH.astype(np.float32)
    np.testing.assert_array_equal(f(u, out=out, threads=1)[:HEAD], openvla(u[:HEAD], low, high))
    name = "OpenVLA's expression with float32 figures, the same bits"
    peer = partial(openvla, u, low, high)
    beside(benchmark, "the same", partial(f, u, out=out, threads=1), name, peer, at_least(15, aim=40))


def test_as_openvla_does_beside_openvla(benchmark, u):
    table = ops.stage(DIM, ops.OpKind.ENDPOINT, LOW, HIGH, 0.0, dtype=ops.OpDType.FLOAT64, where=MASK)
    f, out = Unnormalizer(table), np.zeros(u.shape)
    np.testing.assert_array_equal(f(u, out=out, dtype="float64", threads=1)[:HEAD], openvla(u[:HEAD], LOW, HIGH))
    name = "OpenVLA's expression as it is (float64 figures), the same bits"
    ours = partial(f, u, out=out, dtype="float64", threads=1)
    beside(benchmark, "the same with float64 out", ours, name, partial(openvla, u, LOW, HIGH), at_least(15, aim=40))
