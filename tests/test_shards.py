"""Drift over parts against drift over their union."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import strategies as own
from execspec_fast.drift import drift
from execspec_fast.errors import ExecSpecError, ShapeMismatchError, StatsError
from execspec_fast.matrix import drift_matrix
from execspec_fast.metric import JOINT, SEPARABLE, parse_metric
from execspec_fast.sample import ActionSample
from execspec_fast.shards import drift_over, drift_union
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st

METRICS = [name for name in (*SEPARABLE, *JOINT, "exceeds:0.1") if parse_metric(name).additive]


@st.composite
def divided(draw):
    """Two keys, rows, and where to cut them."""
    tables = draw(own.op_tables(2)), draw(own.op_tables(2))
    u = draw(own.samples(2))
    cuts = draw(st.lists(st.integers(1, max(1, len(u) - 1)), max_size=4, unique=True)) if len(u) > 1 else []
    return [Unnormalizer(table) for table in tables], u, np.split(u, sorted(cuts))


@given(divided(), st.sampled_from(METRICS))
def test_parts_combine_to_the_union(case, metric):
    specs, u, parts = case
    want, got = drift_matrix(specs, u, metric), drift_over(specs, parts, metric)
    if metric in ("max", "max_l2", "worst_case"):
        np.testing.assert_array_equal(got, want)
    else:
        size = drift_matrix(specs, u, "mean_abs") if metric == "bias" else want  # a bias may cancel
        assert (np.abs(got - want) <= 1e-12 * size + 8 * own.TINY).all()


def test_a_small_part_keeps_its_digits_beside_a_large_one():
    for metric, want in (("mean_abs", (1e9 + 1e9) / (1e9 + 1)), ("rms", np.sqrt((1e18 + 1e9) / (1e9 + 1)))):
        for parts in ([(1, 1e9), (10**9, 1.0)], [(10**9, 1.0), (1, 1e9)]):
            assert drift_union(parts, metric) == pytest.approx(want, rel=1e-15)


def test_many_parts_stay_within_the_stated_rounding():
    rng = np.random.default_rng(0)
    rows, values = rng.integers(1, 100, 3000), rng.lognormal(0, 2, 3000)
    parts = [(int(n), x) for n, x in zip(rows, values, strict=True)]
    assert drift_union(parts, "mean") == pytest.approx(np.average(values, weights=rows), rel=1e-12)
    assert drift_union(parts, "rms") == pytest.approx(np.sqrt(np.average(values**2, weights=rows)), rel=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_squares_neither_underflow_nor_overflow(size):
    assert drift_union([(1, 3 * size), (1, 4 * size)], "rms") == pytest.approx(np.sqrt(12.5) * size, rel=1e-14)
    assert drift_union([(10**9, size), (10**9, size)], "mean_abs") == pytest.approx(size, rel=1e-14)


def test_fields_of_a_drift_combine_and_are_left_alone():
    a, b = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])
    first, second = drift(a, b, [[0.5]]), drift(a, b, [[1.0], [-1.0]])
    assert drift_union([(1, first.bias), (2, second.bias)], "bias") == pytest.approx([0.5 / 3])
    assert drift_union([(1, first.max), (2, second.max)], "max").tolist() == [1.0]
    assert first.bias.tolist() == [0.5]


def test_chunks_are_read_once_and_one_at_a_time():
    read = []

    def chunks():
        for k in range(4):
            assert not any(one() is not None for one in read)
            chunk = np.full((3, 1), float(k))
            read.append(weakref.ref(chunk))
            handed = [chunk]
            del chunk
            yield handed.pop()

    specs = [Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])]
    assert drift_over(specs, chunks())[0, 1, 0] == 1.5
    assert len(read) == 4


def test_missing_numbers_stay_missing():
    constant, other = Unnormalizer.from_bounds([1.0, 0.0], [1.0, 1.0]), Unnormalizer.from_bounds([0.0] * 2, [2.0] * 2)
    parts = [ActionSample.from_physical([[1.0, x]], constant) for x in (0.0, 1.0)]
    for metric in ("mean_abs", "rms", "max"):
        assert np.isnan(drift_over([constant, other], parts, metric)[0, 1]).tolist() == [True, False]
    with pytest.raises(StatsError, match=r"excludes channels \[\], those before it \[0\]") as caught:
        drift_over([constant, other], [parts[0], ActionSample([[1.0, 0.0]])])
    assert caught.value.__notes__ == ["in the chunk that begins at row 1"]


@pytest.mark.parametrize("metric", ["p50", "p99.9", "p95_l2"])
def test_quantiles_do_not_combine(metric):
    with pytest.raises(ExecSpecError, match=f"'{metric}' of a union .*exceeds:EPS"):
        drift_over([Unnormalizer.from_bounds([-1.0], [1.0])], iter([[[1.0]]]), metric)


def test_wrong_parts_are_named():
    specs = [Unnormalizer.from_bounds([-1.0], [1.0])]
    with pytest.raises(ExecSpecError, match="no parts"):
        drift_over(specs, [])
    with pytest.raises(StatsError, match="no actions at all") as caught:
        drift_over(specs, [[[1.0]], np.empty((0, 1))])
    assert caught.value.__notes__ == ["in the chunk that begins at row 1"]
    with pytest.raises(ShapeMismatchError) as mismatch:
        drift_over(specs, [[[1.0]], [[1.0, 2.0]]])
    assert mismatch.value.__notes__ == ["in the chunk that begins at row 1"]
    with pytest.raises(StatsError, match="law without rows"):
        drift_over(specs, [ActionSample.uniform(1)])
    with pytest.raises(ExecSpecError, match="median"):
        drift_over(specs, [[[1.0]]], "median")
    with pytest.raises(StatsError, match="part 0 has 0 rows"):
        drift_union([(0, 1.0)], "mean")
    with pytest.raises(ShapeMismatchError, match=r"part 1 has drifts of shape \(2,\), those before \(\)"):
        drift_union([(1, 1.0), (1, [1.0, 2.0])], "mean")
