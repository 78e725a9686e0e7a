"""The mismatch transform against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import exact
import numpy as np
import pytest
import strategies as own
from execspec_fast import ops
from execspec_fast.errors import NotInvertibleError, ShapeMismatchError
from execspec_fast.mismatch import mismatch
from execspec_fast.ops import OpKind
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given
from hypothesis import strategies as st


@given(st.data())
def test_mismatch_is_the_exact_transform(data):
    tables = [data.draw(own.op_tables(2, bent=False)) for _ in range(2)]
    m = mismatch(*map(Unnormalizer, tables))
    for d in range(2):
        if abs(exact.affine(tables[0], d)[0]) < own.TINY:  # half of the smallest double is zero
            assert not m.invertible[d]
            assert "intended" in m.reason[d]
            continue
        scale, offset = exact.mismatch(*tables, d)
        size = abs(scale) * abs(exact.affine(tables[0], d)[1]) + abs(exact.affine(tables[1], d)[1])
        if abs(scale) < 1e140 and size < 1e140:
            halved = Fraction(own.TINY) / abs(exact.affine(tables[0], d)[0])  # half a subnormal range is rounded
            moved = halved * abs(exact.affine(tables[0], d)[1])
            smallest = halved + Fraction(own.TINY)  # and so is the result
            assert abs(Fraction(float(m.scale[d])) - scale) <= Fraction(1e-13) * abs(scale) + smallest
            assert abs(Fraction(float(m.offset[d])) - offset) <= Fraction(1e-15) * size + moved + smallest


def test_mismatch_applies_inverts_and_refuses():
    fi, fj = Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-2.0], [4.0])
    m = mismatch(fi, fj)
    u = np.linspace(-1, 1, 9)[:, None]
    np.testing.assert_array_equal(m(fi(u)), fj(u))
    np.testing.assert_allclose(m.inverse()(fj(u)), fi(u), atol=1e-15)
    constant = Unnormalizer.from_bounds([0.1], [0.1])
    with pytest.raises(NotInvertibleError, match="channel 0"):
        mismatch(constant, fi)(u)
    assert mismatch(fi, constant)(u).tolist() == [[0.1]] * 9
    clipped = fi.then(ops.stage(1, OpKind.CLIP, -0.5, 0.5))
    assert not mismatch(clipped, fi).invertible[0]


def test_different_widths_are_refused():
    with pytest.raises(ShapeMismatchError, match="1 and 2 channels"):
        mismatch(Unnormalizer.from_bounds([-1.0], [1.0]), Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2))
