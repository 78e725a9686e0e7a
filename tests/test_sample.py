"""Samples from arrays, physical actions and published figures, and what each says about itself."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.drift import drift
from execspec_fast.errors import DTypeError, MissingStatsError, ShapeMismatchError, StatsError
from execspec_fast.sample import ActionSample
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer

ONE, TWICE = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])  # delta = u


class Spec:
    """A map with the figures it was made from."""

    def __init__(self, low, high, **figures):
        self.map = Unnormalizer.from_bounds([low], [high])
        self.stats = NormStats({name: np.array([value]) for name, value in figures.items()})


def moments(sample):
    d = drift(ONE, TWICE, sample)
    return d.bias[0], d.mean_abs[0], d.rms[0], d.max[0]


def test_rows_of_any_leading_shape():
    u = np.arange(12.0).reshape(2, 3, 2) - 5
    sample = ActionSample(u)
    assert (sample.count, sample.dim, sample.joint) == (6, 2, True)
    two = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2), Unnormalizer.from_bounds([-2.0] * 2, [2.0] * 2)
    np.testing.assert_allclose(drift(*two, sample).mean_abs, np.abs(u).mean(axis=(0, 1)), rtol=1e-15)


def test_rows_that_make_no_sample_are_refused():
    for u, error, words in [
        (np.zeros((0, 2)), StatsError, "no actions"),
        ([[0.0, np.nan]], StatsError, "row 0, channel 1"),
        ([[0.0], [np.inf]], StatsError, "row 1, channel 0"),
        ([[1e200]], StatsError, "1e"),
        (3.0, ShapeMismatchError, "channels"),
        (np.zeros((3, 0)), ShapeMismatchError, "channels"),
        (np.zeros((3, 2), np.float16), DTypeError, "float16"),
        (np.ma.zeros((3, 2)), DTypeError, "masked"),
        ([[1.0, 2.0], [3.0]], ShapeMismatchError, "inhomogeneous"),
    ]:
        with pytest.raises(error, match=words):
            ActionSample(u)


def test_from_physical_is_the_exact_inverse_and_excludes_what_has_none():
    spec = Unnormalizer.from_bounds([0.0, 0.3], [4.0, 0.3])  # second channel constant
    sample = ActionSample.from_physical([[4.0, 0.3], [6.0, 9.9]], spec)
    assert set(sample.excluded) == {1}
    two = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2), Unnormalizer.from_bounds([-2.0] * 2, [2.0] * 2)
    d = drift(*two, sample)
    assert d.mean_abs[0] == 1.5  # u = 1 and 2: no clip at 1
    assert np.isnan(d.mean_abs[1])
    assert d.channels_used == (0,)
    assert d.mean == 1.5
    with pytest.raises(ShapeMismatchError, match="2 channels"):
        ActionSample.from_physical([[1.0]], spec)
    with pytest.raises(StatsError, match="row 0, channel 0"):
        ActionSample.from_physical([[np.nan, 0.0]], spec)
    for dtype in (complex, bool, np.float16, np.longdouble):
        with pytest.raises(DTypeError, match="dtype"):
            ActionSample.from_physical(np.zeros((1, 2), dtype), spec)


@pytest.mark.parametrize("bounds", [(np.nan, 1.0), (-np.inf, np.inf), (1.0, -1.0), (1.0, 1.0)])
def test_uniform_needs_finite_increasing_bounds(bounds):
    with pytest.raises(StatsError, match="low < high"):
        ActionSample.uniform(1, *bounds)


def test_from_stats_is_uniform_between_the_published_quantiles():
    full = Spec(0.0, 2.0, min=-1.0, q01=0.0, q99=2.0, max=4.0)  # u: -2, -1, 1, 3
    bias, mean_abs, rms, largest = moments(ActionSample.from_stats(full))
    assert largest == 3.0
    assert bias == pytest.approx(0.01 * -1.5 + 0.98 * 0.0 + 0.01 * 2.0, abs=1e-15)
    assert mean_abs == pytest.approx(0.01 * 1.5 + 0.98 * 0.5 + 0.01 * 2.0, rel=1e-14)
    assert rms**2 == pytest.approx(0.01 * 7 / 3 + 0.98 / 3 + 0.01 * 13 / 3, rel=1e-14)
    inner = ActionSample.from_stats(Spec(0.0, 2.0, q01=0.0, q99=2.0))
    assert moments(inner)[1] == pytest.approx(0.5, rel=1e-14)
    assert "q01, q99" in inner.description


def test_from_stats_with_a_falling_map_and_an_atom():
    falling = Spec(2.0, 0.0, min=0.0, q50=1.0, max=2.0)
    assert moments(ActionSample.from_stats(falling))[3] == 1.0
    atom = Spec(-1.0, 1.0, q01=-1.0, q10=0.5, q90=0.5, q99=1.0)
    bias, *_ = moments(ActionSample.from_stats(atom))
    assert bias == pytest.approx((0.09 * -0.25 + 0.8 * 0.5 + 0.09 * 0.75) / 0.98, rel=1e-14)


def test_figures_that_make_no_sample_are_refused():
    with pytest.raises(StatsError, match=r"channel 0.*decrease"):
        ActionSample.from_stats(Spec(-1.0, 1.0, q01=0.5, q99=-0.5))
    with pytest.raises(MissingStatsError, match="'std'"):
        ActionSample.from_stats(Spec(-1.0, 1.0, mean=0.5))


def test_gaussian_from_mean_and_std():
    sample = ActionSample.gaussian(Spec(0.0, 2.0, mean=1.5, std=2.0))  # u: mean 0.5, std 2
    bias, _, rms, largest = moments(sample)
    assert bias == pytest.approx(0.5, rel=1e-14)
    assert rms == pytest.approx(np.sqrt(4.25), rel=1e-14)
    assert largest == np.inf
    still = ActionSample.gaussian(Spec(0.0, 2.0, mean=1.5, std=0.0))
    assert moments(still) == (0.5, 0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    "law",
    [
        ActionSample.uniform(1, -0.5, 2.0),
        ActionSample.gaussian(Spec(0.0, 2.0, mean=1.5, std=2.0)),
        ActionSample.from_stats(Spec(0.0, 2.0, min=-1.0, q01=0.0, q99=2.0, max=4.0)),
    ],
    ids=repr,
)
def test_independent_draws_follow_the_law(law):
    drawn = law.independent(200_000, seed=3)
    assert (drawn.count, drawn.joint) == (200_000, True)
    for got, want in list(zip(moments(drawn), moments(law), strict=True))[:3]:
        assert got == pytest.approx(want, abs=0.02)
    assert moments(law.independent(10, seed=3)) == moments(law.independent(10, seed=3))
    with pytest.raises(StatsError, match="rows of its own"):
        drawn.independent(5)


def test_merged_samples_are_one_sample_of_all_rows():
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, 1, (n, 2)) for n in (5, 70, 1)]
    merged = ActionSample.merge([ActionSample(part, "demos") for part in parts])
    assert merged.count == 76
    assert merged.description == "demos"
    fi, fj = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2), Unnormalizer.from_bounds([-2.0] * 2, [1.5] * 2)
    got, want = drift(fi, fj, merged), drift(fi, fj, np.concatenate(parts))
    assert got.mean_l2 == want.mean_l2
    np.testing.assert_array_equal(got.quantile(0.9), want.quantile(0.9))
    with pytest.raises(StatsError, match="rows"):
        ActionSample.merge([ActionSample.uniform(2)])
    with pytest.raises(StatsError, match="rows"):
        ActionSample.merge([])
    with pytest.raises(ShapeMismatchError, match="2, 1"):
        ActionSample.merge([ActionSample(parts[0]), ActionSample([[0.0]])])
    flat = Unnormalizer.from_bounds([0.0, -1.0], [0.0, 1.0])
    with pytest.raises(StatsError, match="exclude"):
        ActionSample.merge([ActionSample(parts[0]), ActionSample.from_physical(parts[0], flat)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_what_is_not_finite_is_named_in_either_dtype(dtype, bad):
    """float32 holds no 1e150: a limit rounded to it is infinite, and lets infinity pass."""
    rows = np.full((5, 2), 0.1, dtype)
    spec = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2)
    assert ActionSample.from_physical(rows, spec).count == 5
    rows[3, 1] = bad
    for taken in (ActionSample, lambda a: ActionSample.from_physical(a, spec)):
        with pytest.raises(StatsError, match=f"row 3, channel 1: {bad!r} is not a finite number"):
            taken(rows)
