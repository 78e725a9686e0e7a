"""`_core.Watch`: what it takes and refuses, and that a refused call is no step."""

from __future__ import annotations

import array
import gc
import math
import threading
import warnings
import weakref

import numpy as np
import pytest
from execspec_fast import Unnormalizer, _core
from execspec_fast.errors import DTypeError, FormatError, GuardError, GuardWarning, ShapeMismatchError, ThreadError
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.layout import write
from watches import core, image

REST, DT = np.zeros(2), 0.01
NOT_FINITE, DIGEST, STALE, VELOCITY, PERIOD, LATCHED = (1 << bit for bit in (0, 2, 8, 10, 13, 14))
PASS, HOLD, STOP = 0, 1, 2

REFUSED = {
    "list": (list, DTypeError),
    "None": (lambda x: None, DTypeError),
    "object": (lambda x: x.astype(object), DTypeError),
    "float32": (lambda x: x.astype(np.float32), DTypeError),
    "int64": (lambda x: x.astype(np.int64), DTypeError),
    "other byte order": (lambda x: x.astype(">f8"), DTypeError),
    "masked": (np.ma.masked_array, DTypeError),
    "bytes": (lambda x: x.tobytes(), DTypeError),
    "strided": (lambda x: np.repeat(x, 2)[::2], ShapeMismatchError),
    "backwards": (lambda x: x[::-1], ShapeMismatchError),
    "short": (lambda x: x[:-1], ShapeMismatchError),
    "long": (lambda x: np.zeros(3), ShapeMismatchError),
    "scalar": (lambda x: np.float64(1.0), ShapeMismatchError),
    "row": (lambda x: x[None], ShapeMismatchError),
}


def known(w: _core.Watch) -> tuple[object, ...]:
    """All that a call could have changed, and what it would judge next."""
    return repr(w.counters), w.latched, w.at_rest


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_does_not_take_is_no_step(name):
    change, error = REFUSED[name]
    w = core(velocity=1.0, acceleration=10.0, stops=True)
    w.start(REST)
    assert w.step(REST, DT) == 0
    before = known(w)
    with pytest.raises(error, match=r"^command (is|holds|has)"):
        w.step(change(REST), DT)
    assert w.verdict == HOLD, "what was not judged was not found fit to run"
    for call, what in (
        (lambda x: w.executed(x, DT), "command"),
        (w.start, "position"),
        (lambda x: w.stop(x, DT), "out"),
    ):
        with pytest.raises(error, match=f"^{what} (is|holds|has)"):
            call(change(REST))
    assert known(w) == before
    assert w.step(np.full(2, 0.1), DT) & VELOCITY, "the motion so far is still known"


@pytest.mark.parametrize("dt", ["0.01", None, [0.01], 1j, np.zeros(2)])
def test_a_dt_that_is_no_number_is_no_step(dt):
    w = core(stops=True, acceleration=1.0)
    w.start(REST)
    for call in (lambda: w.step(REST, dt), lambda: w.executed(REST, dt), lambda: w.stop(np.empty(2), dt)):
        with pytest.raises(TypeError, match="the seconds since the command before"):
            call()
    assert w.counters["steps"] == 0


@pytest.mark.parametrize("dt", [1, np.float32(0.5), np.float64(0.01), np.array(0.01)])
def test_any_real_number_is_a_dt(dt):
    assert core().step(REST, dt) == 0


def test_another_dtype_cannot_be_asked_for():
    with pytest.raises(DTypeError, match=r"astype\('float64'\)$"):
        core().step(REST.astype(np.float32), DT)


def test_it_takes_whatever_lends_the_same_memory():
    w = core()
    unaligned = np.frombuffer(b"x" + REST.tobytes(), np.uint8)[1:].view(np.float64)
    read_only = REST.copy()
    read_only.flags.writeable = False
    for lent in (array.array("d", REST), memoryview(REST), REST.view(np.recarray), unaligned, read_only):
        assert w.step(lent, DT) == 0


def test_a_stop_is_written_where_it_may_be():
    w = core(acceleration=1.0, stops=True)
    read_only = np.ones(2)
    read_only.flags.writeable = False
    unaligned = np.frombuffer(bytearray(17), np.uint8)[1:].view(np.float64)
    assert not w.stop(unaligned, DT), "no position is known yet"
    w.start(np.array([0.5, -0.5]))
    with pytest.raises(DTypeError, match="read-only"):
        w.stop(read_only, DT)
    assert w.stop(unaligned, DT)
    assert unaligned.tolist() == [0.5, -0.5]
    lent = array.array("d", [0, 0])
    assert w.stop(lent, DT)
    assert lent.tolist() == [0.5, -0.5]


def test_verdicts_only_write_nothing():
    w, out = core(), np.ones(2)
    assert not w.writes
    w.start(REST)
    with pytest.raises(GuardError, match=r"gives verdicts only: .* stops=True"):
        w.stop(out, DT)
    assert out.all()


@pytest.mark.parametrize(
    "bits", [0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFFFFFFFFFFFFFFF, 0x7FF0000000000001]
)
def test_every_nan_and_infinity_latches_until_the_digest_is_named(bits):
    w, digest = core(), image().digest
    never = np.array([0.0, np.uint64(bits).view(np.float64)])
    assert w.step(REST, DT) == 0
    assert w.step(never, DT) == NOT_FINITE | LATCHED
    assert (w.verdict, w.latched) == (STOP, True)
    assert w.record(0)[:3] == (2, 0, 1)
    assert w.step(REST, DT) == LATCHED
    for wrong in ("00" * 32, "zz", b"", None):
        with pytest.raises(GuardError, match="digest"):
            w.reset(wrong)
    assert w.latched
    w.reset(bytes.fromhex(digest))
    assert (w.verdict, w.latched) == (HOLD, False)
    assert w.step(REST, DT) == 0


@pytest.mark.parametrize("never", [math.nan, math.inf])
def test_what_cannot_have_run_changes_nothing(never):
    w = core(velocity=1.0)
    w.start(REST)
    with pytest.raises(GuardError, match=r"position .* no robot stands there"):
        w.start(np.array([never, 0.0]))
    with pytest.raises(GuardError, match=r"command .* no robot runs that"):
        w.executed(np.array([0.0, never]), DT)
    assert w.step(np.full(2, 0.1), DT) == VELOCITY


def test_a_peer_names_the_digest():
    w, digest = core(), image().digest
    assert w.confirm(digest) == w.confirm(bytes.fromhex(digest)) == 0
    assert w.verdict == HOLD, "no command was judged"
    assert w.confirm("00" * 32) == DIGEST | LATCHED
    assert (w.verdict, w.latched) == (STOP, True)
    assert w.confirm(digest) == 0
    assert w.verdict == STOP


def test_an_age_limit_asks_for_times():
    w = core(max_age=0.5)
    for times in ((), (1.0,), (None, None), (1.0, None)):
        with pytest.raises(TypeError, match="stamp"):
            w.step(REST, DT, *times)
    assert w.counters["steps"] == 0
    assert w.step(REST, DT, 10.0, 10.5) == 0
    assert w.step(REST, DT, 10.0, 10.6) == STALE
    assert w.record(8)[3:] == (pytest.approx(0.6), 0.5)
    assert w.step(REST, DT, 10.0, 9.9) == STALE, "from the future"


def test_one_thread_steps_it_until_it_is_handed_over():
    w, digest, out, seen = core(acceleration=1.0, stops=True), image().digest, np.empty(2), []
    w.step(REST, DT)

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

    other(
        lambda: w.step(np.full(2, math.nan), DT), lambda: w.start(REST), lambda: w.executed(REST, DT),
        lambda: w.stop(out, DT), lambda: w.confirm("00" * 32), lambda: w.reset(digest),
    )  # fmt: skip
    assert len(seen) == 6
    assert all("hand_over" in text for text in seen)
    assert w.verdict == PASS, "what another thread tried changes nothing"
    assert w.counters["steps"] == 1
    seen.clear()
    w.hand_over()
    other(lambda: w.step(REST, DT))
    assert seen == [0]


def test_warn_says_it_once_per_run_of_faults():
    w = core(mode="warn")
    with pytest.warns(GuardWarning, match="dt is not positive"):
        assert w.step(REST, 0.0) == PERIOD
    assert w.verdict == PASS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert w.step(REST, 0.0) == PERIOD

    class Told(_core.Watch):
        def announce(self, faults):
            heard.append(faults)

    heard: list[int] = []
    w = core(Told, mode="warn")
    w.step(REST, -1.0)
    assert heard == [PERIOD]


def test_a_subclass_in_a_cycle_is_collected():
    w = core(type("Sub", (_core.Watch,), {}))
    w.itself = w
    gone = weakref.ref(w)
    del w
    gc.collect()
    assert gone() is None


def test_it_is_made_of_an_image_with_limits_of_a_watch():
    good = write(image())
    unwatched = write(guard_image(Unnormalizer.from_bounds([-1.0], [1.0]), limits=(-1, 1)))
    with pytest.raises(GuardError, match=r"without limits of a watch; .*watch=WatchLimits"):
        _core.Watch(unwatched)
    for bad in (b"", good[:-1], good + b"\0" * 64, good[:500] + bytes([good[500] ^ 1]) + good[501:]):
        with pytest.raises(FormatError):
            _core.Watch(bad)
    for wrong in ((), (good, good), (None,), ("text",)):
        with pytest.raises(TypeError):
            _core.Watch(*wrong)
    assert _core.Watch(memoryview(b"x" + good)[1:]).image == good


def test_calls_are_positional():
    w = core()
    for call in (lambda: w.step(command=REST, dt=DT), lambda: w.step(REST), lambda: w.step(REST, DT, 1, 2, 3)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(IndexError):
        w.record(15)
