"""Bounds from figures alone, against laws that have exactly those figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import exact
import numpy as np
import pytest
import strategies as own
from execspec_fast import ActionSample, NormStats, drift, ops
from execspec_fast.bounds import BINS, BINS_OFF, CONTRADICTION, NO_FIGURES, NO_INVERSE, drift_bounds
from execspec_fast.domain import UNIT_INTERVAL, Domain
from execspec_fast.errors import ShapeMismatchError
from execspec_fast.ops import OpKind
from execspec_fast.sample import LEVELS
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given, settings
from hypothesis import strategies as st

QUANTILES = {name: level for name, level in LEVELS.items() if name.startswith("q")}
LAWS = 100_000
BATCH = 2_500


@dataclass(frozen=True)
class Meant:
    """A map with the figures behind it, as `ExecSpec` has them."""

    map: Unnormalizer
    stats: NormStats


def figures(a: np.ndarray, levels: dict[str, float] = QUANTILES) -> dict[str, np.ndarray]:
    found = {"mean": a.mean(axis=0), "std": a.std(axis=0), "min": a.min(axis=0), "max": a.max(axis=0)}
    return found | dict(zip(levels, np.quantile(a, list(levels.values()), axis=0), strict=True))


def laws(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """`dim` data sets of n values, shape `(n, dim)`, of every kind: ties, atoms, heavy tails, two values, constants."""
    kinds = np.stack(
        [
            rng.normal(0, 1, (n, dim)),
            rng.uniform(-1, 1, (n, dim)),
            rng.standard_cauchy((n, dim)).clip(-1e3, 1e3),
            rng.choice([-1.0, 1.0], (n, dim)),
            rng.choice([0.0, 0.0, 0.0, 1.0, -0.3], (n, dim)),
            np.round(rng.normal(0, 2, (n, dim))),
            np.sort(rng.exponential(1, (n, dim)), axis=0),
            np.broadcast_to(rng.normal(0, 1, dim), (n, dim)),
        ]
    )
    kind = rng.integers(0, len(kinds), dim)
    scale, shift = 10 ** rng.uniform(-3, 3, dim), rng.choice([0.0, 0.0, 1.0, -5.0], dim)
    return (kinds[kind, :, np.arange(dim)].T + shift) * scale


def endpoints(rng: np.random.Generator, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds a policy could have been normalized with: near the data's own, never a constant."""
    lo, hi = np.quantile(a, [0.01, 0.99], axis=0)
    width = np.maximum(hi - lo, 1e-3 * (np.abs(hi) + 1e-3))
    lo = lo + width * rng.choice([0.0, 0.0, 0.1, -0.4, 1e-9], lo.shape) * rng.normal(size=lo.shape)
    return lo, lo + width * rng.choice([1.0, 1.0, 2.0, 0.5, 1 + 1e-9], lo.shape) * rng.choice([1, 1, 1, -1], lo.shape)


def mean_abs(domain: Domain, i: tuple[np.ndarray, np.ndarray], j: tuple[np.ndarray, np.ndarray], a: np.ndarray):
    """E|delta| of two endpoint maps over the data, in 80-bit arithmetic and with no map of ours."""
    (lo, hi), (low, high) = ([np.asarray(x, np.longdouble) for x in pair] for pair in (i, j))
    u = np.clip(2 * (a - lo) / (hi - lo) - 1, domain.lo, domain.hi)
    return np.abs((u - 1) / 2 * (lo - low) + (u + 1) / 2 * (high - hi)).mean(axis=0)


def test_no_law_with_these_figures_drifts_outside():
    """100,000 laws; the bounds are computed from their figures alone."""
    rng = np.random.default_rng(0)
    tight = dict.fromkeys(("np.quantile", "merged", "moments"), 0)
    for batch in range(LAWS // BATCH):
        n = int(rng.choice([1, 2, 3, 10, 57, 301]))
        a = laws(rng, n, BATCH)
        i, j = endpoints(rng, a), endpoints(rng, a)
        domain = (Domain(), UNIT_INTERVAL)[batch % 2]
        estimator = list(tight)[batch % 3]
        published = figures(a)
        if estimator == "merged":  # averages over parts: numbers that bound nothing, and must not be believed
            parts = np.array_split(a, min(n, 3))
            published |= {name: np.mean([figures(p)[name] for p in parts], axis=0) for name in QUANTILES}
        kept = ("mean", "std") if estimator == "moments" else tuple(published)
        stats = NormStats({name: published[name] for name in kept}, count=n, estimator=estimator)
        meant = Meant(Unnormalizer(Unnormalizer.from_bounds(*i).table(), domain=domain), stats)
        bounds = drift_bounds(meant, Unnormalizer.from_bounds(*j))
        truth = mean_abs(domain, i, j, a)
        outside = ~((bounds.lower <= truth) & (truth <= bounds.upper))
        assert set(bounds.reason) == {""}
        assert not outside.any(), (estimator, n, domain, np.flatnonzero(outside))
        tight[estimator] += int((bounds.upper - bounds.lower < 0.5 * truth).sum())
    share = {name: 3 * number / LAWS for name, number in tight.items()}
    assert share["np.quantile"] > 0.5
    assert share["merged"] > 0.4
    assert share["moments"] > 0.2


@settings(max_examples=150)
@given(st.data())
def test_bent_maps_too(data):
    """Clips and steps on either side, against rational arithmetic."""
    dim = 2
    lo, hi = np.array([data.draw(own.intervals()) for _ in range(dim)]).T
    ends = Unnormalizer.from_bounds(lo, hi, mask=[True, data.draw(st.booleans())]).table()
    clip = data.draw(st.sampled_from([(-np.inf, np.inf), (-1.0, 0.5)]))
    domain = data.draw(st.sampled_from([Domain(), UNIT_INTERVAL, Domain(-0.5, 3.0)]))
    fi = Unnormalizer(np.concatenate([ops.stage(dim, OpKind.CLIP, *clip), ends]), domain=domain)
    fj = Unnormalizer(data.draw(own.op_tables(dim)))
    u = data.draw(own.samples(dim, max_rows=60))
    a = fi(np.clip(u, domain.lo, domain.hi))
    names = data.draw(st.sets(st.sampled_from(["min", "max", "q01", "q50", "q99", "moments"])))
    names = {*names - {"moments"}, *(("mean", "std") if "moments" in names else ()), "q10"}
    published = {name: value for name, value in figures(a).items() if name in names}
    bounds = drift_bounds(Meant(fi, NormStats(published, count=len(a), estimator="np.quantile")), fj)
    for d in range(dim):
        if bounds.reason[d] == NO_INVERSE:
            continue
        scale, offset = exact.affine(fi.table()[-1:], d)
        lowest, highest = max(float(clip[0]), domain.lo), min(float(clip[1]), domain.hi)
        total = Fraction(0)
        for x in ((Fraction(float(row)) - offset) / scale for row in a[:, d]):
            u = Fraction(lowest) if x < lowest else Fraction(highest) if x > highest else x
            total += abs(exact.evaluate(fj.table(), d, u) - exact.evaluate(fi.table(), d, u))
        truth = total / len(a)
        tiny = 9 * Fraction(own.TINY)  # half of a subnormal range is rounded
        assert Fraction(float(bounds.lower[d])) <= truth + tiny
        assert bounds.upper[d] == np.inf or truth <= Fraction(float(bounds.upper[d])) + tiny


def running_quantiles(batches: list[np.ndarray]) -> dict[str, np.ndarray]:
    """q01 and q99 of one channel as openpi's running histogram gives them: left edges, moved when the range grows."""
    low = high = edges = counts = None
    for batch in batches:
        if low is None or batch.min() < low or batch.max() > high:
            low = batch.min() if low is None else min(low, batch.min())
            high = batch.max() if high is None else max(high, batch.max())
            grown = np.linspace(low, high, BINS + 1)
            counts = np.zeros(BINS) if counts is None else np.histogram(edges[:-1], grown, weights=counts)[0]
            edges = grown
        counts = counts + np.histogram(batch, edges)[0]
    below = np.cumsum(counts)
    return {name: edges[np.searchsorted(below, level * below[-1])] for name, level in QUANTILES.items()}


def test_quantiles_of_a_growing_histogram():
    rng = np.random.default_rng(1)
    off = 0.0
    for _ in range(60):
        a = laws(rng, 2000, 1)
        if np.ptp(a) == 0:
            continue
        published = {name: np.array([value]) for name, value in running_quantiles(np.array_split(a[:, 0], 200)).items()}
        published = figures(a, {}) | published
        for name, level in QUANTILES.items():  # the true quantile is any value of an interval
            least, most = np.quantile(a, level, method="inverted_cdf"), np.quantile(a, level, method="higher")
            off = max(off, max(least - published[name][0], published[name][0] - most) / np.ptp(a) * BINS)
        i, j = endpoints(rng, a), endpoints(rng, a)
        meant = Meant(Unnormalizer.from_bounds(*i), NormStats(published, count=2000, estimator="histogram"))
        bounds = drift_bounds(meant, Unnormalizer.from_bounds(*j))
        truth = mean_abs(Domain(), i, j, a)
        assert bounds.lower <= truth <= bounds.upper
    assert 2 < off < BINS_OFF  # more than the one bin of a histogram whose range never grew


def test_more_levels_make_a_narrower_interval():
    a = np.random.default_rng(2).normal(0.1, 1, (10_000, 1))
    fi, fj = Unnormalizer.from_bounds([-2.0], [2.0]), Unnormalizer.from_bounds([-1.0], [2.5])
    full = figures(a)
    widths = []
    for names in (("min", "max"), ("min", "q01", "q99", "max"), tuple(LEVELS), (*LEVELS, "mean", "std")):
        stats = NormStats({name: full[name] for name in names}, count=len(a), estimator="np.quantile")
        bounds = drift_bounds(Meant(fi, stats), fj)
        widths.append(float(bounds.upper[0] - bounds.lower[0]))
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2] > 2 * widths[3]
    truth = drift(fi, fj, ActionSample.from_physical(a, fi)).mean_abs[0]
    assert widths[3] < 0.35 * truth


def test_a_constant_drift_is_known_exactly():
    fi, fj = Unnormalizer.from_bounds([-2.0], [2.0]), Unnormalizer.from_bounds([-1.0], [3.0])
    bounds = drift_bounds(Meant(fi, NormStats({"mean": np.zeros(1), "std": np.ones(1)})), fj)
    assert bounds.lower <= 1.0 <= bounds.upper
    assert bounds.upper - bounds.lower < 1e-12
    same = drift_bounds(Meant(fi, NormStats({"mean": np.zeros(1), "std": np.ones(1)})), fi)
    assert (same.lower, same.upper) == (0.0, 0.0)


def test_moments_that_float32_added_up_are_not_believed_to_the_last_digit():
    """OpenVLA's `bridge_orig` gripper: no numbers from 0 to 1 with this mean have that std."""
    published = {"mean": [0.5764579176902771], "std": [0.4973701536655426], "min": [0.0], "max": [1.0]}
    figures = {name: np.array(value) for name, value in published.items()}
    fi, fj = Unnormalizer.from_bounds([0.0], [1.0]), Unnormalizer.from_bounds([0.0], [2.0])
    bounds = drift_bounds(Meant(fi, NormStats(figures, count=2_135_463)), fj)
    assert bounds.reason == ("",)
    assert 0.4 < bounds.lower < 0.5764 < bounds.upper < 0.75
    assert drift_bounds(Meant(fi, NormStats(figures, count=1000)), fj).reason == (CONTRADICTION,)


def test_mean_and_std_alone_bound_as_jensen_and_cauchy_schwarz_do():
    fi, fj = Unnormalizer.from_bounds([-2.0] * 2, [2.0] * 2), Unnormalizer.from_bounds([-3.0] * 2, [3.0] * 2)
    moments = {"mean": np.array([0.0, 1.2]), "std": np.array([0.4, 0.4])}  # delta is a / 2
    bounds = drift_bounds(Meant(fi, NormStats(moments, count=1000)), fj)
    np.testing.assert_allclose(bounds.lower, [0.0, 0.6], atol=1e-3)
    np.testing.assert_allclose(bounds.upper, np.hypot([0.0, 0.6], 0.2), rtol=2e-3)
    moments |= {"min": np.full(2, -2.0), "max": np.full(2, 2.0)}
    ranged = drift_bounds(Meant(fi, NormStats(moments, count=1000)), fj)
    np.testing.assert_allclose(ranged.lower, [0.2**2 / 1.0, 0.6], rtol=5e-3)  # E delta^2 / max |delta|, and Jensen


def test_what_the_figures_cannot_say_rests_on_the_domain():
    lo, hi = [-1.0, 0.2, -1.0, -1.0], [1.0, 0.2, 1.0, 1.0]
    fi = Unnormalizer(Unnormalizer.from_bounds(lo, hi).table(), domain=UNIT_INTERVAL)
    fj = Unnormalizer.from_bounds([-1.5, 0.0, -1.0, -1.5], [1.5, 1.0, 1.0, 1.5])
    nan = np.nan
    published = {"min": [-1, -1, 0.5, nan], "max": [1, 1, 0.9, nan], "mean": [0, 0, 0, nan], "std": [0.5, 1, 1, nan]}
    bounds = drift_bounds(Meant(fi, NormStats({name: np.array(x) for name, x in published.items()})), fj)
    assert bounds.reason == ("", NO_INVERSE, CONTRADICTION, NO_FIGURES)
    np.testing.assert_allclose(bounds.upper[1:], [0.8, 0.0, 0.5], rtol=1e-9)
    assert bounds.lower[1:].tolist() == [0.0, 0.0, 0.0]
    assert 0 < bounds.lower[0] < bounds.upper[0] < 0.26


def test_nothing_bounds_a_tail_without_moments():
    fi, fj = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-1.0], [2.0])
    levels = {"q01": np.array([-0.9]), "q99": np.array([0.9])}
    assert drift_bounds(Meant(fi, NormStats(levels, count=1000, estimator="np.quantile")), fj).upper == np.inf
    moments = levels | {"mean": np.zeros(1), "std": np.array([0.4])}
    assert drift_bounds(Meant(fi, NormStats(moments, count=1000, estimator="np.quantile")), fj).upper < 1


@pytest.mark.parametrize(
    ("estimator", "count", "says"),
    [
        ("np.quantile", 50, "right to 1/50"),
        ("np.quantile", None, "number of actions is not published"),
        ("histogram", 50, "range (min and max) is not published"),
        ("merged", 50, "averages over parts"),
        (None, 50, "not known"),
    ],
)
def test_the_assumptions_say_what_is_believed(estimator, count, says):
    fi = Unnormalizer.from_bounds([-1.0], [1.0])
    stats = NormStats({"q01": np.zeros(1), "q99": np.ones(1), "mean": np.zeros(1), "std": np.ones(1)}, count=count)
    bounds = drift_bounds(Meant(fi, replace(stats, estimator=estimator)), fi)
    assert any(says in sentence for sentence in bounds.assumptions)
    assert any("ddof 0" in sentence for sentence in bounds.assumptions)
    assert not any("min and max" in sentence and "every action" in sentence for sentence in bounds.assumptions)


def test_other_widths_are_refused():
    fi = Unnormalizer.from_bounds([-1.0], [1.0])
    with pytest.raises(ShapeMismatchError, match="1 and 2 channels"):
        drift_bounds(Meant(fi, NormStats({"mean": np.zeros(1)})), Unnormalizer.from_bounds([0.0] * 2, [1.0] * 2))
