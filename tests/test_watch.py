"""`Watch`: limits per second from commands and their dt, verdicts, the stop, and what it says of them."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import execspec_fast as es
import numpy as np
import pytest
from execspec_fast import Fault, Guard, Unnormalizer, Verdict, Watch, WatchLimits
from execspec_fast.errors import FormatError, GuardError, TargetNotFoundError
from execspec_fast.guarding.layout import write
from hypothesis import given
from hypothesis import strategies as st
from watches import image, limits

REST, DT = np.zeros(2), 0.01
RATES = {"velocity": 1, "acceleration": 2, "jerk": 3}


def watch(**given) -> Watch:
    return Watch(image(**given))


def at(lift: float = 0.0, turn: float = 0.0) -> np.ndarray:
    return np.array([lift, turn])


@given(
    st.sampled_from(list(RATES)),
    st.sampled_from(["position", "velocity"]),
    st.floats(1e-3, 1e3),
    st.floats(1e-4, 0.1),
    st.sampled_from([1.0, -1.0]),
    st.integers(0, 1),
)
def test_a_rate_is_a_difference_per_second(name, order, most, dt, sign, d):
    """The first command from a stand: at the limit it passes, a billionth above it is refused and told."""
    for factor in (1.0, 1 + 1e-9):
        w = watch(**{name: most}, order=order, position=(-1e9, 1e9))
        w.start(REST)
        command = at()
        command[d] = sign * factor * most * dt ** (RATES[name] - (order == "velocity"))
        mask = Fault(w.step(command, dt))
        if factor == 1.0:
            assert mask == 0
            assert w.verdict is Verdict.PASS
            assert getattr(w.counters, name).value == pytest.approx(1.0)
            assert getattr(w.counters, name).channel == ("lift", "turn")[d]
            continue
        assert mask == Fault[name.upper()]
        assert w.verdict is Verdict.HOLD
        (found,) = w.explain(mask)
        assert found.channel == ("lift", "turn")[d]
        assert found.limit == most
        assert found.value == pytest.approx(sign * factor * most, rel=1e-12)
        assert found.unit == ("m", "rad")[d] + ("", "/s", "/s^2", "/s^3")[RATES[name]]
        assert found.source == "given by the user"


def test_rates_of_a_motion_are_those_of_its_differences():
    """Against NumPy, with a dt of its own for each; without a start, as soon as commands are enough for it."""
    rng = np.random.default_rng(0)
    dts, commands = rng.uniform(0.002, 0.02, 200), rng.normal(0, 1, (200, 2)).cumsum(axis=0)
    rates = [commands]
    for _ in range(3):
        before = np.vstack([np.full((1, 2), np.nan), rates[-1][:-1]])
        rates.append((rates[-1] - before) / dts[:, None])
    for name, power in RATES.items():
        most = np.nanmedian(np.abs(rates[power]))
        w = watch(**{name: most}, mode="observe", latch=(1000, 1000))
        for k in range(200):
            beyond = np.abs(rates[power][k]) > most
            assert Fault(w.step(commands[k], dts[k])) == (Fault[name.upper()] if beyond.any() else 0), (name, k)
        assert getattr(w.counters, name).value == pytest.approx(np.nanmax(np.abs(rates[power])) / most, rel=1e-9)


def test_a_position_is_kept():
    w = watch(position=([-0.5, -1], [0.25, 1]))
    assert w.step(at(0.25, -1), DT) == w.step(at(-0.5, 1), DT) == 0
    assert w.counters.position.value == 1.0
    mask = Fault(w.step(at(0.26), DT))
    assert mask == Fault.POSITION
    assert str(w.explain(mask)[0]) == "position: channel lift has 0.26 m, limit 0.25 m (given by the user); step 3"


def test_velocities_add_up_to_a_position():
    w = watch(order="velocity", position=(-1, 1))
    w.start(at(0.875))
    assert [Fault(w.step(at(1.0), 0.0625)) for _ in range(3)] == [0, 0, Fault.POSITION]


@pytest.mark.parametrize("dt", [0.0, -0.01, math.nan, math.inf, math.nextafter(0.1, 1)])
def test_time_must_pass(dt):
    w = watch(max_dt=0.1)
    assert Fault(w.step(REST, dt)) == Fault.PERIOD
    assert w.verdict is Verdict.HOLD
    (found,) = w.explain(Fault.PERIOD)
    assert (found.limit, found.unit, found.channel) == (0.1, "s", "")
    assert found.source == "max_age: not checked (default), max_dt: given by the user"
    assert w.step(REST, 0.1) == 0


def test_a_command_must_be_fresh():
    w = watch(max_age=0.5, max_dt=0.5)
    assert w.step(REST, DT, 10.0, 10.5) == 0
    assert Fault(w.step(REST, DT, 10.0, 11.0)) == Fault.STALE
    assert str(w.explain(Fault.STALE)[0]) == "stale: the call has 1 s, limit 0.5 s (given by the user); step 2"


def test_what_is_not_finite_names_the_channel():
    w = watch()
    mask = Fault(w.step(at(0, math.nan), DT))
    assert mask == Fault.NOT_FINITE | Fault.LATCHED
    assert w.verdict is Verdict.STOP
    assert str(w.explain(mask)[0]) == "not finite: channel turn is nan at step 1"
    w.reset(w.contents.digest)
    assert w.step(REST, DT) == 0


def test_soft_faults_latch_when_they_come_often():
    w = watch(latch=(3, 10), velocity=1.0)
    w.start(REST)
    verdicts = []
    for k in range(40):
        w.step(at(1.0 if k % 20 == 0 else 0.0), DT)
        verdicts.append(w.verdict)
    assert verdicts.count(Verdict.HOLD) == 2, "one now and then is held, and no more"
    assert verdicts.count(Verdict.STOP) == 0
    for k in range(3):
        w.step(at(1.0), DT)
        assert w.verdict is (Verdict.HOLD if k < 2 else Verdict.STOP)
    assert w.latched
    counted = w.counters
    assert (counted.steps, counted.refused, counted.run) == (43, 5, 3)
    assert counted.faults == {Fault.VELOCITY: 5, Fault.LATCHED: 1}


def test_a_refusal_without_a_stop_leaves_the_robot_at_the_last_command():
    w = watch(velocity=1.0)
    w.start(REST)
    assert w.step(at(0.01), DT) == 0
    assert Fault(w.step(at(0.05), DT)) == Fault.VELOCITY
    assert w.step(at(0.02), DT) == 0
    w.executed(at(0.5), DT)
    assert w.step(at(0.51), DT) == 0


def test_a_stop_keeps_the_limits_and_comes_to_rest():
    """At full speed towards the end of its way: refused in time, and ramped to a stand within all limits."""
    given = {"position": (-1, 1), "velocity": 1.0, "acceleration": 10.0, "jerk": 1000.0}
    w, dt, out, sent = watch(**given, stops=True), 0.001, np.empty(2), [REST, at(0.001), at(0.002), at(0.003)]
    assert w.writes
    w.start(REST)
    for command in sent[1:]:
        w.executed(command, dt)
    while True:
        wanted = sent[-1] + at(0.001)
        mask = Fault(w.step(wanted, dt))
        if mask:
            break
        sent.append(wanted)
    assert mask == Fault.POSITION
    assert w.verdict is Verdict.HOLD
    assert w.explain(mask)[0].value > 1.0, "where a stop from there would have led"
    cruised = len(sent)
    while not w.at_rest:
        assert w.stop(out, dt)
        sent.append(out.copy())
    assert 50 < len(sent) - cruised < 200, "0.1 s at 10 m/s^2, and what the jerk takes"
    way = np.array(sent[cruised - 3 :])[:, 0]
    assert 0.99 < way[-1] <= 1.0
    for power, most in ((1, 1.0), (2, 10.0), (3, 1000.0)):
        assert np.abs(np.diff(way, power)).max() / dt**power <= most * 1.001
    assert w.step(out, dt) == 0, "and it may go on from there"


def test_what_a_stop_cannot_start_from_is_said():
    w, out = watch(acceleration=1.0, stops=True), np.full(2, 7.0)
    assert not w.stop(out, DT)
    assert out.tolist() == [7.0, 7.0]
    with pytest.raises(GuardError, match="verdicts only"):
        watch().stop(out, DT)


def test_observing_refuses_nothing():
    w = watch(mode="observe", velocity=1.0)
    w.start(REST)
    assert Fault(w.step(at(5.0), DT)) == Fault.VELOCITY
    assert w.verdict is Verdict.PASS
    assert (w.counters.refused, w.counters.run) == (0, 1)


def test_a_warning_is_said_once_for_a_run_of_faults():
    w = watch(mode="warn", velocity=1.0, latch=(100, 100))
    w.start(REST)
    with pytest.warns(es.GuardWarning, match="velocity: channel lift has 500 m/s, limit 1 m/s") as said:
        w.step(at(5.0), DT)
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w.step(at(0.0), DT)


def test_it_is_made_of_a_guard_or_its_image(tmp_path):
    policy = Unnormalizer.from_bounds([-1.0], [1.0])
    guard = Guard(policy, limits=(-1, 1), watch=limits(velocity=1.0), mode="enforce", relative=True)
    file = tmp_path / "g.img"
    file.write_bytes(guard.image)
    for made_of in (guard, guard.contents, guard.image, memoryview(guard.image), file, str(file)):
        w = Watch(made_of)
        assert w.image == guard.image
        assert w.limits == guard.contents.watch
    assert repr(w) == "Watch('unnormalizer', mode='enforce', writes=False, dim=2)"
    with pytest.raises(GuardError, match="without limits of a watch"):
        Watch(Guard(policy, limits=(-1, 1)))
    for wrong in (policy, limits(), None):
        with pytest.raises(GuardError, match=r"got \w+: Watch\(Guard\(spec, watch=WatchLimits"):
            Watch(wrong)
    with pytest.raises(TargetNotFoundError, match=r"no such guard image: .*gone\.img"):
        Watch(tmp_path / "gone.img")
    file.write_bytes(guard.image[:-1])
    with pytest.raises(FormatError, match=r"g\.img"):
        Watch(file)


def test_a_copy_is_of_the_image_alone():
    w = watch(velocity=1.0)
    w.step(at(0, math.nan), DT)
    for other in (pickle.loads(pickle.dumps(w)), copy.deepcopy(w), copy.copy(w)):
        assert type(other) is Watch
        assert other.image == w.image
        assert not other.latched
        assert other.step(REST, DT) == 0
    assert w.latched
    assert w.counters.steps == 1


def test_the_banner_says_whether_it_writes():
    silent = watch(velocity=1.0).banner()
    writing = watch(velocity=1.0, acceleration=8, stops=True, max_dt=0.02).banner()
    assert "watch of positions: gives verdicts, and writes nothing" in silent
    assert "watch of positions: writes a ramp to a stand" in writing
    for words in (
        "watch of    unnormalizer", image().digest, "enforce: what has a fault is refused",
        "one hard fault, or 3 soft ones within 10 steps", "dt 0.02 s", "turn     rad   -1e+06 to 1e+06  1         8",
        "jerk            not checked (default)",
    ):  # fmt: skip
        assert words in writing, words
    assert "agreement" not in writing, "what a gate checks is not told here"


def test_a_guard_still_tells_all_of_its_image():
    guard = Guard(Unnormalizer.from_bounds([-1.0], [1.0]), limits=(-1, 1), watch=limits(velocity=1.0))
    assert guard.banner().endswith(watch(velocity=1.0).banner().partition("\n\n")[2])


def test_limits_name_their_source():
    made = WatchLimits(("a",), "m", velocity=1.0, source="robot.toml [watch]")
    w = Watch(Guard(Unnormalizer.from_bounds([-1.0], [1.0]), limits=(-1, 1), watch=made))
    w.start(np.zeros(1))
    (found,) = w.explain(w.step(np.ones(1), DT))
    assert (found.source, found.unit) == ("robot.toml [watch]", "m/s")
    assert "velocity        robot.toml [watch]" in w.banner()
    assert str(w.explain(Fault.JERK)[0]) == "jerk: the command's acceleration changes faster than allowed"


def test_an_image_is_written_once():
    made = image(velocity=1.0)
    assert Watch(made).image == write(made)
