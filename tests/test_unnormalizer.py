"""The compiled map: bits of the reference, the exact inverse, and what it refuses."""

from __future__ import annotations

import pickle
from fractions import Fraction

import exact
import numpy as np
import pytest
import strategies as own
from execspec_fast import ops, reference
from execspec_fast.domain import UNIT_INTERVAL
from execspec_fast.errors import NotInvertibleError, ShapeMismatchError, StatsError
from execspec_fast.ops import OpDType, OpKind
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import assume, given
from hypothesis import strategies as st


@given(st.data(), st.sampled_from(["float32", "float64"]), st.integers(1, 3))
def test_bits_of_the_reference(data, dtype, threads):
    dim = data.draw(st.integers(1, 4))
    table, u = data.draw(own.op_tables(dim)), data.draw(own.samples(dim, dtype=dtype))
    f = Unnormalizer(table)
    with np.errstate(all="ignore"):
        want = reference.unnormalize(table, u)
        rounded = want.astype(dtype)
    assert exact.same_bits(f(u, dtype="native", threads=threads), want)
    assert exact.same_bits(f(u, threads=threads), rounded)


@given(st.data())
def test_maps_are_the_ops_in_exact_arithmetic(data):
    table = data.draw(own.op_tables(1))
    sizes = np.abs(table["p"][table["p"] != 0])
    assume((sizes > 1e-300).all())  # half of a subnormal is rounded, and where it meets a clip overflows
    f = Unnormalizer(table)
    pieces = f._core.pieces(0)
    cuts = [sum(map(Fraction, cut)) for cut, *_ in pieces[1:]]
    probes = {Fraction(x) for x in (-3.0, -1.0, -0.3, 0.0, 0.7, 1.0, 2.5)}
    for x in sorted(probes - set(cuts)):
        k = sum(cut < x for cut in cuts)
        scale, offset = (sum(map(Fraction, part)) for part in pieces[k][2:])
        want, size = exact.evaluate(table, 0, x), Fraction(float(np.abs(table["p"][np.isfinite(table["p"])]).max()))
        assert abs(scale * x + offset - want) <= (4 * size * abs(x) + 4 * size) / 10**30 + Fraction(own.TINY) * 8


@given(st.data())
def test_inverse_is_exact_to_a_rounding(data):
    table, u = data.draw(own.op_tables(2, bent=False)), data.draw(own.samples(2))
    f = Unnormalizer(table)
    if not f.invertible().all():
        with pytest.raises(NotInvertibleError, match="channel"):
            f.inverse(u)
        return
    got = f.inverse(u)
    for d in range(2):
        scale, offset = exact.affine(table, d)
        if abs(scale) < 1e-290:
            continue
        for a, x in zip(u[:, d], got[:, d], strict=True):
            want = (Fraction(float(a)) - offset) / scale
            slack = Fraction(1, 2**52) * abs(want) + abs(offset / scale) / 2**100 + Fraction(own.TINY)
            assert abs(want) > 1e300 or abs(Fraction(float(x)) - want) <= slack


def test_inverse_writes_out_and_keeps_the_dtype():
    f = Unnormalizer.from_bounds([-2.0, 3.0], [2.0, 1.0])
    a = np.array([[1.0, 2.5], [-2.0, 3.0]], np.float32)
    out = np.empty_like(a)
    assert f.inverse(a, out=out) is out
    assert out.tolist() == [[0.5, -0.5], [-1.0, -1.0]]
    assert np.isnan(f.inverse([[np.nan, 1.0]])[0, 0])


def test_from_bounds_rounds_its_bounds_to_the_input():
    low, high = np.array([-0.1]), np.array([0.3])
    u = np.array([[0.7]], np.float32)
    want = np.float32(0.5) * (u + np.float32(1)) * (np.float32(0.3) - np.float32(-0.1)) + np.float32(-0.1)
    assert exact.same_bits(Unnormalizer.from_bounds(low, high)(u), want)


def test_from_mean_std():
    f = Unnormalizer.from_mean_std([1.0, 5.0], [2.0, 9.0], mask=[True, False], eps=1e-6)
    assert f([[0.5, 0.25]]).tolist() == [[0.5 * (2.0 + 1e-6) + 1.0, 0.25]]
    assert f.gripper == (1,)


def test_figures_that_make_no_map_name_the_channel():
    with pytest.raises(StatsError, match=r"channel 1.*hi = .*nan"):
        Unnormalizer.from_bounds([0.0, 0.0], [1.0, np.nan])
    with pytest.raises(StatsError, match=r"channel 0.*lo = .*inf"):
        Unnormalizer.from_bounds([-np.inf], [1.0])
    with pytest.raises(StatsError, match="1e"):
        Unnormalizer.from_bounds([0.0], [1e200])
    with pytest.raises(StatsError, match="crossed"):
        Unnormalizer(ops.stage(1, OpKind.CLIP, 1.0, -1.0))
    with pytest.raises(ShapeMismatchError, match=r"\(2,\)"):
        Unnormalizer.from_bounds([0.0, 0.0], [1.0])


def test_a_table_of_a_later_version_is_refused():
    table = ops.stage(1, OpKind.IDENTITY)
    table["kind"] = 99
    with pytest.raises(StatsError, match="99"):
        Unnormalizer(table)


def test_tables_are_read_only_and_pickle():
    f = Unnormalizer.from_bounds([-1.0], [1.0], mask=[True])
    with pytest.raises(ValueError, match="read-only"):
        f.table()["p"][0, 0, 0] = 3.0
    g = pickle.loads(pickle.dumps(f))
    assert g.table().tobytes() == f.table().tobytes()
    assert (g.domain, g.gripper) == (f.domain, f.gripper)


def test_then_adds_stages_and_keeps_the_rest():
    f = Unnormalizer(
        ops.stage(1, OpKind.ENDPOINT, -2.0, 2.0, dtype=OpDType.FLOAT64), domain=UNIT_INTERVAL, gripper=(0,)
    )
    g = f.then(ops.stage(1, OpKind.STEP, 0.0, -1.0, 0.0, 1.0))
    assert g([[0.3], [-0.3], [0.0]]).ravel().tolist() == [1.0, -1.0, 0.0]
    assert (g.domain, g.gripper) == (UNIT_INTERVAL, (0,))
    assert np.isnan(g.scale_offset()[0][0])
    assert f.scale_offset() == (np.array([2.0]), np.array([0.0]))
