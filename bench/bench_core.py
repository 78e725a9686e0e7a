"""The compiled core beside what a user would write and beside a physical limit, in one run.

    python -m pytest bench/bench_core.py --benchmark-columns=min,median --benchmark-group-by=group

Each benchmark asserts its answer before it is timed. One thread, float64, D = 7 unless the name says otherwise.
"""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.drift import drift_matrix
from execspec_fast.ops import OpDType, OpKind, stage
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer

RNG = np.random.default_rng(0)
LOW, HIGH = -RNG.uniform(0.5, 1, 7), RNG.uniform(0.5, 1, 7)
ROWS = 1_000_000


@pytest.fixture(scope="module", params=["float32", "float64"])
def u(request):
    return RNG.uniform(-1, 1, (ROWS, 7)).astype(request.param)


MASK = np.array([True] * 6 + [False])


def openvla(u):
    return np.where(MASK, 0.5 * (u + 1) * (HIGH - LOW) + LOW, u)


def compiled():
    return Unnormalizer(stage(7, OpKind.ENDPOINT, LOW, HIGH, 0.0, dtype=OpDType.FLOAT64, where=MASK))


@pytest.mark.benchmark(group="unnormalize 10^6 x 7")
class TestUnnormalize:
    def test_execspec(self, benchmark, u):
        f, out = compiled(), np.empty(u.shape)
        assert (f(u, out=out, dtype="float64", threads=1) == openvla(u)).all()
        benchmark(f, u, out, "float64", 1)

    def test_numpy_expression(self, benchmark, u):
        benchmark(openvla, u)

    def test_limit_copyto(self, benchmark, u):
        benchmark(np.copyto, np.empty(u.shape), u)


def brute_force(maps, u, metric):
    a = np.stack([f(u) for f in maps])
    out = np.empty((len(maps), len(maps), u.shape[1]))
    for i in range(len(maps)):
        for j in range(len(maps)):
            out[i, j] = metric(a[j] - a[i])
    return out


METRICS = {
    "mean_abs": lambda delta: np.abs(delta).mean(0),
    "rms": lambda delta: np.sqrt((delta**2).mean(0)),
    "max": lambda delta: np.abs(delta).max(0),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.benchmark(group="all ordered pairs of 20 keys over 10^5 actions")
class TestAllPairs:
    @pytest.fixture
    def case(self):
        maps = [Unnormalizer.from_bounds(LOW * s, HIGH) for s in RNG.uniform(0.5, 2, 20)]
        return maps, RNG.normal(0, 0.6, (100_000, 7))

    def test_execspec(self, benchmark, case, metric):
        maps, actions = case
        sample = ActionSample(actions)
        np.testing.assert_allclose(
            drift_matrix(maps, sample, metric), brute_force(maps, actions, METRICS[metric]), rtol=1e-9
        )
        benchmark(drift_matrix, maps, sample, metric, None, 1)

    def test_numpy(self, benchmark, case, metric):
        benchmark.pedantic(brute_force, (*case, METRICS[metric]), rounds=1)


@pytest.mark.benchmark(group="sample of 10^6 x 7")
class TestSample:
    @pytest.fixture
    def actions(self):
        return RNG.normal(0, 0.6, (ROWS, 7))

    def test_execspec(self, benchmark, actions):
        assert ActionSample(actions).count == ROWS
        benchmark.pedantic(ActionSample, (actions,), {"threads": 1}, rounds=3)

    def test_limit_sort(self, benchmark, actions):
        benchmark.pedantic(lambda: np.sort(actions, axis=0), rounds=3)
