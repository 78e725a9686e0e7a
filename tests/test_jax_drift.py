"""Drift on device: the core's figures for every metric, kind of op and hostile column, and brute force over rows."""

from __future__ import annotations

from dataclasses import replace

import execspec_fast.jax as esj
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from execspec_fast import reference
from execspec_fast.conventions import Conventions, declared
from execspec_fast.domain import UNIT_INTERVAL, Domain
from execspec_fast.errors import DTypeError, ExecSpecError, ShapeMismatchError, StatsError
from execspec_fast.jax import matrix
from execspec_fast.matrix import drift_matrix
from execspec_fast.ops import OpDType, OpKind, stage
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer
from jax_policy import compilations, strict
from test_drift import HOSTILE

METRICS = ("mean_abs", "bias", "rms", "max", "worst_case", "flips", "zeros", "p50", "p99", "exceeds:0", "exceeds:0.05")
JOINT = ("mean", "mean_l2", "max_l2", "p50_l2")
DIM = 3


@pytest.fixture(autouse=True)
def x64():
    with strict(x64=True):
        yield


def keys(rng):
    """One of each kind: lines, a copy within 1e-8, clips on both sides, steps, z-scores, a constant, bin centres."""
    low, high = -rng.uniform(0.3, 1, (8, DIM)), rng.uniform(0.3, 1, (8, DIM))
    bounds = Unnormalizer.from_bounds
    clip, step = stage(DIM, OpKind.CLIP, -0.3, 0.35), stage(DIM, OpKind.STEP, 0.1, -1.0, 0.0, 1.0)
    table = stage(DIM, OpKind.ENDPOINT, low[0], high[0], 0.0, dtype=OpDType.FLOAT64)
    return [
        Unnormalizer(table, domain=UNIT_INTERVAL, gripper=(2,)),
        bounds(low[0], high[0], eps=1e-8),
        bounds(low[1], high[1], mask=[True, True, False]).then(clip),
        Unnormalizer(np.concatenate([stage(DIM, OpKind.CLIP, -0.5, 0.25), bounds(low[2], high[2]).table()])),
        Unnormalizer.from_mean_std(low[3], high[3]).then(clip).then(step),
        Unnormalizer(bounds(low[4], high[4]).table(), domain=Domain(-1.0, 1.0, tuple(np.linspace(-1, 1, 11)), "bins")),
        Unnormalizer(stage(DIM, OpKind.LINEAR, [0.0, 1.0, -1.0], [0.25, 0.0, 0.5]), domain=UNIT_INTERVAL),
    ]


def rows(rng, count=501):
    u = rng.normal(0, 0.6, (count, DIM))
    u[::3, 1] = 0.25
    u[:40, 2] = np.linspace(-1, 1, 40)
    return u


def worst(got, want):
    """The largest relative difference; NaN and infinities must agree."""
    got = np.asarray(got, np.float64)
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    np.testing.assert_array_equal(got[~np.isfinite(want)], want[~np.isfinite(want)])
    differ = np.isfinite(want) & (got != want)
    return np.max(np.abs(got[differ] / want[differ] - 1), initial=0.0)


def brute(f, g, u, metric):
    """By every row, in plain NumPy."""
    used = [d for d in range(DIM) if d not in (f.gripper or ()) and d not in (g.gripper or ())]
    a, b = (np.stack([reference.evaluate(h.table(), d, u[:, d]) for d in range(DIM)], axis=1) for h in (f, g))
    size, n = np.abs(b - a), len(u)
    norm = np.sqrt((size[:, used] ** 2).sum(axis=1))
    rank = {"p50": int(np.ceil(0.5 * n)) - 1, "p99": int(np.ceil(0.99 * n)) - 1}
    return {
        "mean_abs": lambda: size.mean(axis=0),
        "bias": lambda: (b - a).mean(axis=0),
        "rms": lambda: np.sqrt((size**2).mean(axis=0)),
        "max": lambda: size.max(axis=0),
        "flips": lambda: (a * b < 0).mean(axis=0),
        "zeros": lambda: (a * b == 0).mean(axis=0),
        "p50": lambda: np.sort(size, axis=0)[rank["p50"]],
        "p99": lambda: np.sort(size, axis=0)[rank["p99"]],
        "exceeds:0": lambda: (size > 1e-15).mean(axis=0),
        "exceeds:0.05": lambda: (size > 0.05).mean(axis=0),
        "mean": lambda: size[:, used].mean(),
        "mean_l2": lambda: norm.mean(),
        "max_l2": lambda: norm.max(),
        "p50_l2": lambda: np.sort(norm)[rank["p50"]],
    }[metric]()


@pytest.mark.parametrize("metric", METRICS + JOINT)
def test_every_metric_of_every_pair_is_the_core_s(metric):
    rng = np.random.default_rng(0)
    specs, u = keys(rng), rows(rng)
    got, want = esj.drift_matrix(specs, u, metric), drift_matrix(specs, u, metric)
    assert got.dtype == np.float64
    assert worst(got, want) <= 1e-12
    itself = np.asarray(got)[np.diag_indices(len(specs))]
    if metric != "zeros":
        assert not itself.any()
    if metric == "worst_case":
        return
    for i in range(len(specs)):
        for j in range(len(specs)):
            np.testing.assert_allclose(got[i, j], brute(specs[i], specs[j], u, metric), rtol=1e-7, atol=1e-15)


def nearly_equal():
    low, high = np.array([-0.0287, -0.8785714507102966, 0.1]), np.array([0.0283, 0.9375, 0.1000001])
    rounded = low.astype(np.float32), high.astype(np.float32)
    return [Unnormalizer.from_bounds(low, high, eps=eps) for eps in (0.0, 1e-8, 1e-6)] + [
        Unnormalizer.from_bounds(*rounded)
    ]


@pytest.mark.parametrize("data", [name for name in HOSTILE if name != "subnormal"])  # XLA takes subnormals for zero
def test_nearly_equal_keys_keep_their_digits(data):
    u = np.stack([np.resize(HOSTILE[data](np.random.default_rng(d)), 200) for d in range(DIM)], axis=1)
    for metric in ("mean_abs", "bias", "rms", "p99", "mean_l2"):
        got, want = esj.drift_matrix(nearly_equal(), u, metric), drift_matrix(nearly_equal(), u, metric)
        assert worst(got, want) <= 1e-12, metric


def test_ten_million_actions_in_float32():
    """Sums are double-double, or in blocks: what is lost is rounding, also for keys that differ by 1e-6."""
    u = np.random.default_rng(1).normal(0.3, 0.6, (10_000_000, 1)).astype(np.float32)
    specs = [Unnormalizer.from_bounds([-0.5], [0.7], eps=eps) for eps in (0.0, 1e-6)]
    host = ActionSample(u)
    sample, maps = esj.ActionSample.of(u, "float32"), esj.Maps.of(specs, "float32")
    for metric in ("mean_abs", "bias", "rms", "max", "p99", "exceeds:5e-7", "flips", "mean_l2", "max_l2"):
        got = esj.drift_matrix(maps, sample, metric)
        assert got.dtype == np.float32
        assert worst(got, drift_matrix(specs, host, metric)) <= 1e-6, metric


@pytest.mark.parametrize("metric", ["bias", "max", "flips", "p99", "worst_case", "p50_l2"])
def test_float32_is_float64_rounded(metric):
    rng = np.random.default_rng(2)
    u = rng.normal(0.3, 0.6, (501, DIM)).astype(np.float32)
    low, high = -rng.uniform(0.3, 1, (6, DIM)), rng.uniform(0.3, 1, (6, DIM))
    specs = [Unnormalizer.from_bounds(lo, hi) for lo, hi in zip(low, high, strict=True)]
    specs = [Unnormalizer(f.table(), domain=UNIT_INTERVAL) for f in specs]
    specs += [Unnormalizer.from_bounds(low[0], high[0], eps=eps) for eps in (1e-6, 1e-11)]
    specs.append(specs[1].then(stage(DIM, OpKind.CLIP, -0.4, 0.5)))
    got = esj.drift_matrix(specs, esj.ActionSample.of(u, "float32"), metric)
    want = drift_matrix(specs, u, metric)
    assert got.dtype == np.float32
    nearly = (0, 7)  # figures are held in two float32, which a difference of 1e-11 uses up but for a few digits
    np.testing.assert_allclose(got[nearly], want[nearly], rtol=1e-6, atol=2e-14)
    assert not np.asarray(got)[np.diag_indices(len(specs))].any()
    other = np.ones(want.shape[:2], bool)
    other[nearly] = other[nearly[::-1]] = False
    assert worst(np.asarray(got)[other], want[other]) <= 1e-6


def test_new_keys_compile_nothing():
    rng = np.random.default_rng(3)
    sample = esj.ActionSample.of(rows(rng))
    esj.drift_matrix(keys(rng), sample, "mean_abs")
    with compilations() as compiled:
        other = keys(rng)[::-1]
        assert worst(esj.drift_matrix(other, sample, "mean_abs"), drift_matrix(other, sample_rows(sample))) <= 1e-12
    assert not compiled


def sample_rows(sample):
    return np.asarray(sample.rows).T


def lines(rng, count):
    low, high = -rng.uniform(0.3, 1, (count, DIM)), rng.uniform(0.3, 1, (count, DIM))
    return [Unnormalizer.from_bounds(lo, hi) for lo, hi in zip(low, high, strict=True)]


def test_tiles_are_the_whole(monkeypatch):
    rng = np.random.default_rng(4)
    specs, u = lines(rng, 11), rows(rng)
    whole = {metric: np.asarray(esj.drift_matrix(specs, u, metric)) for metric in ("bias", "mean_l2")}
    monkeypatch.setattr(matrix, "CELLS", 16 * DIM)  # tiles of 4 keys, the last of 3
    for metric, want in whole.items():
        np.testing.assert_allclose(esj.drift_matrix(specs, u, metric), want, rtol=1e-14)
    np.testing.assert_array_equal(esj.drift_block(specs[:9], specs[5:], u, "bias"), whole["bias"][:9, 5:])


def offset_by(maps, by):
    """What one key's maps give, and `by` more."""
    hi = maps.line.offset.hi + by
    return replace(maps, line=replace(maps.line, offset=replace(maps.line.offset, hi=hi)))


def test_one_pair_and_its_gradient():
    """Of E|f_j - f_i| by what is added to f_j: how much more often the difference is positive than negative."""
    rng = np.random.default_rng(5)
    (f, g), u = lines(rng, 2), rows(rng)
    maps, sample = esj.Maps.of([f, g]), esj.ActionSample.of(u)
    np.testing.assert_allclose(esj.drift(f, g, sample), drift_matrix([f, g], u)[0, 1], rtol=1e-12)

    def shifted(by):
        return esj.drift(maps[0], offset_by(maps[1], by[None]), sample).sum()

    delta = g(u) - f(u)
    np.testing.assert_allclose(jax.grad(shifted)(jnp.zeros(DIM)), np.sign(delta).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("metric", ["p50", "p50_l2"])
def test_gradients_of_quantiles_where_maps_bend(metric):
    rng = np.random.default_rng(8)
    f, g = lines(rng, 2)
    maps = esj.Maps.of([f, g.then(stage(DIM, OpKind.CLIP, -0.3, 0.4))])
    sample, step = esj.ActionSample.of(rng.normal(0, 0.6, (101, DIM))), 1e-6

    def moved(by):
        return esj.drift(maps[0], offset_by(maps[1], by), sample, metric).sum()

    slope = (moved(step) - moved(-step)) / (2 * step)
    assert abs(slope) > 1e-3
    np.testing.assert_allclose(jax.grad(moved)(0.0), slope, rtol=1e-5)


def test_excluded_channels_conflicts_and_unusable_actions_are_nan():
    rng = np.random.default_rng(6)
    specs, u = keys(rng), rows(rng)
    constant = specs[6]
    physical = ActionSample.from_physical(u, constant)
    assert list(physical.excluded) == [0]
    for metric in ("mean_abs", "mean", "mean_l2", "worst_case"):
        sample = esj.ActionSample.of(physical)
        assert worst(esj.drift_matrix(specs, sample, metric), drift_matrix(specs, physical, metric)) <= 1e-12

    class Declaring:
        def __init__(self, f, rotation):
            self.map, self.conventions = f, Conventions(rotation=declared(rotation, "a test"))

    kinds = ("euler_xyz", "axis_angle", "euler_xyz", "quaternion", "euler_xyz", "axis_angle", "euler_xyz")
    some = [Declaring(f, rotation) for f, rotation in zip(specs, kinds, strict=True)]
    got, want = esj.drift_matrix(some, u), drift_matrix(some, u)
    assert np.isnan(want).any()
    assert worst(got, want) <= 1e-12

    u[3, 1] = np.nan
    with pytest.raises(StatsError, match="channel 1"):
        esj.ActionSample.of(u)
    maps = esj.Maps.of(lines(rng, 2))
    traced = jax.jit(lambda u: esj.drift_matrix(maps, esj.ActionSample.of(u), "bias"))(jnp.asarray(u))
    assert np.isnan(traced).all(axis=(0, 1)).tolist() == [False, True, False]


def test_what_is_refused():
    f, narrow = Unnormalizer.from_bounds([-1.0] * DIM, [1.0] * DIM), Unnormalizer.from_bounds([-1.0], [1.0])
    sample = esj.ActionSample.of(np.zeros((4, DIM)))
    with pytest.raises(ShapeMismatchError, match="1 channels, the sample 3"):
        esj.drift_matrix([narrow], sample)
    with pytest.raises(ShapeMismatchError, match=r"\[3, 1\]"):
        esj.Maps.of([f, narrow])
    with pytest.raises(ShapeMismatchError, match="needs rows"):
        esj.ActionSample.of(np.zeros((0, DIM)))
    with pytest.raises(DTypeError, match="float32 and the sample in float64"):
        esj.drift_matrix(esj.Maps.of([f], "float32"), sample)
    stack = esj.Maps.of([f, f])
    with pytest.raises(ShapeMismatchError, match="hold 2 keys, and one is wanted"):
        esj.drift(stack, f, sample)
    with pytest.raises(ShapeMismatchError, match="a stack is wanted"):
        esj.drift_matrix(stack[0], sample)
    with pytest.raises(ShapeMismatchError, match="1 channels, the sample 3"):
        esj.drift(stack[0], esj.Maps.of([narrow])[0], sample)
    with pytest.raises(DTypeError, match="object: such numbers"):
        esj.drift_matrix([f], [ActionSample.uniform(DIM)])
    with pytest.raises(ExecSpecError, match="median"):
        esj.drift_matrix([f], sample, "median")
    with pytest.raises(StatsError, match="law"):
        esj.ActionSample.of(ActionSample.uniform(DIM))
    with pytest.raises(StatsError, match="1e\\+18"):
        esj.ActionSample.of(np.full((2, 1), 1e20), "float32")
    with pytest.raises(StatsError, match="do not fit float32"):
        esj.Maps.of([Unnormalizer.from_bounds([-1e20], [1e20])], "float32")
    with strict(x64=False), pytest.raises(DTypeError, match="jax_enable_x64 is off"):
        esj.ActionSample.of(np.zeros((4, DIM)), "float64")
