"""Whatever NumPy can lay out in memory: taken with the right result, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.errors import DTypeError, ExecSpecError, ShapeMismatchError
from execspec_fast.unnormalizer import Unnormalizer

LOW, HIGH = np.linspace(-1, -0.1, 7), np.linspace(0.2, 2, 7)
F = Unnormalizer.from_bounds(LOW, HIGH)
ROWS = np.random.default_rng(0).uniform(-1.5, 1.5, (6, 5, 7))


def literal(u):
    kind = u.dtype.newbyteorder("=").type
    low, high = LOW.astype(kind), HIGH.astype(kind)
    return (kind(0.5) * (u.astype(kind) + kind(1)) * (high - low) + low).astype(kind)


def unaligned(u):
    raw = bytearray(u.nbytes + 1)
    view = np.frombuffer(raw, np.uint8)[1:].view(u.dtype).reshape(u.shape)
    view[...] = u
    assert not view.flags.aligned
    return view


def read_only(u):
    copy = u.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {
    "contiguous": lambda u: u,
    "one action": lambda u: u[0, 0],
    "rows reversed": lambda u: u[::-1],
    "channels reversed": lambda u: u[..., ::-1],
    "every other row": lambda u: u[:, ::2],
    "Fortran order": np.asfortranarray,
    "axes exchanged": lambda u: u.transpose(1, 0, 2),
    "channels first in memory": lambda u: np.ascontiguousarray(np.moveaxis(u, -1, 0)).transpose(1, 2, 0),
    "broadcast": lambda u: np.broadcast_to(u[0, 0], (3, 4, 7)),
    "column of a wider array": lambda u: np.repeat(u, 2, axis=-1)[..., ::2],
    "read-only": read_only,
    "unaligned": unaligned,
    "big-endian": lambda u: u.astype(u.dtype.newbyteorder(">")),
    "no rows": lambda u: u[:0],
    "no columns of rows": lambda u: u[:, :0],
    "one row": lambda u: u[:1, :1],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_in(layout, dtype):
    u = LAYOUTS[layout](ROWS.astype(dtype))
    before = u.copy()
    a = F(u)
    assert a.dtype == dtype
    assert a.shape == u.shape
    np.testing.assert_array_equal(a, literal(u))
    np.testing.assert_array_equal(u, before)


OUTS = [name for name in LAYOUTS if name not in ("broadcast", "read-only", "big-endian")]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("layout", OUTS)
def test_any_layout_out(layout, threads):
    out = LAYOUTS[layout](np.zeros((6, 5, 7)))
    u = np.random.default_rng(1).uniform(-1, 1, out.shape)
    assert F(u, out=out, threads=threads) is out
    np.testing.assert_array_equal(out, literal(u))


def test_in_place_and_overlapping():
    u = ROWS.reshape(-1, 7).copy()
    assert F(u, out=u) is u
    np.testing.assert_array_equal(u, literal(ROWS.reshape(-1, 7)))
    for shift in (slice(1, None), slice(None, -1)):
        u = ROWS.reshape(-1, 7).copy()
        source = u[1:] if shift.stop else u[:-1]
        want = literal(source)
        np.testing.assert_array_equal(F(source, out=u[shift]), want)
    u = ROWS.reshape(-1, 7).copy()
    want = literal(u[::-1])
    np.testing.assert_array_equal(F(u[::-1], out=u), want)


def test_dtype_of_the_result():
    u = ROWS.astype(np.float32)
    assert F(u).dtype == np.float32
    assert F(u, dtype="float64").dtype == np.float64
    np.testing.assert_array_equal(F(u, dtype=np.float64), literal(u).astype(np.float64))
    np.testing.assert_array_equal(F(ROWS, dtype=np.float32), literal(ROWS).astype(np.float32))
    with pytest.raises(DTypeError, match="float16"):
        F(u, dtype=np.float16)
    with pytest.raises(DTypeError, match="banana"):
        F(u, dtype="banana")


def test_lists_and_integers_convert_exactly():
    want = literal(np.ones(7))
    np.testing.assert_array_equal(F([1] * 7), want)
    np.testing.assert_array_equal(F([1.0] * 7), want)
    np.testing.assert_array_equal(F(np.ones(7, np.int32)), want)


@pytest.mark.parametrize(
    "u",
    [
        np.zeros(7, np.float16), np.zeros(7, np.longdouble), np.zeros(7, complex), np.zeros(7, bool),
        np.array([None] * 7), np.array(["0"] * 7), np.ma.zeros(7), np.zeros(7, "datetime64[s]"), None,
    ],
)  # fmt: skip
def test_other_dtypes_are_refused_by_name(u):
    with pytest.raises(DTypeError, match=r"u (has dtype|is a masked)"):
        F(u)


@pytest.mark.parametrize("shape", [(), (6,), (8,), (7, 6), (7, 1), (0,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeMismatchError, match="7 channels"):
        F(np.zeros(shape))


def test_outs_that_cannot_take_the_result_are_refused():
    u = ROWS[0]
    for out, error, words in [
        (np.zeros((5, 7), np.float32), DTypeError, "float64"),
        (np.zeros((5, 7), ">f8"), DTypeError, "byte order"),
        (np.zeros((7, 5)), ShapeMismatchError, r"\(5, 7\)"),
        (read_only(u), DTypeError, "read-only"),
        (np.lib.stride_tricks.as_strided(np.zeros(7), (5, 7), (0, 8)), ShapeMismatchError, "share memory"),
        (np.lib.stride_tricks.as_strided(np.zeros(11), (5, 7), (8, 8)), ShapeMismatchError, "share memory"),
        ([0.0] * 7, DTypeError, "NumPy array"),
    ]:
        with pytest.raises(error, match=words):
            F(u, out=out)


def test_a_ragged_list_is_refused():
    with pytest.raises(ExecSpecError, match="array"):
        F([[0.0] * 7, [0.0] * 6])


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_threads_must_be_positive(threads):
    with pytest.raises(ExecSpecError, match="threads"):
        F(ROWS, threads=threads)


def test_more_threads_than_anyone_needs():
    np.testing.assert_array_equal(F(ROWS, threads=10**30), F(ROWS))


def test_integers_that_float64_cannot_hold_are_refused():
    F(np.full(7, 2**53))
    with pytest.raises(DTypeError, match="2\\^53"):
        F(np.full(7, 2**53 + 2))


def test_nan_and_infinity_pass_through_the_arithmetic():
    u = np.array([np.nan, np.inf, -np.inf, 0, 0, 0, 0])
    a = F(u)
    assert np.isnan(a[0])
    assert a[1] == np.inf
    assert a[2] == -np.inf


def test_the_gil_is_released():
    import threading
    import time

    big = np.zeros((2_000_000, 7))
    out = np.empty_like(big)
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    ticker = threading.Thread(target=tick)
    ticker.start()
    begin = time.perf_counter()
    F(big, out=out, threads=1)
    end = time.perf_counter()
    done.set()
    ticker.join()
    assert sum(begin < t < end for t in ticks) >= 2
