"""A column as a clamped line: its figures, and the proof that what is near it is near what the ops compute."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from execspec_fast.guarding.bands import Bands
from execspec_fast.guarding.lines import FLOAT, LARGEST, line_of, literal_error
from execspec_fast.ops import OP, OpDType, OpFlag, OpKind, OpTable, stage, table
from execspec_fast.registry import open_registry
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st
from strategies import op_tables

F32, F64 = OpDType.FLOAT32, OpDType.FLOAT64
dtypes = st.sampled_from([F32, F64])
actions = st.floats(-3, 3) | st.floats(-LARGEST, LARGEST) | st.sampled_from([0.0, -0.0, 5e-324, 1.0, -1.0])


def literal(ops: OpTable, u: float, u_dtype: OpDType, a_dtype: OpDType) -> float:
    """What the ops of one column make of u, run as they are."""
    values = np.array([[u]], FLOAT[u_dtype])
    with np.errstate(over="ignore", invalid="ignore"):
        native = Unnormalizer(ops[:, None])(values, dtype="native")
        return float(FLOAT[a_dtype](native[0, 0]))


def computed(line, u: float) -> float:
    value = line.scale * u + line.offset
    return min(max(value, line.floor), line.ceiling)


@given(st.data())
def test_the_line_is_as_near_as_it_says(data):
    ops = data.draw(op_tables(1))
    u_dtype, a_dtype, u = data.draw(dtypes), data.draw(dtypes), data.draw(actions)
    line = line_of(Unnormalizer(ops), 0, u_dtype, a_dtype)
    if line is None:
        return
    away = abs(Fraction(computed(line, u)) - Fraction(literal(ops[:, 0], u, u_dtype, a_dtype)))
    assert away <= Fraction(line.error) * max(1, abs(Fraction(u)))


@given(st.data())
def test_what_is_near_the_line_agrees_with_the_ops(data):
    """The short cut of the gate: near the line is within the tolerance of the ops, each in its own arithmetic."""
    ops, ulps = data.draw(op_tables(1)), data.draw(st.sampled_from([4.0, 8.0, 100.0]))
    u_dtype, a_dtype, u = data.draw(dtypes), data.draw(dtypes), data.draw(st.floats(-3, 3))
    try:
        bands = Bands.of(Unnormalizer(ops), u_dtype, a_dtype, ulps)
    except ValueError:
        return  # not finite at u = 1
    near, size = float(bands.near[0]), max(1.0, abs(u))
    if near < 0:
        return
    line = line_of(Unnormalizer(ops), 0, u_dtype, a_dtype)
    edge = computed(line, u) + data.draw(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])) * near * size
    for a in (edge, float(FLOAT[a_dtype](edge)), np.nextafter(edge, math.inf), np.nextafter(edge, -math.inf)):
        if abs(computed(line, u) - a) <= near * size:
            assert abs(a - literal(ops[:, 0], u, u_dtype, a_dtype)) <= bands.tolerance[0] * size


def test_a_step_and_two_slopes_are_no_line():
    step = stage(1, OpKind.STEP, 0.0, 1.0, 0.0, -1.0)
    assert line_of(Unnormalizer(step), 0, F64, F64) is None
    assert math.isinf(literal_error(step[:, 0], F64, F64))


def test_clips_are_floor_and_ceiling_whichever_way_the_line_goes():
    clip = stage(1, OpKind.CLIP, -1.0, 0.5)
    rising = line_of(Unnormalizer(table(clip, stage(1, OpKind.LINEAR, 2.0, 1.0))), 0, F64, F64)
    falling = line_of(Unnormalizer(table(clip, stage(1, OpKind.LINEAR, -2.0, 1.0))), 0, F64, F64)
    open_end = line_of(Unnormalizer(stage(1, OpKind.CLIP, -math.inf, 0.5)), 0, F64, F64)
    assert (rising.scale, rising.offset, rising.floor, rising.ceiling) == (2, 1, -1, 2)
    assert (falling.scale, falling.offset, falling.floor, falling.ceiling) == (-2, 1, 0, 3)
    assert (open_end.floor, open_end.ceiling) == (-math.inf, 0.5)


def test_figures_are_correctly_rounded():
    ops = stage(1, OpKind.ENDPOINT, 0.1, 0.7, 1e-8)
    line = line_of(Unnormalizer(ops), 0, F64, F64)
    half = (Fraction(0.7) - Fraction(0.1) + Fraction(1e-8)) / 2
    assert line.scale == float(half)
    assert line.offset == float(half + Fraction(0.1))


def test_what_overflows_in_float32_has_no_line():
    wide = stage(1, OpKind.LINEAR, 1e35, 0.0, dtype=F32)
    assert line_of(Unnormalizer(wide), 0, F64, F64) is None
    assert line_of(Unnormalizer(stage(1, OpKind.LINEAR, 1e35, 0.0)), 0, F64, F64) is not None


def test_a_width_that_float32_loses_counts():
    """Equal in float32, so that the epsilon takes the place of a range that the exact map has."""
    lo, hi = 1.0, 1.0 + 2.0**-30
    ops = stage(1, OpKind.ENDPOINT, lo, hi, 1e-8, dtype=F32, flags=OpFlag.EPS_IF_ZERO)
    line = line_of(Unnormalizer(ops), 0, F64, F64)
    away = abs(computed(line, 1.0) - literal(ops[:, 0], 1.0, F64, F64))
    assert 1e-10 < away <= line.error


@pytest.mark.parametrize("a_dtype", [F32, F64])
@pytest.mark.parametrize("u_dtype", [F32, F64])
def test_every_real_key_is_proved_within_eight_ulp(shared_registry, u_dtype, a_dtype):
    """So that the gate's short cut is open for real checkpoints: in practice at most 4.7 of the 8."""
    specs = [spec for folder in ("openvla", "openvla-oft", "openpi", "gr00t", "lerobot", "octo")
             for spec in open_registry(shared_registry / folder).specs]  # fmt: skip
    assert len(specs) > 60
    for spec in specs:
        bands = Bands.of(spec.map, u_dtype, a_dtype, 8)
        straight = ~(spec.table()["kind"] == OpKind.STEP).any(axis=0)
        assert (bands.near[straight] > 0.3 * bands.tolerance[straight]).all(), spec.name


def test_an_exact_op_loses_nothing():
    assert literal_error(np.zeros(1, OP), F64, F64) == 0.0
    assert 0 < literal_error(np.zeros(1, OP), F64, F32) < 1.01 * 2.0**-24
