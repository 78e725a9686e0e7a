"""The alarm from executed actions alone: when it may come, what raises it, and what never does."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from execspec_fast.actions import load_actions
from execspec_fast.conventions import Conventions, declared
from execspec_fast.errors import DTypeError, ExecSpecError, ShapeMismatchError, StatsError
from execspec_fast.guarding.calibration import calibrate
from execspec_fast.guarding.monitor import ActionMonitor
from execspec_fast.registry import load_spec
from execspec_fast.sample import ExactInverse
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from robots import spec

Episodes = Sequence[np.ndarray]

TWICE = spec(2.0)
LIBERO = ("libero_spatial", "libero_object", "libero_goal", "libero_10")
PATIENCE = 40


def waving(count: int, seed: int = 0) -> list[np.ndarray]:
    """Normalized episodes of 40 steps that go to and fro between about -0.8 and 0.8 in every channel."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 7))
    return list(0.8 * np.sin(phase + np.arange(40)[:, None] * np.pi / 5) + rng.normal(0, 0.02, (count, 40, 7)))


CORRECT = [TWICE.unnormalize(u) for u in waving(14)]
CALIBRATION = calibrate(TWICE, CORRECT, block=10)


def watch(monitor: ActionMonitor, episodes: Episodes) -> int | None:
    """How many episodes it took to the alarm."""
    for n, episode in enumerate(episodes, 1):
        if any(monitor.step(a) for a in episode) or monitor.end_episode():
            return n
    return None


def again(episodes: Episodes, count: int = PATIENCE) -> Episodes:
    return [episodes[n % len(episodes)] for n in range(count)]


def test_correct_episodes_lose_evidence_and_raise_nothing():
    monitor = ActionMonitor(TWICE, CALIBRATION)
    assert watch(monitor, [TWICE.unnormalize(u) for u in waving(200, seed=1)]) is None
    assert (monitor.episodes, monitor.blocks, monitor.steps) == (200, 800, 8000)
    assert monitor.e_value < 1e-6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda u: u + 0.5 * (np.arange(7) == 2), "2: (low|high) decile of u above"),
        (lambda u: u - 0.5 * (np.arange(7) == 4), "4: (low|high) decile of u below"),
        (lambda u: u * np.where(np.arange(7) == 1, 2.0, 1.0), "1: (low decile of u below|high decile of u above)"),
        (lambda u: u * np.where(np.arange(7) == 3, 0.4, 1.0), "3: (low decile of u above|high decile of u below)"),
    ],
    ids=["shifted up", "shifted down", "wider", "narrower"],
)
def test_the_strongest_evidence_names_the_channel_and_the_side(change, told):
    monitor = ActionMonitor(TWICE, CALIBRATION)
    wait = watch(monitor, [TWICE.unnormalize(change(u)) for u in waving(20, seed=2)])
    assert wait is not None
    assert wait <= 9
    strongest, *others = monitor.evidence()
    assert re.match(told, str(strongest))
    assert str(strongest).endswith(f"in {monitor.blocks} blocks")
    assert len(others) == 27
    assert all(one.log_e <= strongest.log_e for one in others)
    least, largest = CALIBRATION.bounds()
    assert strongest.limit in {*least.ravel(), *largest.ravel()}


def test_the_alarm_changes_at_the_end_of_a_block_or_episode_only_and_stays():
    monitor, wrong = ActionMonitor(TWICE, CALIBRATION), np.full((40, 7), 9.0)
    raised = []
    while not monitor.alarm:
        for a in wrong:
            before = monitor.alarm, monitor.log_e
            raised += [monitor.steps] if monitor.step(a) and not before[0] else []
            assert monitor.steps % 10 == 0 or (monitor.alarm, monitor.log_e) == before
        monitor.end_episode()
    assert len(raised) == 1
    assert raised[0] % 10 == 0
    for episode in CORRECT * 3:
        assert all(monitor.step(a) for a in episode)
        assert monitor.end_episode()
    assert monitor.e_value < 100  # it would not be raised now


def test_the_end_of_an_episode_settles_the_blocks_that_did_not_come():
    monitor = ActionMonitor(TWICE, CALIBRATION)
    for a in np.full((19, 7), 9.0):  # one block, and nine steps that are none
        monitor.step(a)
    during = monitor.e_value
    monitor.end_episode()
    p0 = CALIBRATION.p0
    half = 0.5  # every channel passes both limits of one side
    assert during == pytest.approx(half * (0.2 + 0.8 / 4 / p0) + half * 0.2)
    assert monitor.e_value == pytest.approx(half * (0.2 + 0.8 / p0) + half * 0.2)
    monitor.step(CORRECT[0][0])  # the nine are not of this episode
    assert monitor.blocks == 1


def test_rounding_to_float32_is_no_evidence():
    rested = [np.full((10, 7), 0.1) for _ in range(12)]
    monitor = ActionMonitor(TWICE, calibrate(TWICE, [a.astype(np.float32) for a in rested], block=10))
    assert watch(monitor, rested) is None
    assert all(one.blocks == 0 for one in monitor.evidence())

    far = ExecSpec(
        "far", "k", "openvla", declared("openvla", "here"),
        NormStats({"q01": np.array([1.0]), "q99": np.array([1.0001])}), Conventions(),
    )  # fmt: skip
    held = [np.full((10, 1), 1.00003)] * 12
    monitor = ActionMonitor(far, calibrate(far, [a.astype(np.float32) for a in held], block=10))
    assert watch(monitor, held) is None
    assert all(one.blocks == 0 for one in monitor.evidence())


def test_a_channel_without_an_inverse_is_not_looked_at():
    stats = NormStats({"q01": np.array([-1.0, 0.3]), "q99": np.array([1.0, 0.3])})
    some = ExecSpec("a", "k", "openvla", declared("openvla", "here"), stats, Conventions())
    quiet = [np.tile([0.0, 0.3], (10, 1))] * 8
    made = calibrate(some, quiet, block=10)
    monitor = ActionMonitor(some, made)
    assert watch(monitor, again([np.tile([0.0, 9.0], (10, 1))])) is None
    assert {one.channel for one in monitor.evidence()} == {"0"}
    with pytest.raises(ExecSpecError, match="limits of other channels"):
        ActionMonitor(some, replace(made, limits=(replace(made.limits[0], channel=1),)))


def test_a_calibration_of_another_spec_is_refused():
    with pytest.raises(ExecSpecError, match=rf"with digest {TWICE.digest[:12]}, and .* calibrate on correct episodes"):
        ActionMonitor(spec(3.0), CALIBRATION)


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"alpha": math.nan}, {"stake": 0.0}, {"stake": 1.0}])
def test_parameters_outside_their_range(wrong: dict[str, Any]):
    with pytest.raises(StatsError, match="between 0 and 1"):
        ActionMonitor(TWICE, CALIBRATION, **wrong)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ([0, 0, math.nan, 0, 0, 0, 0], StatsError),
        ([0, 0, 0, 0, 0, 0, math.inf], StatsError),
        ([0] * 6, ShapeMismatchError),
        ([[0] * 7], ShapeMismatchError),
        (0.0, ShapeMismatchError),
        (["a"] * 7, DTypeError),
    ],
)
def test_an_action_that_is_refused_is_not_counted(bad, error):
    monitor = ActionMonitor(TWICE, CALIBRATION)
    for a in CORRECT[0][:9]:
        monitor.step(a)
    with pytest.raises(error):
        monitor.step(bad)
    assert (monitor.steps, monitor.blocks) == (9, 0)
    monitor.step(CORRECT[0][9])
    assert (monitor.blocks, monitor.log_e < 0) == (1, True)
    assert all(one.blocks == 0 for one in monitor.evidence())


def test_an_e_value_beyond_float64_is_infinite():
    monitor = ActionMonitor(TWICE, CALIBRATION)
    for _ in range(900):
        for a in np.full((10, 7), 9.0):
            monitor.step(a)
        monitor.end_episode()
    assert monitor.e_value == math.inf
    assert math.isfinite(monitor.log_e)


def autoregressive(rng: np.random.Generator, rho: float = 0.99) -> Episodes:
    """20 episodes of 200 steps whose neighbours correlate by `rho`; a channel has |u| > 1 in 2 % of them."""
    u = rng.normal(0.0, 0.43, (20, 200, 7))
    for t in range(1, 200):
        u[:, t] = rho * u[:, t - 1] + math.sqrt(1 - rho**2) * u[:, t]
    return list(u)


def naive(p0: float, episodes: Episodes) -> bool:
    """A bet at every step that some channel leaves |u| <= 1, as if steps were independent."""
    leaves = np.abs(np.concatenate(episodes)).max(axis=1) > 1
    return bool(np.log1p(0.1 * (leaves / p0 - 1)).cumsum().max() >= math.log(100))


def test_correlated_steps_deceive_a_bet_at_every_step_and_not_this_one():
    rng, deceived = np.random.default_rng(0), 0
    for _ in range(8):
        known, watched = autoregressive(rng), autoregressive(rng)
        made = calibrate(TWICE, [TWICE.unnormalize(u) for u in known])
        assert watch(ActionMonitor(TWICE, made), [TWICE.unnormalize(u) for u in watched]) is None
        deceived += naive(np.mean(np.abs(np.concatenate(known)).max(axis=1) > 1), watched)
    assert deceived >= 3


def parts(episodes: Episodes) -> tuple[Episodes, Episodes]:
    """Four fifths to calibrate, one to watch."""
    return [e for n, e in enumerate(episodes) if n % 5], episodes[::5]


def executed(spec: ExecSpec, wrong: ExecSpec, episodes: Episodes) -> Episodes:
    inverse = ExactInverse(spec)
    return [wrong.unnormalize(inverse(episode)) for episode in episodes]


UNSEEN = {("libero_object", "libero_10")}
"""Declared and executed: correct episodes of these differ by more than the keys do."""


@pytest.mark.parametrize("key", LIBERO)
def test_scripted_libero_episodes_under_right_and_wrong_keys(key, shared_registry, shared_trajectories):
    keys = {one: load_spec(f"{shared_registry}/mantis/mantis-norm-stats#{one}") for one in LIBERO}
    episodes = load_actions(shared_trajectories / f"libero/scripted/{key}.npz").episodes
    known, held = parts(episodes)
    made = calibrate(keys[key], known)
    outside = np.mean(np.abs(np.concatenate([ExactInverse(keys[key])(e) for e in held])).max(axis=1) > 1)
    assert outside > 0.05  # leaving q01..q99 is nothing wrong
    assert watch(ActionMonitor(keys[key], made), again(held)) is None
    for other in set(LIBERO) - {key}:
        wait = watch(ActionMonitor(keys[key], made), again(executed(keys[key], keys[other], held)))
        assert (wait is None) == ((key, other) in UNSEEN)
        assert wait is None or wait <= 11


def test_a_key_that_moves_actions_less_than_episodes_differ_is_not_seen(shared_registry, shared_trajectories):
    goal = load_spec(f"{shared_registry}/mantis/mantis-norm-stats#libero_goal")
    near = load_spec(f"{shared_registry}/nora/nora-norm-stats#libero_goal")
    assert goal.digest != near.digest
    known, held = parts(load_actions(shared_trajectories / "libero/scripted/libero_goal.npz").episodes)
    assert watch(ActionMonitor(goal, calibrate(goal, known)), again(executed(goal, near, held))) is None


def test_real_widowx_episodes_under_right_and_wrong_keys(shared_registry, shared_trajectories):
    recorded = np.load(shared_trajectories / "bridge/octo-debug_dataset/bridge_train_actions_states.npz")
    known, held = parts(np.split(recorded["actions"], np.cumsum(recorded["episode_lengths"])[:-1]))
    keys = {
        name: load_spec(f"{shared_registry}/mantis/mantis-norm-stats#{name}")
        for name in ("bridge_orig", "fractal20220817_data", "libero_goal")
    }
    bridge = keys.pop("bridge_orig")
    made = calibrate(bridge, known, block=10)
    assert watch(ActionMonitor(bridge, made), again(held)) is None
    for wrong in keys.values():
        assert watch(ActionMonitor(bridge, made), again(executed(bridge, wrong, held))) == 6


def test_human_teleoperation_under_right_and_wrong_keys(shared_registry, shared_trajectories):
    """Five long demonstrations in stretches of 100 steps, which are not quite independent."""
    folder = shared_trajectories / "robosuite/panda-osc_pose-spacemouse"
    demos = [load_actions(file).values for file in sorted(folder.glob("*/demo.hdf5"))]
    known, held = parts([a[k : k + 100] for a in demos for k in range(0, len(a) - 99, 100)])
    goal, wrong = (load_spec(f"{shared_registry}/mantis/mantis-norm-stats#libero_{k}") for k in ("goal", "spatial"))
    made = calibrate(goal, known)
    assert watch(ActionMonitor(goal, made), again(held)) is None
    assert watch(ActionMonitor(goal, made), again(executed(goal, wrong, held))) <= 8
