"""What a robot does with a policy: how often its input range is left, how far it moves, and what that rests on."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import exact
import numpy as np
import pytest
from execspec_fast import _core
from execspec_fast.actions import load_actions
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN, Conventions, declared
from execspec_fast.deployment import Deployment
from execspec_fast.errors import ShapeMismatchError
from execspec_fast.motion import rotations, saturation, summary
from execspec_fast.sample import ActionSample
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given, settings
from hypothesis import strategies as st
from robots import LIBERO, spec
from strategies import op_tables, samples


@settings(max_examples=60)
@given(data=st.data())
def test_the_share_outside_a_range_is_exact_with_ties_inside(data: st.DataObject) -> None:
    table = data.draw(op_tables(1))
    u = data.draw(samples(1))
    values = [exact.evaluate(table, 0, float(x)) for x in u[:, 0]]
    reached = [float(v) for v in values if Fraction(float(v)) == v]  # a limit that is hit exactly, where there is one
    finite = [*reached, -0.5, 0.0, 0.5]
    low, high = sorted((data.draw(st.sampled_from([*finite, -np.inf])), data.draw(st.sampled_from([*finite, np.inf]))))
    outside = sum(not low <= value <= high for value in values)
    share = _core.outside(Unnormalizer(table)._core, ActionSample(u)._core, [low], [high])
    assert share[0] == outside / len(u)


def test_saturation_counts_commands_beyond_the_input_range() -> None:
    u = np.zeros((8, 7))
    u[:, 0] = [-1, -0.5, -0.5, 0.25, 0.5, 0.75, 1, 1]
    deployment = Deployment(spec(2.0), LIBERO)
    assert saturation(deployment, ActionSample(u)).tolist() == [0.5] + [0] * 6  # -0.5 and 0.5 reach the limit
    assert saturation(deployment, ActionSample.uniform(7))[:6].tolist() == [0.5] * 6
    free = Deployment(spec(2.0), CONTROLLERS["simpler-widowx"])
    assert saturation(free, ActionSample(u))[:6].tolist() == [0] * 6


def test_a_summary_in_words() -> None:
    u = np.zeros((1000, 7))
    u[:, 0] = 0.06
    u[:, 2] = np.where(np.arange(1000) < 31, 0.6, 0.08)
    u[:, 3] = np.radians(0.1)
    said = summary(Deployment(spec(2.0), LIBERO), ActionSample(u))
    step = np.mean(np.hypot(0.006, np.where(np.arange(1000) < 31, 0.05, 0.008)))
    assert said.translation == pytest.approx((step, step))
    assert said.rotation == pytest.approx(np.radians(0.1) / 3)
    assert said.saturation[2] == 0.031
    assert said.saturated == 2
    assert str(said) == (
        "channel 2 saturates 3.1 % of the time; moves 11 mm per step, 23 cm/s; "
        "turns 0.033 deg per step and axis, 0.67 deg/s"
    )
    assert any("a rotation of exactly zero keeps the previous goal" in words for words in said.assumes)
    assert json.loads(json.dumps(said.to_dict(), allow_nan=False))["saturation"][2] == 0.031


def test_an_epsilon_beyond_a_limit_is_named_without_its_exponent() -> None:
    said = summary(Deployment(spec(1 + 1e-6), LIBERO), ActionSample.uniform(7))
    assert 0 < said.saturation[0] < 1e-5
    assert str(said).startswith("channel 0 saturates under 0.01 % of the time; ")


def test_marginals_alone_bound_a_step() -> None:
    low, high = summary(Deployment(spec(), LIBERO), ActionSample.uniform(7)).translation or (0, 0)
    assert low == pytest.approx(0.025 * 3**0.5)
    assert high == pytest.approx(0.05)


def test_absolute_targets_have_no_motion_per_step() -> None:
    high = np.ones(14)
    stats = NormStats({"q01": -high, "q99": high})
    own = ExecSpec("a", "k", "openvla", declared("openvla", "here"), stats, Conventions(gripper=declared((6, 13), "x")))
    said = summary(Deployment(own, CONTROLLERS["aloha"]), ActionSample.uniform(14))
    assert (said.translation, said.rotation, said.saturated) == (None, None, None)
    assert "actions are absolute targets: motion per step depends on the robot's state" in said.caveats
    assert said.saturation[[6, 13]].tolist() == [0.5, 0.5]  # below 0, where a gripper is closed
    assert said.units == (("rad",) * 6 + ("opening",)) * 2


def test_a_metre_that_is_a_target_is_no_motion() -> None:
    target = replace(LIBERO, delta=declared(False, "x"))
    assert summary(Deployment(spec(), target), ActionSample.uniform(7)).translation is None


def test_a_channel_the_sample_excludes_is_left_out_and_named() -> None:
    low, high = np.array([0.9, -1, -1, -1, -1, -1, 0]), np.array([0.9, 1, 1, 1, 1, 1, 1])
    own = replace(spec(), stats=NormStats({"q01": low, "q99": high}))
    said = summary(Deployment(own, LIBERO), ActionSample.from_physical(np.full((3, 7), 0.5), own))
    assert np.isnan([said.saturation[0], said.motion[0]]).all()
    assert said.translation == pytest.approx((0.05 * 0.5 * 2**0.5,) * 2)  # y and z alone
    assert any(words.startswith("left out are channels 0: its map is a constant") for words in said.caveats)


def test_a_ball_is_no_clip() -> None:
    droid = Deployment(spec(2.0), CONTROLLERS["droid-cartesian_velocity"])
    assert droid.map(np.ones(7))[0] == 0.15  # the projection couples channels, so the map leaves it out
    said = summary(droid, ActionSample.uniform(7))
    assert said.saturated == 0
    assert any("shortened to length 1 (L2)" in words for words in said.assumes)
    assert any("motion is an upper bound" in words for words in said.caveats)
    assert not summary(Deployment(spec(0.5), droid.controller), ActionSample.uniform(7)).caveats


def test_rotations_come_in_radians_from_rows_or_draws() -> None:
    deployment = Deployment(spec(), LIBERO)
    u = np.random.default_rng(0).uniform(-1, 1, (5, 7))
    rows, _ = rotations(deployment, ActionSample(u))
    np.testing.assert_allclose(rows, 0.5 * u[:, 3:6])
    drawn, description = rotations(deployment, ActionSample.uniform(7))
    assert drawn.shape == (10_000, 3)
    assert "independent-channel draws" in description


def test_a_chunk_of_steps_repeats_the_controller() -> None:
    stats = NormStats({"min": -np.ones((3, 7)), "max": np.ones((3, 7))})
    own = ExecSpec("a", "k", "gr00t", declared("gr00t-n1.6-min_max", "here"), stats)
    deployment = Deployment(own, LIBERO)
    assert deployment.units == (("m",) * 3 + ("rad",) * 3 + ("opening",)) * 3
    assert deployment.grippers == (6, 13, 20)
    said = summary(deployment, ActionSample(np.ones((2, 21))))
    assert said.translation == pytest.approx((0.05 * 3**0.5,) * 2)  # of one step, not of all three
    assert "the length of a step is that of the first of 3 in a chunk" in said.caveats


def test_real_demonstrations_on_their_own_robot(shared_trajectories: Path) -> None:
    """LIBERO actions are the environment's own inputs: they stay inside its range, for any key that means them."""
    actions = load_actions(shared_trajectories / "libero" / "scripted" / "libero_goal.npz").values
    own = summary(Deployment(spec(), LIBERO), ActionSample.from_physical(actions, spec()))
    assert (own.saturated, own.rate) == (None, 20)
    low, high = own.translation or (0, 0)
    assert low == high == pytest.approx(np.linalg.norm(0.05 * actions[:, :3], axis=1).mean())


def test_a_sample_of_another_width_is_refused() -> None:
    with pytest.raises(ShapeMismatchError):
        saturation(Deployment(spec(), LIBERO), ActionSample.uniform(6))


def test_joints_that_fit_by_width_alone_are_called_an_inference() -> None:
    high = np.ones(8)
    own = ExecSpec("a", "k", "openpi", declared("openpi-quantile", "x"), NormStats({"q01": -high, "q99": high}))
    joints = CONTROLLERS["droid-joint_velocity"]
    caveat, *_ = summary(Deployment(own, joints), ActionSample.uniform(8)).caveats
    assert caveat.startswith("these are the joints of droid-joint_velocity (inferred: 8 channels fit")
    said = replace(own, conventions=Conventions(units=declared(("rad",) * 7 + ("opening",), "card")))
    assert not any(
        "inferred" in caveat for caveat in summary(Deployment(said, joints), ActionSample.uniform(8)).caveats
    )
    assert summary(Deployment(spec(), LIBERO), ActionSample.uniform(7)).caveats == ()  # a pose and its gripper
    unread = replace(LIBERO, gripper=UNKNOWN)
    assert any("unknown" in words for words in summary(Deployment(spec(), unread), ActionSample.uniform(7)).assumes)
