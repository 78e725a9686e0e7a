"""Drift against exact rational arithmetic, its laws, and the matrix against the pairs."""

from __future__ import annotations

from fractions import Fraction
from statistics import NormalDist

import exact
import numpy as np
import pytest
import strategies as own
from execspec_fast import reference
from execspec_fast.conventions import Conventions, declared
from execspec_fast.domain import UNIT_INTERVAL, Domain
from execspec_fast.drift import drift
from execspec_fast.errors import ExecSpecError, ShapeMismatchError
from execspec_fast.matrix import drift_matrix
from execspec_fast.metric import SEPARABLE
from execspec_fast.ops import OpKind, stage
from execspec_fast.sample import ActionSample
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import assume, given
from hypothesis import strategies as st

RELATIVE = 1e-13
CANCELLED = 1e-30  # of the actions themselves: what double-double leaves when delta cancels altogether


def close(got: float, want: Fraction, actions: Fraction) -> bool:
    tolerance = Fraction(RELATIVE) * abs(want) + Fraction(CANCELLED) * actions + Fraction(own.TINY) * 4
    return bool(np.isfinite(got)) and abs(Fraction(float(got)) - want) <= tolerance


def reach(table: np.ndarray, u: np.ndarray) -> Fraction:
    """The largest action, or term of one, that any arithmetic on these actions meets."""
    p = np.where(np.isfinite(table["p"]), np.abs(table["p"]), 0.0)
    return (Fraction(float(np.abs(u).max())) + 1) * (Fraction(float(p.max())) + 1)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dim = draw(st.integers(1, 3))
    return draw(own.op_tables(dim)), draw(own.op_tables(dim)), draw(own.samples(dim))


@given(pairs())
def test_every_metric_is_exact(case):
    table_i, table_j, u = case
    got = drift(Unnormalizer(table_i), Unnormalizer(table_j), u)
    want = exact.drift(table_i, table_j, u)
    actions = reach(table_i, u) + reach(table_j, u)
    for name in ("mean_abs", "bias", "rms", "max", "flips", "zeros"):
        for d in range(u.shape[1]):
            assert close(getattr(got, name)[d], want[name][d], actions), (name, d)
    for d, column in enumerate(exact.deltas(table_i, table_j, u)):
        for p in (0.01, 0.5, 0.75, 0.99, 1.0):
            assert close(got.quantile(p)[d], exact.quantile(column, p), actions), (p, d)
        for eps in (0.0, 0.25, *(abs(float(x)) for x in column[:3])):
            if all(x == Fraction(eps) or abs(abs(x) - Fraction(eps)) > CANCELLED * actions for x in map(abs, column)):
                assert got.exceeds(eps)[d] == float(exact.exceeds(column, eps)), (eps, d)
    assert abs(got.mean_l2 - float(want["mean_l2"])) <= 1e-13 * float(want["mean_l2"]) + 1e-15 * float(actions)


def test_squares_neither_underflow_nor_overflow():
    for size in (1e-200, 1e140):
        fi, fj = Unnormalizer.from_bounds([0.0, 0.0], [0.0, 0.0]), Unnormalizer.from_bounds([-size] * 2, [size] * 2)
        d = drift(fi, fj, [[0.6, 0.8], [-0.6, -0.8]])  # delta = size * u
        np.testing.assert_allclose(d.rms, [0.6 * size, 0.8 * size], rtol=1e-14)
        assert d.mean_l2 == pytest.approx(size, rel=1e-14)
    clipped = fj.then(stage(2, OpKind.CLIP, -1.0, 1.0))  # a clip that the sample never reaches changes nothing
    tiny = Unnormalizer.from_bounds([-1e-200] * 2, [1e-200] * 2).then(stage(2, OpKind.CLIP, -1.0, 1.0))
    assert drift(fi, tiny, [[0.6, 0.8]]).rms[0] == pytest.approx(0.6e-200, rel=1e-14)
    assert drift(fi, clipped, [[0.6, 0.8]]).rms[0] == 1.0


@given(pairs(), st.sampled_from([UNIT_INTERVAL, Domain(-0.5, 0.25, (-0.5, 0.0, 0.25), "table")]))
def test_worst_case_is_exact(case, domain):
    table_i, table_j, u = case
    got = drift(Unnormalizer(table_i, domain=domain), Unnormalizer(table_j), u)
    for d in range(u.shape[1]):
        want = exact.worst_case(table_i, table_j, d, domain.lo, domain.hi, domain.points)
        assert close(got.worst_case[d], want, reach(table_i, np.ones(1)) + reach(table_j, np.ones(1))), d


NEARLY_EQUAL = {
    "oft against openvla": (0.0, 1e-8, np.float64),
    "openpi against openvla": (0.0, 1e-6, np.float64),
    "a key against its float32 copy": (0.0, 0.0, np.float32),
}
HOSTILE = {
    "ordinary": lambda rng: rng.normal(0, 0.6, 200),
    "offset 1e6, spread 1e-3": lambda rng: 1e6 + rng.uniform(-1e-3, 1e-3, 200),
    "all equal": lambda rng: np.full(200, 0.3),
    "two values": lambda rng: rng.choice([-1.0, 1.0], 200),
    "one row": lambda rng: np.array([0.7]),
    "heavy ties": lambda rng: rng.choice([-1.0, -0.2, -0.2, 0.1, 1.0], 200),
    "subnormal": lambda rng: rng.integers(-50, 50, 200) * own.TINY,
}


@pytest.mark.parametrize("data", HOSTILE)
@pytest.mark.parametrize("keys", NEARLY_EQUAL)
def test_nearly_equal_keys_keep_thirteen_digits(keys, data):
    eps_i, eps_j, dtype = NEARLY_EQUAL[keys]
    low, high = np.array([-0.0287, -0.8785714507102966, 0.1]), np.array([0.0283, 0.9375, 0.1000001])
    u = np.stack([HOSTILE[data](np.random.default_rng(d)) for d in range(3)], axis=1)
    fi = Unnormalizer.from_bounds(low, high, eps=eps_i)
    fj = Unnormalizer.from_bounds(low.astype(dtype), high.astype(dtype), eps=eps_j)
    got, want = drift(fi, fj, u), exact.drift(fi.table(), fj.table(), u)
    for name in ("mean_abs", "bias", "rms", "max"):
        worst = max(exact.relative_error(getattr(got, name)[d], want[name][d]) for d in range(3))
        assert worst <= RELATIVE, (name, worst)


def test_root_inside_far_data():
    u = 1e6 + np.random.default_rng(0).uniform(-1e-3, 1e-3, (300, 1))
    fi = Unnormalizer.from_bounds([-1.0], [1.0])
    fj = Unnormalizer.from_bounds([-2.0 - 1e6], [2.0 - 1e6])  # delta = u - 1e6
    got, want = drift(fi, fj, u), exact.drift(fi.table(), fj.table(), u)
    assert got.bias[0] != got.mean_abs[0]
    for name in ("mean_abs", "bias", "rms", "max"):
        assert exact.relative_error(getattr(got, name)[0], want[name][0]) <= RELATIVE, name


def exactly(table_i, table_j, u):
    got, want = drift(Unnormalizer(table_i), Unnormalizer(table_j), u), exact.drift(table_i, table_j, u)
    for name in ("mean_abs", "bias", "rms", "max"):
        assert exact.relative_error(getattr(got, name)[0], want[name][0]) <= RELATIVE, name
    assert exact.relative_error(got.mean_l2, want["mean_l2"]) <= RELATIVE


IDENTITY = stage(1, OpKind.IDENTITY)


@pytest.mark.parametrize("size", [1e-10, 1e-13, 1e-16])
def test_small_differences_beyond_a_clip_keep_their_digits(size):
    u = np.concatenate([np.full(50, -1.0), size * np.arange(51.0)])[:, None]
    exactly(stage(1, OpKind.CLIP, -np.inf, 0.0), IDENTITY, u)


@pytest.mark.parametrize("far", [1e2, 1e4, 1e6])
def test_values_far_from_the_centre_keep_their_digits(far):
    u = np.concatenate([np.full(51, far), np.linspace(0.5, 2.0, 50)])[:, None]
    exactly(stage(1, OpKind.CLIP, -1.0, 1.0), stage(1, OpKind.CLIP, -1.0, 1.5), u)


@pytest.mark.parametrize("size", [1e-200, 1e-308])
def test_squares_of_the_tiny_keep_their_digits(size):
    fi, fj = Unnormalizer.from_mean_std([0.0], [1.0]), Unnormalizer.from_mean_std([0.0], [2.0])
    exactly(fi.table(), fj.table(), size * np.array([[1.0], [-3.0], [2.0]]))


def test_the_tail_of_a_normal_law_counts():
    z = ActionSample._from_laws([(0.0, 1.0)], "standard normal")
    d = drift(Unnormalizer(stage(1, OpKind.CLIP, -100.0, 10.0)), Unnormalizer(IDENTITY), z)
    assert d.max[0] == np.inf
    assert d.mean_abs[0] == pytest.approx(7.4745e-25, rel=1e-4)  # phi(10) - 10 Q(10)


@given(pairs())
def test_agrees_with_the_reference(case):
    table_i, table_j, u = case
    # float64 rounds products of subnormals to zero, where a step may be
    assume(((u == 0) | (np.abs(u) > 1e-290)).all())
    got, want = drift(Unnormalizer(table_i), Unnormalizer(table_j), u), reference.drift(table_i, table_j, u)
    scale = float(reach(table_i, u) + reach(table_j, u))
    for name in ("mean_abs", "bias", "rms", "max"):
        np.testing.assert_allclose(getattr(got, name), want[name], rtol=1e-9, atol=1e-12 * scale)


@given(pairs())
def test_laws(case):
    table_i, table_j, u = case
    fi, fj = Unnormalizer(table_i), Unnormalizer(table_j)
    d, back, same = drift(fi, fj, u), drift(fj, fi, u), drift(fi, fi, u)
    for name in set(SEPARABLE) - {"zeros"}:
        assert not getattr(same, name).any(), name
    np.testing.assert_array_equal(d.mean_abs, back.mean_abs)
    np.testing.assert_array_equal(d.bias, -back.bias)
    slack, tiny = 1 + 1e-12, 64 * own.TINY
    assert (np.abs(d.bias) <= d.mean_abs * slack + tiny).all()
    assert (d.mean_abs <= d.rms * slack + tiny).all()
    assert (d.rms <= d.max * slack + tiny).all()


def test_channels_that_a_sample_excludes_count_nowhere():
    fi = Unnormalizer.from_bounds([0.0, -1.0], [0.0, 1.0])  # first channel constant: no inverse
    fj = Unnormalizer.from_bounds([5.0, -1.0], [9.0, 1.5])
    sample = ActionSample.from_physical(np.random.default_rng(0).uniform(-1, 1, (20, 2)), fi)
    d = drift(fi, fj, sample)
    assert d.channels_used == (1,)
    assert drift_matrix([fi, fj], sample, "mean_l2")[0, 1] == d.mean_l2
    assert drift_matrix([fi, fj], sample, "mean")[0, 1] == d.mean


def test_mean_leaves_out_known_grippers_and_says_when_none_is_known():
    fi = Unnormalizer.from_bounds([-1.0, -1.0], [1.0, 1.0], mask=[True, False])
    fj = Unnormalizer.from_bounds([-2.0, -3.0], [2.0, 3.0])
    d = drift(fi, fj, [[1.0, 1.0]])
    assert d.channels_used == (0,)
    assert d.mean == 1.0
    assert d.mean_l2 == pytest.approx(1.0, rel=1e-15)
    assert drift_matrix([fi, fj], [[1.0, 1.0]], "mean")[0, 1] == 1.0
    assert drift(fi, fj, [[1.0, 1.0]], channels=[0, 1]).mean == 1.5
    unknown = Unnormalizer(fi.table())
    assert any("gripper" in sentence for sentence in drift(unknown, unknown, [[1.0, 1.0]]).assumes)
    for channel in (2, -1, 0.0):
        with pytest.raises(ShapeMismatchError, match=f"channel {channel}"):
            drift(fi, fj, [[1.0, 1.0]], channels=[channel])


def test_limits_clip_both_actions():
    fi, fj = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])
    assert drift(fi, fj, [[0.75]], limits=(-1.0, 1.0)).mean_abs[0] == 0.25
    assert drift(fi, fj, [[3.0]], limits=(-1.0, 1.0)).mean_abs[0] == 0.0
    with pytest.raises(ShapeMismatchError, match="limits"):
        drift(fi, fj, [[3.0]], limits=([-1.0] * 2, [1.0] * 2))


def test_outside_counts_what_the_limits_change():
    fi, fj = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [2.0])
    u = [[0.25], [0.5], [0.75], [-1.0]]
    assert drift(fi, fj, u, limits=(-1.0, 1.0)).outside[0] == 0.5  # 1.0 is inside, 1.5 and -2.0 are not
    assert np.isnan(drift(fi, fj, u).outside[0])


def test_quantiles_of_laws_are_those_of_their_distribution():
    fi, fj = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2), Unnormalizer.from_bounds([-2.0] * 2, [2.0] * 2)
    d = drift(fi, fj, ActionSample._from_laws([[(-1.0, 1.0, 1.0)], (0.0, 1.0)], "uniform, normal"))  # delta = u
    for p in (0.1, 0.5, 0.99):
        np.testing.assert_allclose(d.quantile(p), [p, NormalDist().inv_cdf((1 + p) / 2)], rtol=1e-12)
        np.testing.assert_allclose(d.exceeds(p), [1 - p, 2 * NormalDist().cdf(-p)], rtol=1e-12)
    assert (d.flips == 0).all()


def test_a_percentile_or_threshold_that_is_none_is_refused():
    f = Unnormalizer.from_bounds([-1.0], [1.0])
    d = drift(f, f, [[0.5]])
    for call in (lambda: d.quantile(0.0), lambda: d.quantile(1.1), lambda: d.exceeds(-1.0), lambda: d.quantile_l2(0)):
        with pytest.raises(ExecSpecError, match="known"):
            call()


def test_norms_have_quantiles_and_a_maximum():
    rng = np.random.default_rng(0)
    u = rng.normal(0, 1, (999, 3))
    fi = Unnormalizer.from_bounds([-1.0] * 3, [1.0] * 3)
    fj = Unnormalizer.from_bounds([-2.0, -1.0, -1.5], [2.0, 1.5, 1.0]).then(stage(3, OpKind.CLIP, -1.0, 1.0))
    norms = np.linalg.norm(fj(u) - fi(u), axis=1)
    d = drift(fi, fj, u, channels=[0, 1, 2])
    assert d.mean_l2 == pytest.approx(norms.mean(), rel=1e-13)
    for p in (0.5, 0.99, 1.0):
        want = np.quantile(norms, p, method="inverted_cdf")
        assert d.quantile_l2(p) == pytest.approx(want, rel=1e-13)


def test_a_step_is_where_applying_crosses_it():
    """0.1 (u + 1) rounds up to 0.3 for a u below the real crossing; such a u is at the threshold, not below."""
    f = Unnormalizer.from_bounds([0.0], [0.2]).then(stage(1, OpKind.STEP, 0.1 + 0.05 * (1 / 3), -1.0, 0.0, 1.0))
    zero = Unnormalizer(stage(1, OpKind.LINEAR, 0.0, 0.0))
    near = np.array([1 / 6])
    u = np.concatenate([near + k * np.spacing(near) for k in range(-40, 41)])[:, None]
    got = [drift(zero, f, row).bias[0] for row in u]
    np.testing.assert_array_equal(got, f(u)[:, 0])


def test_without_joint_rows_the_norm_is_an_interval():
    fi, fj = Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2), Unnormalizer.from_bounds([-2.0] * 2, [2.0] * 2)
    law = ActionSample.uniform(2)  # delta = u: E|u| = 1/2, E u^2 = 1/3
    d = drift(fi, fj, law)
    assert np.isnan(d.mean_l2)
    assert d.reason
    np.testing.assert_allclose(d.mean_l2_interval, (np.sqrt(0.5), np.sqrt(2 / 3)), rtol=1e-14)
    drawn = drift(fi, fj, law.independent(20000))
    assert d.mean_l2_interval[0] < drawn.mean_l2 < d.mean_l2_interval[1]
    assert "independent" in drawn.sample


class Spec:
    """An executable with conventions."""

    def __init__(self, unnormalizer: Unnormalizer, **facts: str) -> None:
        self.map = unnormalizer
        self.conventions = Conventions(**{name: declared(value, "test") for name, value in facts.items()})


def test_declared_rotations_that_differ_give_nan_with_the_reason():
    f = Unnormalizer.from_bounds([-1.0], [1.0])
    euler, axis, silent = Spec(f, rotation="euler_xyz"), Spec(f, rotation="axis_angle"), Spec(f)
    d = drift(euler, axis, [[0.5]])
    assert np.isnan([d.mean, d.mean_l2, d.worst_case[0]]).all()
    assert "rotation" in d.reason
    assert drift(euler, silent, [[0.5]]).mean == 0.0
    matrix = drift_matrix([euler, axis, silent], [[0.5]], "mean")
    assert np.isnan(matrix).tolist() == [[False, True, False], [True, False, False], [False] * 3]


def test_different_widths_are_refused():
    one, two = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2)
    for call in (lambda: drift(one, two, [[0.0]]), lambda: drift(one, one, [[0.0, 0.0]])):
        with pytest.raises(ShapeMismatchError, match="2"):
            call()
