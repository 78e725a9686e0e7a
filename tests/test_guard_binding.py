"""`_core.Gate`: what it takes and refuses, and that a refused call is no step."""

from __future__ import annotations

import array
import threading
import warnings

import numpy as np
import pytest
from execspec_fast import Unnormalizer, _core
from execspec_fast.errors import DTypeError, FormatError, GuardError, GuardWarning, ShapeMismatchError, ThreadError
from execspec_fast.guarding import layout
from execspec_fast.guarding.image import MAX_LATCH
from execspec_fast.guarding.layout import write
from gates import HIGH, HOLD, LOW, MISMATCH, NOT_FINITE, PASS, STALE, STOP, D, U, action, gate, image


def test_a_right_action_passes_and_a_wrong_one_is_held():
    g = gate()
    a = action(g)
    assert g.verdict == HOLD, "nothing was judged yet"
    assert g.step(U, a) == 0
    assert g.verdict == PASS
    assert g.step(U, a + 1e-3) == MISMATCH
    assert g.verdict == HOLD
    assert g.counters["steps"] == 2
    assert g.counters["faults"][3] == 1
    step, row, channel, value, limit = g.record(3)
    assert (step, row, channel) == (2, 0, D - 1)
    assert (value, limit) == (a[-1] + 1e-3, a[-1])
    assert g.record(0) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_command_is_the_unnormalizer_bit_for_bit(dtype):
    g, u = gate(dtype=np.dtype(dtype).name), U.astype(dtype)
    expected = Unnormalizer.from_bounds(LOW, HIGH)(u)
    assert action(g, u, dtype).tobytes() == expected.astype(dtype).tobytes()
    assert g.step(u, expected) == 0


REFUSED = {
    "list": (lambda x: list(x), DTypeError),
    "None": (lambda x: None, DTypeError),
    "object": (lambda x: x.astype(object), DTypeError),
    "float32": (lambda x: x.astype(np.float32), DTypeError),
    "longdouble": (lambda x: x.astype(np.longdouble), DTypeError),
    "int64": (lambda x: x.astype(np.int64), DTypeError),
    "other byte order": (lambda x: x.astype(">f8"), DTypeError),
    "masked": (np.ma.masked_array, DTypeError),
    "date": (lambda x: x.astype(np.int64).astype("M8[s]"), DTypeError),
    "strided": (lambda x: np.repeat(x, 2)[::2], ShapeMismatchError),
    "backwards": (lambda x: x[::-1], ShapeMismatchError),
    "broadcast": (lambda x: np.broadcast_to(1.0, D), ShapeMismatchError),
    "short": (lambda x: x[:-1], ShapeMismatchError),
    "empty": (lambda x: x[:0], ShapeMismatchError),
    "scalar": (lambda x: np.float64(1.0), ShapeMismatchError),
    "row": (lambda x: x[None], ShapeMismatchError),
    "short array.array": (lambda x: array.array("d", x[:-1]), ShapeMismatchError),
    "bytes": (lambda x: x.tobytes(), DTypeError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_take_is_no_step(name):
    change, error = REFUSED[name]
    g = gate()
    a = action(g)
    g.step(U, a)
    for arguments in ((change(U), a), (U, change(a))):
        with pytest.raises(error, match=r"^[ua] (is|holds|has)"):
            g.step(*arguments)
        assert g.counters["steps"] == 1
        assert g.verdict == HOLD, "what was not judged was not found fit to run"
    with pytest.raises(error):
        g.bind(change(U), a)
    assert g.step(U, a) == 0


def test_it_takes_whatever_lends_the_same_memory():
    g = gate()
    a = action(g)
    unaligned = np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(np.float64)
    read_only = a.copy()
    read_only.flags.writeable = False
    for lent in (array.array("d", a), memoryview(a), a.view(type("Sub", (np.ndarray,), {})), unaligned, read_only):
        assert g.step(U, lent) == 0


def test_nothing_is_written_where_it_must_not_be():
    g = gate()
    read_only = np.zeros(D)
    read_only.flags.writeable = False
    for call in (lambda: g.command(U, read_only), lambda: g.hold(read_only)):
        with pytest.raises(DTypeError, match="read-only"):
            call()
    assert not read_only.any()


def test_command_may_write_over_its_input():
    g = gate()
    expected, u = action(g), U.copy()
    g.command(u, u)
    assert u.tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "bits", [0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFFFFFFFFFFFFFFF, 0x7FF0000000000001]
)
@pytest.mark.parametrize("where", [0, 1])
def test_every_nan_and_infinity_latches(bits, where):
    g = gate()
    pair = [U.copy(), action(g)]
    pair[where][D - 1] = np.uint64(bits).view(np.float64)
    assert g.step(*pair) & NOT_FINITE
    assert g.verdict == STOP
    assert g.latched
    assert g.step(U, action(g)) == 1 << 14, "latched"


@pytest.mark.parametrize("tiny", [-0.0, 5e-324, -5e-324, 2.0**-1030])
def test_zeros_and_subnormals_are_numbers(tiny):
    g = gate()
    u = np.full(D, tiny)
    assert g.step(u, action(g, u)) == 0


def test_an_age_limit_asks_for_times():
    g = gate(max_age=0.5)
    a, clock = action(g), np.array([10.0, 10.1])
    for call in (
        lambda: g.step(U, a),
        lambda: g.step(U, a, 1.0),
        lambda: g.bind(U, a),
        lambda: g.accept(U[None], a[None]),
    ):
        with pytest.raises(TypeError, match="stamp"):
            call()
    assert g.counters["steps"] == 0
    assert g.step(U, a, 10.0, 10.5) == 0
    assert g.step(U, a, 10.0, 10.6) == STALE
    assert g.step(U, a, 10.0, 9.9) == STALE, "from the future"
    assert g.step(U, a, float("nan"), 9.9) & STALE
    g.reset(image().digest)
    g.bind(U, a, clock)
    assert g.tick() == 0
    clock[1] = 11
    assert g.tick() == STALE
    with pytest.raises(ShapeMismatchError):
        g.bind(U, a, np.zeros(3))


def test_a_chunk_is_all_or_nothing():
    g = gate(jump=1.0)
    u = np.linspace(-0.5, 0.5, 4)[:, None] * np.ones(D)
    a = np.stack([action(g, row) for row in u])
    assert g.accept(u, a) == 0
    assert g.accept(u, a, 2, None, None) == 0
    a[3, 1] += 1e-3
    assert g.accept(u, a, 1) == MISMATCH
    assert g.record(3)[:3] == (3, 3, 1)
    for bad in (0, -1, 5):
        with pytest.raises(ShapeMismatchError, match="executed"):
            g.accept(u, a, bad)
    for bad_u, bad_a in ((u[:3], a), (u[:0], a[:0]), (u[:, :6], a), (u[0], a[0]), (u.T.copy().T, a)):
        with pytest.raises(ShapeMismatchError):
            g.accept(bad_u, bad_a)
    assert g.counters["steps"] == 3


def test_hold_is_no_motion():
    g, out = gate(), np.ones(D)
    assert g.hold(out)
    assert not out.any()
    g, out = gate(relative=False), np.ones(D)
    assert not g.hold(out)
    assert out.all(), "nothing to stand still by: nothing is written"
    a = action(g)
    g.step(U, a)
    assert g.hold(out)
    assert (out == a).all()
    g.executed(2 * a)
    g.hold(out)
    assert (out == 2 * a).all()


def test_what_ran_is_finite():
    g, out = gate(relative=False), np.full(D, 9.0)
    ran = action(g)
    g.executed(ran)
    for never in (np.nan, np.inf):
        with pytest.raises(GuardError, match="not finite, and no robot runs that"):
            g.executed(np.full(D, never))
    assert g.hold(out)
    np.testing.assert_array_equal(out, ran)


def test_only_the_digest_clears_a_latch():
    g, digest = gate(), image().digest
    assert g.confirm(digest) == 0
    assert g.confirm(bytes.fromhex(digest)) == 0
    assert g.verdict == HOLD, "no action was judged"
    assert g.confirm("00" * 32) & 1 << 2
    assert g.latched
    for wrong, reason in (
        ("00" * 32, "not the one"),
        ("zz" * 32, "hexadecimal"),
        (b"", "32 bytes"),
        (None, "32 bytes"),
    ):
        with pytest.raises(GuardError, match=reason):
            g.reset(wrong)
    assert g.latched
    g.reset(digest)
    assert not g.latched
    assert g.verdict == HOLD
    assert g.step(U, action(g)) == 0


def test_one_thread_steps_it_until_it_is_handed_over():
    g = gate()
    a = action(g)
    g.step(U, a)
    seen = []

    def other(*calls):
        def run():
            for call in calls:
                try:
                    seen.append(call())
                except ThreadError as error:
                    seen.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    digest = image().digest
    other(
        lambda: g.step(U, a), g.tick, lambda: g.accept(U[None], a[None]), lambda: g.bind(U, a), g.unbind,
        lambda: g.reset(digest), lambda: g.confirm(digest), lambda: g.executed(a),
    )  # fmt: skip
    assert len(seen) == 8
    assert all("hand_over" in text for text in seen)
    assert g.counters["steps"] == 1
    assert g.verdict == PASS, "what another thread tried changes nothing"
    assert isinstance(ThreadError(), RuntimeError)
    seen.clear()
    g.hand_over()
    other(lambda: g.step(U, a))
    assert seen == [0]


def test_warn_says_it_once_per_run_of_faults():
    g = gate(mode="warn")
    a = action(g)
    with pytest.warns(GuardWarning, match="not what the spec makes of u"):
        assert g.step(U, a + 1e-3) == MISMATCH
    assert g.verdict == PASS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert g.step(U, a + 1e-3) == MISMATCH

    class Told(_core.Gate):
        def announce(self, faults):
            heard.append(faults)

    heard: list[int] = []
    g = gate(Told, mode="warn")
    g.step(U, a + 1e-3)
    assert heard == [MISMATCH]


def test_garbage_is_no_image():
    good = write(image())
    for bad in (b"", b"x" * 300, good[:-1], good[:240], good + b"\0" * 64, good[:500] + b"\x55" + good[501:]):
        with pytest.raises(FormatError):
            _core.Gate(bad)
    for wrong in ((), (good, good), (None,), ("text",)):
        with pytest.raises(TypeError):
            _core.Gate(*wrong)
    with pytest.raises(TypeError):
        _core.Gate(image=good)
    unaligned = memoryview(b"x" + good)[1:]
    assert _core.Gate(unaligned).image == good


def test_one_flipped_bit_is_found_anywhere():
    good = bytearray(write(image()))
    for at in np.random.default_rng(0).integers(0, len(good), 300):
        good[at] ^= 1 << int(at) % 8
        with pytest.raises(FormatError):
            _core.Gate(good)
        good[at] ^= 1 << int(at) % 8
    _core.Gate(good)


def test_evidence_names_the_key_that_runs():
    others = [Unnormalizer.from_bounds(LOW * k, HIGH) for k in (0.9, 0.8)]
    g = gate(siblings=others, mode="observe")
    for k in range(5):
        u = np.full(D, -0.1 - k / 10)
        g.step(u, others[1](u))
    found = g.evidence
    assert found["explaining"] == (2,)
    assert (found["best"], found["steps"], found["segments"]) == (2, 5, 1)
    assert found["worst"] <= 1 < found["margin"]


def test_calls_are_positional():
    g = gate()
    for call in (lambda: g.step(u=U, a=U), lambda: g.step(U), lambda: g.step(U, U, 1, 2, 3), lambda: g.bind(U)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(IndexError):
        g.record(15)


def test_the_layout_is_the_one_python_writes():
    mirrors = {
        "Header": layout.HEADER,
        "Channel": layout.CHANNEL,
        "Candidate": layout.CANDIDATE,
        "WatchChannel": layout.WATCH_CHANNEL,
    }
    told = {name: (d.itemsize, {field: d.fields[field][1] for field in d.names}) for name, d in mirrors.items()}
    assert _core.guard_layout() == told


def test_the_bounds_are_the_ones_python_checks():
    assert _core.guard_constants() == {
        "max_channels": layout.MAX_CHANNELS,
        "max_rows": layout.MAX_ROWS,
        "max_stages": layout.MAX_STAGES,
        "max_latch": MAX_LATCH,
        "max_candidates": layout.MAX_SIBLINGS + 1,
        "lane": layout.LANE,
        "columns": len(layout.COLUMNS),
        "lines": len(layout.LINES),
    }
