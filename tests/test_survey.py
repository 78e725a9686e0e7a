"""The survey against the whole matrix, ties and missing numbers included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from execspec_fast.conventions import Conventions, declared
from execspec_fast.errors import ExecSpecError, ShapeMismatchError
from execspec_fast.matrix import drift_matrix
from execspec_fast.sample import ActionSample
from execspec_fast.survey import Survey, survey
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st


@dataclass
class Spec:
    """A map with a declared frame, so that some pairs have no drift."""

    map: Unnormalizer
    conventions: Conventions


@st.composite
def registries(draw):
    """Keys with few different widths, so that drifts tie, some of them in conflicting frames."""
    widths = draw(st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0]), min_size=1, max_size=9))
    frames = draw(st.lists(st.sampled_from(["base", "base", "tool"]), min_size=len(widths), max_size=len(widths)))
    return [
        Spec(Unnormalizer.from_bounds([-w], [w]), Conventions(frame=declared(frame, "test")))
        for w, frame in zip(widths, frames, strict=True)
    ]


U = np.array([[-1.0], [0.25], [0.5], [1.0]])


def figures(found: Survey) -> list[object]:
    return [
        *(x.tolist() for s in (found.nearest, found.worst) for x in (s.index, np.nan_to_num(s.drift, nan=-1.0))),
        *(x.tolist() for x in (found.above.intended, found.above.executed, found.above.drift, found.incomparable)),
        *(x.tolist() for x in (found.histogram.edges, found.histogram.counts)),
        (found.above.count, found.histogram.zeros, found.histogram.infinite, found.pairs),
    ]


@given(registries(), st.integers(0, 4), st.integers(1, 10), st.sampled_from([0.0, 0.3, 10.0]), st.integers(1, 7))
def test_survey_is_the_matrix_summed_up(specs, k, tile, threshold, listed):
    matrix = drift_matrix(specs, U, "mean")
    keys = range(len(specs))
    found = survey(specs, U, nearest=k, worst=k, threshold=threshold, listed=listed, tile=tile)
    pairs = [(i, j) for i in keys for j in keys if i != j and not np.isnan(matrix[i, j])]
    assert found.pairs == len(pairs)
    for i in keys:
        own = [j for p, j in pairs if p == i]
        assert found.incomparable[i] == len(specs) - 1 - len(own)
        for siblings, sign in ((found.nearest, 1), (found.worst, -1)):
            want = sorted(own, key=lambda j: (sign * matrix[i, j], j))[:k]
            assert siblings.index[i].tolist() == want + [-1] * (k - len(want))
            np.testing.assert_array_equal(siblings.drift[i, : len(want)], matrix[i, want])
            assert np.isnan(siblings.drift[i, len(want) :]).all()
    beyond = sorted((-matrix[p], *p) for p in pairs if matrix[p] > threshold)
    assert found.above.count == len(beyond)
    assert found.above.cut == (len(beyond) > listed)
    got = zip(-found.above.drift, found.above.intended, found.above.executed, strict=True)
    assert list(got) == beyond[:listed]
    values = np.array([matrix[p] for p in pairs])
    assert found.histogram.zeros == (values == 0).sum()
    np.testing.assert_array_equal(found.histogram.counts, np.histogram(values[values > 0], found.histogram.edges)[0])
    assert found.histogram.counts.sum() + found.histogram.zeros == len(pairs)


@given(registries(), st.integers(1, 5), st.integers(2, 4))
def test_neither_tiles_nor_threads_change_the_answer(specs, tile, threads):
    for metric in ("mean", "rms", "worst_case"):
        want = survey(specs, U, metric, nearest=2, worst=2, listed=3, tile=99, threads=1)
        assert figures(survey(specs, U, metric, nearest=2, worst=2, listed=3, tile=tile, threads=threads)) == figures(
            want
        )


def test_a_later_sibling_nearer_by_the_smallest_step_wins():
    specs = [Unnormalizer.from_bounds([-w], [w]) for w in (0.0, 1.0, np.nextafter(1.0, 0.0), 1.0)]
    assert survey(specs, [[1.0]], nearest=1, tile=1).nearest.index[0].tolist() == [2]


def test_strips_and_many_tiles_lose_no_pair(monkeypatch):
    rng = np.random.default_rng(0)
    specs = [Unnormalizer.from_bounds(-w, w) for w in rng.choice([0.5, 1.0, 1.5, 2.0, 2.25], (60, 2))]
    want = survey(specs, U.repeat(2, axis=1), listed=50)
    monkeypatch.setattr("execspec_fast.tiles.STRIP", 32)
    got = survey(specs, U.repeat(2, axis=1), listed=50, tile=13)
    assert figures(got) == figures(want)
    assert got.histogram.counts.sum() + got.histogram.zeros == 60 * 59


def test_what_nothing_bounds_is_counted_apart():
    specs = [Unnormalizer.from_bounds([-w], [w]) for w in (1.0, 1.0, 2.0)]  # no domain: the worst case is infinite
    found = survey(specs, U, "worst_case", nearest=1, worst=1)
    assert (found.histogram.zeros, found.histogram.infinite, found.histogram.counts.size) == (2, 4, 0)
    assert found.histogram.quantile(0.3) == (0.0, 0.0)
    assert found.histogram.quantile(1.0) == (np.inf, np.inf)
    assert found.nearest.index.tolist() == [[1], [0], [0]]
    assert found.worst.drift.tolist() == [[np.inf]] * 3


@pytest.mark.parametrize("bins", [1, 4, 256])
def test_histogram_edges_cut_octaves_exactly(bins):
    specs = [Unnormalizer.from_bounds([-w], [w]) for w in (1.0, 1.25, 1.5, 2.0, 5e-324)]
    found = survey(specs, [[1.0]], bins=bins).histogram
    octaves = [2.0**n * (1 + m / bins) for n in range(-3, 3) for m in range(bins)]
    first = octaves.index(found.edges[0])
    assert found.edges.tolist() == octaves[first : first + len(found.edges)]
    assert found.counts[0] > 0
    assert found.counts[-1] > 0
    values = np.abs(np.subtract.outer(*[[1.0, 1.25, 1.5, 2.0, 5e-324]] * 2))[~np.eye(5, dtype=bool)]
    for p in (0.0, 0.1, 0.5, 0.75, 1.0):
        low, high = found.quantile(p)
        assert low <= np.quantile(values, p, method="inverted_cdf") < high


def test_two_keys_alike_up_to_the_smallest_number_are_not_equal():
    specs = [Unnormalizer.from_mean_std([m], [1.0]) for m in (0.0, 5e-324)]
    found = survey(specs, [[0.0]]).histogram
    assert (found.zeros, found.counts.tolist(), found.edges[0]) == (0, [2], 0.0)


def test_a_sample_that_says_nothing_leaves_no_pair():
    constant, other = Unnormalizer.from_bounds([1.0], [1.0]), Unnormalizer.from_bounds([0.0], [1.0])
    found = survey([constant, other], ActionSample.from_physical([[1.0]], constant))
    assert found.incomparable.tolist() == [1, 1]
    assert found.pairs == 0
    with pytest.raises(ExecSpecError, match="0 pairs"):
        found.histogram.quantile(0.5)
    assert "2 keys, 0 ordered pairs, 2 without a number" in str(found)


def test_a_survey_says_what_it_found():
    specs = [Unnormalizer.from_bounds([-w], [w]) for w in (1.0, 2.0, 4.0)]
    text = str(survey(specs, [[1.0]], threshold=0.5, listed=2))
    assert "3 keys, 6 ordered pairs" in text
    assert "median in [2, 2.25)" in text
    assert "above 0.5: 6 pairs, the worst 2 listed" in text


def test_wrong_arguments_are_named():
    specs = [Unnormalizer.from_bounds([-1.0], [1.0])]
    for wrong in ({"nearest": -1}, {"worst": -1}, {"listed": 0}, {"threshold": -1.0}, {"threshold": np.nan}):
        with pytest.raises(ExecSpecError, match=f"{next(iter(wrong))} {next(iter(wrong.values()))}"):
            survey(specs, U, **wrong)
    for bins in (0, 3, 512):
        with pytest.raises(ExecSpecError, match="power of two"):
            survey(specs, U, bins=bins)
    with pytest.raises(ShapeMismatchError, match="0 specs"):
        survey([], U)
