"""Drift of all ordered pairs of keys, beside a copy of the result, a sort of the data, and brute force."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from comparison import at_least, at_most, beside, reported
from execspec_fast import ActionSample, drift_matrix
from workload import DIM, KEYS, ROWS, keys, normal_rows, scales_offsets, some_pairs

EPS = 0.1
LITERAL = {
    "mean_abs": lambda delta: np.abs(delta).mean(axis=0),
    "p50": lambda delta: quantile(delta, 0.50),
    "p99": lambda delta: quantile(delta, 0.99),
    f"exceeds:{EPS}": lambda delta: (np.abs(delta) > EPS).mean(axis=0),
}


def quantile(delta, p):
    """The inverted CDF of |delta|, `(D,)`."""
    rank = int(np.ceil(p * len(delta))) - 1
    return np.partition(np.abs(delta), rank, axis=0)[rank]


@pytest.fixture(scope="module")
def case():
    maps, rows = keys(KEYS), normal_rows(ROWS)
    return maps, rows, ActionSample(rows, threads=1), np.zeros((KEYS, KEYS, DIM))


def matrix(case, metric):
    maps, _, sample, out = case
    return drift_matrix(maps, sample, metric, out=out, threads=1)


def cold(case):
    maps, rows, _, out = case
    return drift_matrix(maps, ActionSample(rows, threads=1), "mean_abs", out=out, threads=1)


def assert_answer(case, metric):
    maps, rows, _, _ = case
    drifts = matrix(case, metric)
    for i, j in some_pairs(KEYS):
        expected = LITERAL[metric](maps[j](rows) - maps[i](rows))
        np.testing.assert_allclose(drifts[i, j], expected, rtol=1e-9, atol=2 / ROWS if metric.startswith("ex") else 0)


WORK = f"all pairs mean_abs, K = {KEYS:,}, N = {ROWS:,}"


def test_all_pairs_beside_a_copy_of_the_result(benchmark, case):
    assert_answer(case, "mean_abs")
    result, copy = case[-1], np.zeros_like(case[-1])
    peer = partial(np.copyto, copy, result)
    work = f"{WORK}, sample built"
    beside(benchmark, work, partial(matrix, case, "mean_abs"), "np.copyto of the result", peer, at_most(30, aim=15))


def test_cold_beside_a_sort(benchmark, case):
    rows = case[1]
    peer = partial(np.sort, rows, axis=0)
    work = f"{WORK}, cold: sample and matrix from the array"
    beside(benchmark, work, partial(cold, case), "np.sort(rows, axis=0)", peer, at_most(1.6, aim=1.1))


@pytest.mark.parametrize(("metric", "must"), [("p99", 1.5), ("p50", 4), (f"exceeds:{EPS}", 1.5)])
def test_metric_beside_mean_abs(benchmark, case, metric, must):
    assert_answer(case, metric)
    work = f"{metric}, the same pairs"
    beside(benchmark, work, partial(matrix, case, metric), "mean_abs", partial(matrix, case, "mean_abs"), at_most(must))


def simd(*inputs):
    from peers import simd

    return simd.mean_abs(*inputs)


def with_numba(kernel, dtype):
    def prepare(*inputs):
        from peers import numba_sweep

        return numba_sweep.mean_abs(getattr(numba_sweep, kernel), dtype, *inputs)

    return prepare


def with_jax(kernel, dtype):
    def prepare(*inputs):
        from peers import jax_sweep

        return jax_sweep.over_pairs(getattr(jax_sweep, kernel), dtype, *inputs)

    return prepare


BRUTE_FORCE = {
    # name: (what is called, keys of the subset, what must be reached)
    "blocked SIMD sweep, float32, one thread": (simd, 128, at_least(300, aim=1_000)),
    "jitted JAX CPU, float32": (with_jax("mean_abs_plain", np.float32), 16, at_least(2_000, aim=8_000)),
    "jitted JAX CPU, float32, blocked by hand": (with_jax("mean_abs_tuned", np.float32), 64, reported(sign=">=")),
    "numba parallel, float64": (with_numba("plain", np.float64), 16, at_least(5_000, aim=8_000)),
    "numba parallel, float32, tuned by hand": (with_numba("tuned", np.float32), 64, reported(sign=">=")),
}


@pytest.mark.parametrize("peer", BRUTE_FORCE)
def test_cold_beside_brute_force(benchmark, case, peer):
    """The peers sweep the pairs of the first few keys, each unordered pair once, on all rows."""
    prepare, subset, target = BRUTE_FORCE[peer]
    maps, rows, sample, _ = case
    run = prepare(rows, *scales_offsets(maps[:subset]))
    exact = drift_matrix(maps[:subset], sample, "mean_abs").mean(axis=-1)
    np.testing.assert_allclose(run(), np.triu(exact, 1), rtol=1e-4)
    pairs, whole = subset * (subset - 1) // 2, KEYS * (KEYS - 1) // 2
    name = f"{peer} (from {pairs:,} of {whole:,} pairs)"
    beside(benchmark, "the same, cold", partial(cold, case), name, run, target, rounds=3, whole=whole / pairs)
