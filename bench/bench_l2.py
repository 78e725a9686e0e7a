"""Joint drift E ||delta||_2 of all pairs: the exact sweep beside JAX, and the certified interval."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from comparison import at_least, at_most, beside, reported, row, seconds
from execspec_fast import ActionSample, drift_matrix
from execspec_fast.l2 import mean_l2_bounds
from workload import DIM, KEYS, ROWS, keys, normal_rows, real_rows, scales_offsets, some_pairs

SWEPT = 64  # keys


@pytest.fixture(scope="module")
def case():
    maps, rows = keys(SWEPT), normal_rows(ROWS)
    return maps, rows, ActionSample(rows, threads=1), np.zeros((SWEPT, SWEPT))


def sweep(case, threads=1):
    maps, _, sample, out = case
    return drift_matrix(maps, sample, "mean_l2", out=out, threads=threads)


def squares(case):
    """Whatever sweeps the rows needs these at least."""
    from peers import simd

    maps, rows, _, _ = case
    run = simd.mean_square(rows, *scales_offsets(maps))
    i, j = np.triu_indices(SWEPT, 1)
    few = np.random.default_rng(6).integers(0, len(i), 10)
    literal = [np.square(maps[b](rows) - maps[a](rows)).sum(axis=1).mean() for a, b in zip(i[few], j[few], strict=True)]
    np.testing.assert_allclose(run()[few], literal, rtol=1e-10)
    return run


def pairs_of(count):
    return count * (count - 1) // 2


def test_sweep_per_row_and_pair(benchmark, case):
    maps, rows, _, _ = case
    drifts = sweep(case)
    for i, j in some_pairs(SWEPT):
        np.testing.assert_allclose(
            drifts[i, j], np.linalg.norm(maps[j](rows) - maps[i](rows), axis=1).mean(), rtol=1e-12
        )
    benchmark.pedantic(sweep, (case,), rounds=3)
    if benchmark.stats is None:
        return
    took = benchmark.stats.stats.median
    each = took / (ROWS * pairs_of(SWEPT)) * 1e9
    measured = f"{seconds(took)} for {pairs_of(SWEPT):,} unordered pairs, N = {ROWS:,}"
    row(benchmark, "mean_l2 exact sweep per row and pair, float64", measured, each, at_most(1.2, aim=0.5, unit="ns"))


SQUARES = "its squares alone: 14 fused multiply-adds a row and pair, no root"


def test_sweep_beside_its_squares(benchmark, case):
    beside(benchmark, "the same sweep", partial(sweep, case), SQUARES, squares(case), reported(), rounds=3)


PLAIN, TUNED = ("mean_l2_plain", 8, ROWS), ("mean_l2_tuned", 64, ROWS // 10)  # kernel, keys and rows of the subset
JAX = {
    # what is measured: (name, what is called, JAX's, what must be reached)
    "one thread": ("the same sweep", lambda case: partial(sweep, case), PLAIN, at_least(30)),
    "all cores": ("the same, all cores", lambda case: partial(sweep, case, None), PLAIN, reported(sign=">=")),
    "tuned": ("the same sweep", lambda case: partial(sweep, case), TUNED, reported(sign=">=")),
    "limit": (SQUARES, squares, PLAIN, reported(sign=">=")),
}


@pytest.mark.parametrize("measured", JAX)
def test_sweep_beside_jax(benchmark, case, measured):
    jax_sweep = pytest.importorskip("peers.jax_sweep")
    work, ours, (kernel, subset, count), target = JAX[measured]
    maps, rows, _, _ = case
    run = jax_sweep.over_pairs(getattr(jax_sweep, kernel), np.float64, rows[:count], *scales_offsets(maps[:subset]))
    exact = drift_matrix(maps[:subset], ActionSample(rows[:count]), "mean_l2")
    np.testing.assert_allclose(run(), np.triu(exact, 1), rtol=1e-10)
    whole = pairs_of(SWEPT) * ROWS / (pairs_of(subset) * count)
    by_hand = ", blocked by hand" if kernel == "mean_l2_tuned" else ""
    name = f"jitted JAX CPU, float64{by_hand} (from {pairs_of(subset):,} pairs, {count:,} rows)"
    beside(benchmark, work, ours(case), name, run, target, rounds=3, whole=whole)


CERTIFIED = {
    # name: (rows, how wide the widest interval may be)
    "rows of shared/trajectories": (real_rows, at_most(2, unit="%")),
    "normal rows": (partial(normal_rows, ROWS), reported("%")),
}


@pytest.mark.parametrize("of", CERTIFIED)
def test_certified_interval(benchmark, of):
    rows, narrow = CERTIFIED[of]
    maps, actions = keys(KEYS), rows()
    sample = ActionSample(actions, threads=1)
    bounds = benchmark.pedantic(
        mean_l2_bounds, (maps, sample), {"cells": 4096, "threads": 1}, rounds=3, warmup_rounds=1
    )
    few = some_pairs(KEYS)
    exact = np.array([np.linalg.norm(maps[j](actions) - maps[i](actions), axis=1).mean() for i, j in few])
    i, j = np.array(few).T
    # the interval is certain, the literal mean is rounded
    assert (bounds.lower[i, j] <= exact * (1 + 1e-12)).all()
    assert (exact * (1 - 1e-12) <= bounds.upper[i, j]).all()
    if benchmark.stats is None:
        return
    work = f"mean_l2 certified, K = {KEYS:,}, {len(actions):,} {of}"
    width = 100 * bounds.width[np.triu_indices(KEYS, 1)]
    took = benchmark.stats.stats.median
    row(benchmark, work, f"{bounds.cells:,} cells, {bounds.swept:,} pairs swept", took, at_most(5, unit="s"))
    spread = f"median {np.median(width):.2g} %, 99 % of pairs below {np.quantile(width, 0.99):.2g} %; the widest:"
    row(benchmark, f"width of the same intervals, {DIM} channels", spread, float(width.max()), narrow)
