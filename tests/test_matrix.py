"""All pairs at once: equal to the pairs one by one, on every instruction set and number of threads."""

from __future__ import annotations

import exact
import numpy as np
import pytest
from execspec_fast import isa
from execspec_fast.drift import drift
from execspec_fast.errors import DTypeError, ExecSpecError, ShapeMismatchError
from execspec_fast.l2 import mean_l2_bounds
from execspec_fast.matrix import drift_block, drift_matrix
from execspec_fast.metric import JOINT, SEPARABLE
from execspec_fast.ops import OpKind, stage
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st
from test_drift import HOSTILE, pairs

NUMBERED = ("p1", "p50", "p99", "p100", "exceeds:0", "exceeds:0.05", "p50_l2", "p100_l2")
METRICS = SEPARABLE + JOINT + NUMBERED


@given(pairs(), st.integers(2, 4))
def test_matrix_is_the_pairs_and_threads_change_no_bit(case, threads):
    table_i, table_j, u = case
    maps = [Unnormalizer(table_i), Unnormalizer(table_j)]
    sample = ActionSample(u)
    for metric in METRICS:
        matrix = drift_matrix(maps, sample, metric, threads=1)
        assert exact.same_bits(matrix, drift_matrix(maps, sample, metric, threads=threads))
        for i in range(2):
            for j in range(2):
                np.testing.assert_array_equal(matrix[i, j], of_pair(drift(maps[i], maps[j], sample), metric))


def test_matrix_writes_out_and_takes_one_sample_per_row():
    maps = [Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])]
    samples = [ActionSample([[1.0]]), ActionSample([[0.5]])]
    out = np.empty((2, 2, 1))
    assert drift_matrix(maps, samples, out=out) is out
    assert out[..., 0].tolist() == [[0.0, 1.0], [0.5, 0.0]]
    with pytest.raises(ShapeMismatchError, match="one per intended spec"):
        drift_matrix(maps, [samples[0]] * 3)
    with pytest.raises(ShapeMismatchError, match=r"\(2, 2, 1\)"):
        drift_matrix(maps, samples, out=np.empty((2, 2)))
    with pytest.raises(ExecSpecError, match="median"):
        drift_matrix(maps, samples, metric="median")
    with pytest.raises(ShapeMismatchError, match="no specs"):
        drift_matrix([], samples[0])
    out.flags.writeable = False
    with pytest.raises(DTypeError, match="read-only"):
        drift_matrix(maps, samples, out=out)
    wide = np.full((2, 2, 2), -1.0)
    assert drift_matrix(maps, samples, out=wide[..., :1]).tolist() == [[[0.0], [1.0]], [[0.5], [0.0]]]
    assert (wide[..., 1] == -1.0).all()


def of_pair(d, metric):
    if metric.startswith("exceeds"):
        return d.exceeds(float(metric.split(":")[1]))
    if metric == "max_l2":
        return d.quantile_l2(1.0)
    if metric.endswith("_l2") and metric != "mean_l2":
        return d.quantile_l2(float(metric[1:-3]) / 100)
    return d.quantile(float(metric[1:]) / 100) if metric.startswith("p") else getattr(d, metric)


def keys(rng, count, dim):
    """Some far apart, some nearly equal, some equal."""
    low, high = -rng.uniform(0.3, 1, (count, dim)), rng.uniform(0.3, 1, (count, dim))
    low[1::4], high[1::4] = low[::4][: len(low[1::4])], high[::4][: len(high[1::4])]
    eps = np.where(np.arange(count) % 8 == 1, 1e-8, 0.0)
    return [Unnormalizer.from_bounds(*bounds) for bounds in zip(low, high, [None] * count, eps, strict=True)]


@pytest.mark.parametrize("data", [*HOSTILE, "far outlier", "255 bins"])
def test_batches_of_lines_are_what_the_definition_gives(data):
    """A clip that nothing reaches changes no drift, but is a bend: such maps are measured by the general definition."""
    rng = np.random.default_rng(3)
    more = {
        "far outlier": lambda r: np.append(r.normal(0, 0.5, 1999), 1e9),
        "255 bins": lambda r: (r.integers(1, 256, 2000) - 128) / 127.5,
    }
    u = np.stack([{**HOSTILE, **more}[data](rng) for _ in range(2)], axis=1)
    lines = keys(rng, 40, 2)
    bent = [f.then(stage(2, OpKind.CLIP, -1e149, 1e149)) for f in lines]
    sample = ActionSample(u)
    for metric in [m for m in METRICS if not m.endswith("_l2") and m != "worst_case"]:
        fast, slow = drift_matrix(lines, sample, metric), drift_matrix(bent, sample, metric)
        if metric.startswith("exceeds"):
            np.testing.assert_array_equal(fast, slow, err_msg=metric)
        np.testing.assert_allclose(fast, slow, rtol=1e-13, atol=1e-300, err_msg=metric)


@pytest.mark.parametrize("metric", METRICS)
def test_every_instruction_set_gives_the_same_bits(metric):
    rng = np.random.default_rng(5)
    u = rng.normal(0, 0.6, (3001, 7))
    u[::3, 2] = 0.25
    maps = keys(rng, 35, 7)
    maps[3] = maps[3].then(stage(7, OpKind.CLIP, -0.2, 0.3))
    before = isa.active()
    try:
        found = []
        for name in isa.available():
            isa.use(name)
            found.append(drift_matrix(maps, ActionSample(u), metric))
    finally:
        isa.use(before)
    assert all(exact.same_bits(found[0], other) for other in found)


def test_a_block_is_a_rectangle_of_the_matrix():
    rng = np.random.default_rng(7)
    maps, sample = keys(rng, 50, 2), ActionSample(rng.normal(0, 1, (500, 2)))
    for metric in ("mean_abs", "bias", "mean", "mean_l2", "worst_case"):
        whole = drift_matrix(maps, sample, metric)
        np.testing.assert_array_equal(drift_block(maps[:33], maps[10:], sample, metric), whole[:33, 10:])


def test_threads_lose_no_pair_of_more_than_pass_over_a_block_together():
    rng = np.random.default_rng(8)
    maps, u = keys(rng, 70, 2), rng.normal(0, 1, (40, 2))
    sample = ActionSample(u)
    actions = np.array([f(u) for f in maps])
    want = np.linalg.norm(actions[None] - actions[:, None], axis=-1).mean(axis=-1)
    for threads in (1, 2, 3):
        np.testing.assert_allclose(drift_matrix(maps, sample, "mean_l2", threads=threads), want, atol=1e-14)
        found = mean_l2_bounds(maps, sample, 8, threads=threads)
        assert ((found.lower - 1e-14 <= want) & (want <= found.upper + 1e-14)).all()


def test_numbers_in_a_name_are_checked():
    f = [Unnormalizer.from_bounds([-1.0], [1.0])]
    for name in ("p0", "p101", "pnan", "p", "exceeds:-1", "exceeds:", "exceeds:inf", "p50_l1", "bias_l2"):
        with pytest.raises(ExecSpecError, match="known"):
            drift_matrix(f, [[0.0]], name)
