"""Certified intervals for E||delta||: they hold, they narrow, and what they leave open is swept."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.errors import ExecSpecError
from execspec_fast.l2 import mean_l2_bounds
from execspec_fast.matrix import drift_matrix
from execspec_fast.ops import OpKind, stage
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st
from test_drift import HOSTILE
from test_matrix import keys


@given(
    st.lists(st.sampled_from(sorted(HOSTILE)), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.integers(1, 300)
)
def test_no_pair_leaves_its_interval(kinds, seed, cells):
    rng = np.random.default_rng(seed)
    u = np.stack([np.resize(HOSTILE[kind](rng), 200) for kind in kinds], axis=1)
    maps, sample = keys(rng, 17, len(kinds)), ActionSample(u)
    found, want = mean_l2_bounds(maps, sample, cells), drift_matrix(maps, sample, "mean_l2")
    assert found.swept == 0
    assert found.cells <= cells
    assert ((found.lower <= want) & (want <= found.upper)).all()
    assert (found.lower[want == 0] == 0).all()


def test_more_cells_narrow_and_one_cell_per_row_closes_it():
    rng = np.random.default_rng(1)
    maps, sample = keys(rng, 12, 3), ActionSample(rng.normal(0, 0.6, (500, 3)))
    widths = [mean_l2_bounds(maps, sample, cells).width.max() for cells in (1, 8, 64, 500)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1e-11


def test_cells_are_cut_where_pairs_differ_and_no_key_outvotes_the_others():
    rng = np.random.default_rng(3)
    low, high = -rng.uniform(0.5, 1, (20, 3)), rng.uniform(0.5, 1, (20, 3))
    low[:, 0], high[:, 0] = -1, 1  # channel 0 is the same for all
    u = rng.normal(0, 0.4, (4000, 3))
    maps = [Unnormalizer.from_bounds(*bounds) for bounds in zip(low, high, strict=True)]
    width = mean_l2_bounds(maps, u, cells=64).width
    still = mean_l2_bounds(maps, u * [0, 1, 1], cells=64).width
    np.testing.assert_allclose(width, still, atol=1e-12)
    stranger = Unnormalizer.from_bounds([-1e6, -1, -1], [1e6, 1, 1])
    beside = mean_l2_bounds([*maps, stranger], u, cells=64).width[:20, :20]
    one = mean_l2_bounds(maps, u, cells=1).width
    assert width.mean() < beside.mean() < one.mean() / 4


def test_what_is_wider_than_asked_or_undecided_is_swept_and_counted():
    rng = np.random.default_rng(2)
    maps, sample = keys(rng, 20, 3), ActionSample(rng.normal(0, 0.6, (500, 3)))
    want = drift_matrix(maps, sample, "mean_l2")
    rough = mean_l2_bounds(maps, sample, cells=4)
    exact = mean_l2_bounds(maps, sample, cells=4, tol=0.0)
    np.testing.assert_array_equal(exact.lower[exact.lower == exact.upper], want[exact.lower == exact.upper])
    assert exact.swept == np.triu(rough.upper > rough.lower).sum()
    threshold = float(np.median(want))
    decided = mean_l2_bounds(maps, sample, cells=4, threshold=threshold)
    assert 0 < decided.swept < exact.swept
    np.testing.assert_array_equal(decided.lower > threshold, want > threshold)
    np.testing.assert_array_equal(decided.upper > threshold, want > threshold)


def test_bent_maps_are_swept_and_grippers_left_out_pair_by_pair():
    rng = np.random.default_rng(4)
    sample = ActionSample(rng.normal(0, 0.6, (300, 3)))
    maps = keys(rng, 4, 3)
    maps[1] = maps[1].then(stage(3, OpKind.CLIP, -0.1, 0.1))
    maps[2] = Unnormalizer(maps[2].table(), gripper=(2,))
    found, want = mean_l2_bounds(maps, sample, cells=32), drift_matrix(maps, sample, "mean_l2")
    assert found.bent == found.swept == 4  # (1, 1) included: nothing is said of it without looking
    assert ((found.lower <= want) & (want <= found.upper)).all()
    np.testing.assert_array_equal(found.lower[1], want[1])


def test_a_matrix_within_a_tolerance_says_how_much_it_swept(caplog):
    rng = np.random.default_rng(6)
    maps, sample = keys(rng, 12, 3), ActionSample(rng.normal(0, 0.6, (9000, 3)))
    exact = drift_matrix(maps, sample, "mean_l2")
    out = np.empty((12, 12))
    with caplog.at_level("INFO"):
        assert drift_matrix(maps, sample, "mean_l2", out=out, tol=0.01) is out
    np.testing.assert_allclose(out, exact, rtol=0.01)
    assert "pairs swept" in caplog.text
    for metric, samples in (("mean", sample), ("mean_l2", [sample] * 12)):
        with pytest.raises(ExecSpecError, match="tol"):
            drift_matrix(maps, samples, metric, tol=0.1)


def test_bad_questions_are_refused():
    maps = [Unnormalizer.from_bounds([-1.0], [1.0])]
    with pytest.raises(ExecSpecError, match="joint rows"):
        mean_l2_bounds(maps, ActionSample.uniform(1))
    for kwargs in ({"cells": 0}, {"tol": -1.0}, {"tol": float("nan")}):
        with pytest.raises(ExecSpecError, match="at least one"):
            mean_l2_bounds(maps, [[0.0]], **kwargs)
