"""The two oracles, NumPy and rational, against values worked out by hand and against each other."""

from __future__ import annotations

from fractions import Fraction

import exact
import numpy as np
import pytest
from execspec_fast import reference
from execspec_fast.errors import ShapeMismatchError
from execspec_fast.ops import OpDType, OpFlag, OpKind, OpTable, stage, table
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import TINY, op_tables, samples

METRICS = ("mean_abs", "bias", "rms", "max")


def one(kind: OpKind, *parameters: float, **options: OpDType | OpFlag) -> OpTable:
    return table(stage(1, kind, *parameters, **options))


@pytest.mark.parametrize(
    ("ops", "u", "a"),
    [
        (one(OpKind.IDENTITY), 0.25, 0.25),
        (one(OpKind.CLIP, -1.0, 0.5), 0.75, 0.5),
        (one(OpKind.CLIP, -1.0, 0.5), -3.0, -1.0),
        (one(OpKind.CLIP, -1.0, 0.5), 0.25, 0.25),
        (one(OpKind.ENDPOINT, -1.0, 3.0, 0.0), 0.5, 2.0),
        (one(OpKind.ENDPOINT, -1.0, 3.0, 2.0), 1.0, 5.0),
        (one(OpKind.ENDPOINT, 3.0, 3.0, 2.0, flags=OpFlag.EPS_IF_ZERO), 1.0, 5.0),
        (one(OpKind.ENDPOINT, -1.0, 3.0, 2.0, flags=OpFlag.EPS_IF_ZERO), 1.0, 3.0),
        (one(OpKind.ZSCORE, 10.0, 2.0, 0.5), 2.0, 15.0),
        (one(OpKind.LINEAR, -3.0, 1.0), 2.0, -5.0),
        (one(OpKind.STEP, 0.5, -1.0, 0.0, 1.0), 0.25, -1.0),
        (one(OpKind.STEP, 0.5, -1.0, 0.0, 1.0), 0.5, 0.0),
        (one(OpKind.STEP, 0.5, -1.0, 0.0, 1.0), 0.75, 1.0),
        (one(OpKind.TO_ENDPOINT, -1.0, 3.0, 0.0), 2.0, 0.5),
        (one(OpKind.TO_ENDPOINT, 3.0, 3.0, 2.0, flags=OpFlag.EPS_IF_ZERO), 5.0, 1.0),
        (one(OpKind.TO_ZSCORE, 10.0, 2.0, 0.5), 15.0, 2.0),
        (one(OpKind.TO_LINEAR, 4.0, 1.0), 15.0, 3.5),
        (table(stage(1, OpKind.LINEAR, 2.0, 0.0), stage(1, OpKind.CLIP, -1.0, 1.0)), 0.75, 1.0),  # top to bottom
    ],
)
def test_every_op_by_hand(ops: OpTable, u: float, a: float) -> None:
    assert reference.unnormalize(ops, np.array([u])).tolist() == [a]
    assert reference.evaluate(ops, 0, u) == a
    assert exact.evaluate(ops, 0, u) == a


def test_nan_passes_clips_and_steps() -> None:
    for ops in (one(OpKind.CLIP, -1.0, 1.0), one(OpKind.STEP, 0.0, -1.0, 0.0, 1.0)):
        assert np.isnan(reference.unnormalize(ops, np.array([np.nan]))).all()


def test_the_value_keeps_its_dtype_until_it_meets_the_parameters() -> None:
    tiny = np.array([1e-9], np.float32)  # u + 1 rounds to 1 in float32, not in float64
    wide = one(OpKind.ENDPOINT, 0.0, 2.0, 0.0, dtype=OpDType.FLOAT64)
    assert reference.unnormalize(wide, tiny).dtype == np.float64
    assert reference.unnormalize(wide, tiny)[0] == 1.0
    assert reference.unnormalize(wide, tiny.astype(np.float64))[0] > 1.0
    third = one(OpKind.LINEAR, 1 / 3, 0.0)
    assert reference.unnormalize(third, np.ones(1, np.float32)).dtype == np.float32
    assert reference.unnormalize(third, np.ones(1, np.float32))[0] == np.float32(1 / 3)


def test_eps_replaces_a_range_that_is_zero_after_the_cast() -> None:
    ops = one(OpKind.ENDPOINT, 1.0, 1.0 + 1e-12, 0.5, flags=OpFlag.EPS_IF_ZERO)
    assert reference.unnormalize(ops, np.ones(1, np.float32))[0] == 1.5
    assert reference.unnormalize(ops, np.ones(1, np.float64))[0] == 1.0 + 1e-12


def test_the_order_of_products_shows_in_a_subnormal_range() -> None:
    odd, u = (0.0, 3 * TINY, 0.0), np.array([-0.1])  # 0.9 * 3 is 2.7, and half of it 1.35, in units of TINY
    assert reference.unnormalize(one(OpKind.ENDPOINT, *odd), u)[0] == TINY
    assert reference.unnormalize(one(OpKind.ENDPOINT, *odd, flags=OpFlag.HALF_LAST), u)[0] == 2 * TINY


def test_a_wrong_width_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match=r"\(4, 2\), the table has 1 channels"):
        reference.unnormalize(one(OpKind.IDENTITY), np.zeros((4, 2)))


@settings(max_examples=60)
@given(data=st.data())
def test_evaluate_is_exact_arithmetic_rounded(data: st.DataObject) -> None:
    ops = data.draw(op_tables(2, bent=False))
    u = data.draw(samples(2, max_rows=5))
    for d in range(2):
        for x, got in zip(u[:, d], reference.evaluate(ops, d, u[:, d]), strict=True):
            size = 4 * np.abs(ops["p"][:, d]).max() * (1 + abs(x)) + abs(x)
            assert abs(float(exact.evaluate(ops, d, x)) - got) <= 4 * np.finfo(float).eps * size + 9 * TINY


def test_drift_by_hand() -> None:
    intended = table(stage(2, OpKind.LINEAR, 1.0, 0.0))
    executed = table(stage(2, OpKind.LINEAR, [2.0, 1.0], [0.0, 3.0]))
    result = reference.drift(intended, executed, np.array([[4.0, 7.0], [-4.0, -9.0]]))
    assert {name: result[name].tolist() for name in METRICS} == {
        "mean_abs": [4.0, 3.0],
        "bias": [0.0, 3.0],
        "rms": [4.0, 3.0],
        "max": [4.0, 3.0],
    }
    assert result["mean_l2"] == 5.0


@settings(max_examples=25)
@given(data=st.data())
def test_drift_agrees_with_exact_drift(data: st.DataObject) -> None:
    i, j = data.draw(op_tables(2)), data.draw(op_tables(2))
    u = data.draw(samples(2, max_rows=20))
    assume(not any((t["kind"] == OpKind.STEP).any() for t in (i, j)))  # float64 may land on the other side of a jump
    largest = max(np.abs(t["p"][np.isfinite(t["p"])]).max() for t in (i, j))
    assume(largest < 1e30)
    got, want = reference.drift(i, j, u), exact.drift(i, j, u)
    slack = 1e-14 * (1 + largest) * (1 + np.abs(u).max()) + 1e-140  # what cancels, and squares that underflow
    for name in METRICS:
        assert got[name] == pytest.approx([float(x) for x in want[name]], rel=1e-12, abs=slack)
    assert got["mean_l2"] == pytest.approx(float(want["mean_l2"]), rel=1e-12, abs=slack)


@settings(max_examples=40)
@given(data=st.data())
def test_exact_worst_case_bounds_every_value_and_is_reached(data: st.DataObject) -> None:
    i, j = data.draw(op_tables(1)), data.draw(op_tables(1))
    worst = exact.worst_case(i, j, 0, -1.0, 1.0)
    bends = [-1.0, 1.0, *(float(x) for x in exact.breakpoints(i, 0) | exact.breakpoints(j, 0) if abs(x) < 1)]
    beside = [float(np.nextafter(x, side)) for x in bends for side in (-2, 2)]
    grid = [*bends, *(x for x in beside if abs(x) <= 1), *np.linspace(-1, 1, 41)]
    reached = max(map(abs, exact.deltas(i, j, np.array(grid)[:, None])[0]))
    assert reached <= worst
    assert float(reached) == pytest.approx(float(worst), rel=1e-6, abs=1e-300)


def test_worst_case_takes_both_sides_of_a_jump_and_every_point() -> None:
    identity, jump = one(OpKind.IDENTITY), one(OpKind.STEP, 0.5, 0.0, 0.0, 4.0)
    # the limit from above 0.5, not the 0.5 at it; between two floats the lower one decides
    assert exact.worst_case(identity, jump, 0, -1.0, 1.0) == Fraction(7, 2) - Fraction(1, 2**53)
    assert exact.worst_case(identity, jump, 0, -1.0, 1.0, points=[0.25, 0.5]) == 0.5


@settings(max_examples=40)
@given(data=st.data())
def test_mismatch_sends_what_was_meant_to_what_is_done(data: st.DataObject) -> None:
    i, j = data.draw(op_tables(2, bent=False)), data.draw(op_tables(2, bent=False))
    scale, offset = reference.mismatch(i, j)
    for d in range(2):
        (slope, _), (slope_j, _) = exact.affine(i, d), exact.affine(j, d)
        if slope == 0:
            assert np.isnan(scale[d])
            continue
        want_scale, want_offset = exact.mismatch(i, j, d)
        assume(all(x == 0 or 1e-250 < abs(x) < 1e250 for x in (slope, slope_j, want_scale)))  # what float64 can hold
        assume(abs(want_offset) < 1e250)
        c_j = abs(reference.evaluate(j, d, 0.0)) + abs(reference.evaluate(i, d, 0.0) * scale[d])
        assert scale[d] == pytest.approx(float(want_scale), rel=1e-9, abs=1e-250)
        assert offset[d] == pytest.approx(float(want_offset), rel=1e-9, abs=1e-9 * c_j + 1e-250)


def test_mismatch_is_nan_where_a_channel_clips() -> None:
    clipped = table(stage(2, OpKind.LINEAR, 2.0, 1.0), stage(2, OpKind.CLIP, -1.0, 1.0, where=[True, False]))
    plain = table(stage(2, OpKind.LINEAR, 4.0, 0.0))
    scale, offset = reference.mismatch(plain, clipped)
    assert np.isnan([scale[0], offset[0]]).all()
    assert (scale[1], offset[1]) == (0.5, 1.0)


def test_the_root_is_exact_to_sixty_digits() -> None:
    two = exact.sqrt(exact.Fraction(2))
    assert abs(two * two - 2) < exact.Fraction(1, 10**60)
    assert exact.sqrt(exact.Fraction(9, 4)) == exact.Fraction(3, 2)
    assert exact.relative_error(1.5, exact.Fraction(1)) == 0.5
