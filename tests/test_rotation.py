"""The angle between two readings of three numbers, against closed forms, scipy and the figures of the field."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.errors import DTypeError, ExecSpecError, ShapeMismatchError
from execspec_fast.rotation import READINGS, Misreading, geodesic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

triples = arrays(np.float64, (6, 3), elements=st.floats(-7, 7))


@pytest.mark.parametrize(("s", "euler", "rotvec"), [(0.05, 0.0043, 0.0022), (0.25, 0.107, 0.055), (0.5, 0.416, 0.222)])
def test_the_figures_of_the_field(s: float, euler: float, rotvec: float) -> None:
    """What (s, s, s) costs: intrinsic for extrinsic angles, and angles taken for a rotation vector."""
    rows = np.full(3, s)
    assert geodesic(rows, "euler_XYZ", "euler_xyz") == pytest.approx(euler, rel=0.02)
    assert geodesic(rows, "euler_xyz", "axis_angle") == pytest.approx(rotvec, rel=0.02)


@given(rows=triples)
def test_as_scipy_has_it(rows: np.ndarray) -> None:
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    make = {"axis_angle": rotation.from_rotvec}
    make |= {name: lambda x, order=name[-3:]: rotation.from_euler(order, x) for name in ("euler_xyz", "euler_XYZ")}
    for one in READINGS:
        for other in READINGS:
            want = (make[one](rows).inv() * make[other](rows)).magnitude()
            np.testing.assert_allclose(geodesic(rows, one, other), want, atol=1e-13)


@given(rows=triples)
def test_an_angle_is_symmetric_bounded_and_zero_for_one_reading(rows: np.ndarray) -> None:
    for reading in READINGS:
        np.testing.assert_allclose(geodesic(rows, reading, reading), 0, atol=1e-15)
    there, back = geodesic(rows, *READINGS[:2]), geodesic(rows, *READINGS[1::-1])
    np.testing.assert_allclose(there, back, atol=1e-15)
    assert ((there >= 0) & (there <= np.pi)).all()


@given(angle=st.floats(-3.14, 3.14), axis=st.integers(0, 2))
def test_about_one_axis_all_readings_agree(angle: float, axis: int) -> None:
    row = np.eye(3)[axis] * angle
    assert max(geodesic(row, one, other) for one in READINGS for other in READINGS) <= 1e-15 * max(1, abs(angle))


def test_small_differences_keep_their_digits() -> None:
    """Two orders of (s, s, 0) differ by s^2, far below what an arccosine of the trace could see."""
    s = np.array([1e-3, 1e-6, 1e-9])
    rows = np.stack([s, s, 0 * s], axis=1)
    np.testing.assert_allclose(geodesic(rows, "euler_xyz", "euler_XYZ"), s**2, rtol=1e-6)


def test_threads_and_layout_do_not_change_a_bit() -> None:
    rows = np.random.default_rng(0).normal(size=(50_001, 3))
    one = geodesic(rows, "euler_xyz", "axis_angle", threads=1)
    assert (geodesic(rows, "euler_xyz", "axis_angle", threads=5) == one).all()
    assert (geodesic(np.asfortranarray(rows)[::-1], "euler_xyz", "axis_angle")[::-1] == one).all()
    assert geodesic(rows[:6].reshape(2, 3, 3), "euler_xyz", "axis_angle").shape == (2, 3)
    narrow = rows[:5].astype(np.float32)
    assert (geodesic(narrow, *READINGS[:2]) == geodesic(narrow.astype(np.float64), *READINGS[:2])).all()
    assert geodesic(rows[:0], "euler_xyz", "axis_angle").shape == (0,)
    assert np.isnan(geodesic([0.0, np.nan, 0.0], "euler_xyz", "axis_angle"))
    assert np.isnan(geodesic([np.inf, 0.0, 0.0], "axis_angle", "euler_xyz"))


def test_what_is_no_rotation_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="its last axis must hold 3 channels"):
        geodesic(np.zeros((2, 4)), "euler_xyz", "axis_angle")
    with pytest.raises(ExecSpecError, match="no rotation reading 'euler_zyx'"):
        geodesic(np.zeros(3), "euler_zyx", "axis_angle")
    with pytest.raises(DTypeError):
        geodesic(np.zeros(3, np.float16), "euler_xyz", "axis_angle")


def test_a_misreading_sums_up() -> None:
    rows = np.array([[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
    cost = Misreading.over(rows, "euler_xyz", "axis_angle")
    angle = float(geodesic(rows[0], "euler_xyz", "axis_angle"))
    assert (cost.mean, cost.max, cost.count) == (angle / 2, angle, 2)
