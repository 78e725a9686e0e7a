"""Tiles against the matrix: every ordered pair once, whatever the size."""

from __future__ import annotations

import execspec_fast.tiles as module
import numpy as np
import pytest
from execspec_fast.domain import UNIT_INTERVAL, Domain
from execspec_fast.errors import ExecSpecError, ShapeMismatchError
from execspec_fast.matrix import drift_matrix
from execspec_fast.metric import JOINT, SEPARABLE
from execspec_fast.sample import ActionSample
from execspec_fast.tiles import drift_tiles, pair_blocks
from execspec_fast.unnormalizer import Unnormalizer

K, D = 7, 3
DOMAINS = (UNIT_INTERVAL, Domain(-0.5, 0.25))


@pytest.fixture
def specs():
    rng = np.random.default_rng(0)
    made = []
    for k in range(K):
        low, high = np.sort(rng.normal(size=(2, D)), axis=0)
        bounded = Unnormalizer.from_bounds(low, high, mask=[True, True, k % 2 == 0])
        made.append(Unnormalizer(bounded.table(), domain=DOMAINS[k % 2], gripper=bounded.gripper))
    return made


@pytest.fixture
def u():
    return np.random.default_rng(1).normal(0, 0.7, (50, D))


def assembled(tiles, shape):
    """The matrix that tiles make, and how often each pair came."""
    whole, times = np.full(shape, np.nan), np.zeros(shape[:2], int)
    for rows, columns, drifts in tiles:
        assert drifts.shape[:2] == (rows.stop - rows.start, columns.stop - columns.start)
        whole[rows, columns] = drifts
        times[rows, columns] += 1
    return whole, times


@pytest.mark.parametrize("metric", [*SEPARABLE, *JOINT, "p90", "exceeds:0.1", "p90_l2"])
@pytest.mark.parametrize("tile", [1, 2, 3, K - 1, K, K + 1])
def test_tiles_make_the_matrix(specs, u, metric, tile):
    want = drift_matrix(specs, u, metric)
    whole, times = assembled(drift_tiles(specs, u, metric, tile), want.shape)
    assert (times == 1).all()
    np.testing.assert_array_equal(whole, want)


@pytest.mark.parametrize("metric", ["mean_abs", "mean", "worst_case"])
def test_one_sample_per_row_has_no_mirror(specs, u, metric):
    samples = [ActionSample(u * (k + 1)) for k in range(K)]
    want = drift_matrix(specs, samples, metric)
    whole, times = assembled(drift_tiles(specs, samples, metric, 2), want.shape)
    assert (times == 1).all()
    np.testing.assert_array_equal(whole, want)


def test_tiles_of_a_row_come_in_the_order_of_their_columns(specs, u):
    last = np.full(K, -1)
    for rows, columns, _ in drift_tiles(specs, u, "mean", 2):
        assert (last[rows] < columns.start).all()
        last[rows] = columns.start


@pytest.mark.parametrize(("metric", "blocks"), [("mean_abs", 10), ("bias", 10), ("worst_case", 16)])
def test_each_tile_is_computed_when_asked_for_and_half_of_them_are_mirrored(specs, u, metric, blocks, monkeypatch):
    shapes = []

    def counting(*arguments, **named):
        result = drift_block(*arguments, **named)
        shapes.append(result.shape)
        return result

    drift_block = module.drift_block
    monkeypatch.setattr(module, "drift_block", counting)
    tiles = drift_tiles(specs, u, metric, 2)
    next(tiles)
    assert shapes == [(2, 2, D)]
    assert len(list(tiles)) == 15
    assert len(shapes) == blocks
    assert max(shapes) == (2, 2, D)


def test_one_number_of_a_separable_metric_is_its_worst_channel_without_grippers(specs, u):
    specs[1] = Unnormalizer.from_bounds([0.0] * D, [1.0] * D, mask=[False] * D)
    matrix = np.abs(drift_matrix(specs, u, "bias"))
    whole, _ = assembled(
        (one for block in pair_blocks(specs, u, "bias", 3, scalar=True) for one in block.directions()), (K, K)
    )
    for i in range(K):
        for j in range(K):
            used = [d for d in range(D) if d not in {*specs[i].gripper, *specs[j].gripper}]
            assert used or np.isnan(whole[i, j])
            assert not used or whole[i, j] == matrix[i, j, used].max()


def test_wrong_arguments_are_named_at_once(specs, u):
    with pytest.raises(ShapeMismatchError, match="0 specs"):
        drift_tiles([], u)
    with pytest.raises(ShapeMismatchError, match="tiles of 0 keys"):
        drift_tiles(specs, u, tile=0)
    with pytest.raises(ShapeMismatchError, match="2 samples for 7 specs"):
        drift_tiles(specs, [ActionSample(u)] * 2)
    with pytest.raises(ExecSpecError, match="median"):
        next(drift_tiles(specs, u, "median"))
    with pytest.raises(ShapeMismatchError):
        next(drift_tiles([*specs, Unnormalizer.from_bounds([0.0], [1.0])], u))
