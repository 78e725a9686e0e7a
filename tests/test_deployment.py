"""A policy on a robot: one map from what is emitted to what is done, and which robot can be meant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from execspec_fast.controller import Controller, Gripper
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN, Conventions, declared
from execspec_fast.deployment import Deployment, deploy, fit, misfit
from execspec_fast.drift import drift
from execspec_fast.errors import ShapeMismatchError
from execspec_fast.sample import ActionSample
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from hypothesis import given
from hypothesis import strategies as st
from robots import LIBERO, spec


def with_gripper(gripper: Gripper) -> Controller:
    return replace(LIBERO, gripper=declared(gripper, "here"))


def test_the_map_is_clip_then_scale() -> None:
    u = np.array([[1.5, -0.2, 0, 0.3, 1, -1, 0.7]])
    got = Deployment(spec(), LIBERO).map(u)
    # robosuite 1.4.0's scale_action takes this input to that output; the gripper above 0 closes, so opens by -1
    np.testing.assert_allclose(got, [[0.05, -0.01, 0, 0.15, 0.5, -0.5, -1]], rtol=1e-15)
    assert Deployment(spec(), LIBERO).units == ("m",) * 3 + ("rad",) * 3 + ("opening",)
    assert Deployment(spec(), replace(LIBERO, gripper=UNKNOWN)).units[6] == "1"


@given(u=st.floats(-3, 3), low=st.floats(-2, 0.5), width=st.floats(0.1, 3))
def test_a_skewed_range_is_mapped_end_to_end(u: float, low: float, width: float) -> None:
    six = np.ones(6)
    controller = replace(
        LIBERO, input_min=low * six, input_max=(low + width) * six, output_min=0.1 * six, output_max=0.4 * six
    )
    got = Deployment(spec(), controller).map(np.full(7, u))[0]
    clipped = min(max(u, low), low + width)
    assert got == pytest.approx(0.1 + 0.3 * (clipped - low) / width, abs=1e-12)


@pytest.mark.parametrize(
    ("gripper", "commands", "openings"),
    [
        (Gripper("switch", open=-1.0, closed=1.0), [-1, -0.01, 0, 0.5], [1, 1, 0, -1]),
        (Gripper("switch", open=1.0, closed=0.0, threshold=0.5, tie=1.0), [0, 0.5, 0.6], [-1, 1, 1]),
        (Gripper("position", open=1.0, closed=0.0), [0, 0.25, 1, 1.5], [-1, -0.5, 1, 1]),
        (Gripper("position", open=0.0, closed=1.0), [0, 0.25, 1, -0.5], [1, 0.5, -1, 1]),
        (Gripper("speed", open=-1.0, closed=1.0), [-2, 0, 0.5], [1, 0, -0.5]),
    ],
)
def test_a_gripper_command_becomes_an_opening(gripper: Gripper, commands: list[float], openings: list[float]) -> None:
    deployment = Deployment(spec(), with_gripper(gripper))
    u = np.zeros((len(commands), 7))
    u[:, 6] = commands
    assert deployment.map(u)[:, 6].tolist() == openings
    assert deployment.grippers == (6,)


def test_opposite_polarity_is_a_drift_of_two_on_the_gripper_alone() -> None:
    sample = np.random.default_rng(0).uniform(0, 1, (100, 7))
    meant = Deployment(spec(post="libero"), LIBERO)
    forgotten = Deployment(spec(), LIBERO)
    reversed_hand = Deployment(spec(post="libero"), with_gripper(Gripper("switch", open=1.0, closed=-1.0)))
    two = drift(meant, reversed_hand, sample)
    assert two.mean_abs.tolist() == [0] * 6 + [2]
    assert two.worst_case[6] == 2
    assert (two.channels_used, two.mean) == (tuple(range(6)), 0)
    # without the client's ops [0, 1] never opens: what was meant to be open is closed
    assert drift(meant, forgotten, sample).mean_abs[6] == pytest.approx(2 * (sample[:, 6] > 0.5).mean())


def test_the_input_scale_enters_the_drift_in_metres() -> None:
    doubled = replace(LIBERO, output_min=2 * LIBERO.output_min, output_max=2 * LIBERO.output_max)
    moved = drift(Deployment(spec(), LIBERO), Deployment(spec(), doubled), ActionSample.uniform(7))
    np.testing.assert_allclose(moved.mean_abs, [0.025] * 3 + [0.25] * 3 + [0], rtol=1e-13)
    clipped = drift(Deployment(spec(), LIBERO), Deployment(spec(4.0), LIBERO), ActionSample.uniform(7))
    # worst at u = 1/4, where the executed one saturates; OpenVLA emits bin centres, the nearest one 0.001 off
    assert clipped.worst_case[0] == pytest.approx(0.05 * 0.75, rel=0.002)


def test_declared_rotations_that_differ_forbid_a_drift() -> None:
    other = Deployment(spec(), CONTROLLERS["droid-cartesian_velocity"])
    nothing = drift(Deployment(spec(), LIBERO), other, ActionSample.uniform(7))
    assert np.isnan(nothing.mean)
    assert "rotation is axis_angle as intended (declared), euler_xyz as executed (declared)" in nothing.reason


def test_the_controller_s_word_on_grippers_counts() -> None:
    assert Deployment(spec(gripper=()), LIBERO).map.gripper == (6,)
    joints = Deployment(spec(), CONTROLLERS["droid-joint_velocity"])
    assert joints.map.gripper == ()
    assert joints.arm == tuple(range(7))


def test_a_wrong_key_runs_under_the_right_one_s_client() -> None:
    meant = deploy(spec(), LIBERO)
    unmasked = replace(spec(), stats=NormStats({name: spec().stats[name] for name in ("q01", "q99")}))
    assert meant.spec.post is not None
    assert deploy(unmasked, LIBERO).spec.post is None  # nothing says how its gripper reads
    assert meant.running(unmasked).spec.post is meant.spec.post
    scripted = replace(spec(), post=meant.spec.post)
    assert deploy(scripted, CONTROLLERS["simpler-widowx"]).spec.post is meant.spec.post  # a post of one's own stays


@pytest.mark.parametrize(
    ("own", "name", "words"),
    [
        (spec(), "libero", ""),
        (spec(9.0), "libero", ""),
        (spec(11.0), "libero", "channel 0 reaches 11, 11 times what libero takes"),
        (spec(), "aloha", "takes 12 channels"),
        (spec(), "droid-joint_velocity", "channel 6 is the policy's gripper (declared: here), and part of the arm to"),
        (spec(gripper=()), "droid-joint_velocity", ""),
    ],
)
def test_a_controller_that_cannot_be_meant_says_why(own: ExecSpec, name: str, words: str) -> None:
    assert words in misfit(own, CONTROLLERS[name])
    assert bool(misfit(own, CONTROLLERS[name])) == bool(words)


def test_degrees_do_not_fit_joints_in_radians() -> None:
    high = np.append(np.full(6, 90.0), 1.0)
    own = ExecSpec("a", "k", "openpi", declared("openpi-quantile", "x"), NormStats({"q01": -high, "q99": high}))
    assert "times what aloha takes" in misfit(own, replace(CONTROLLERS["aloha"], arms=1))


def test_what_says_that_a_controller_fits() -> None:
    assert fit(Deployment(spec(), LIBERO)).status == "inferred"
    units = replace(spec(), conventions=Conventions(units=declared(Deployment(spec(), LIBERO).units, "card")))
    assert fit(Deployment(units, LIBERO)).why == "card"
    named = CONTROLLERS["widowx"]
    names = replace(spec(), conventions=Conventions(names=named.names))
    assert fit(Deployment(names, named)).status == "declared"


def test_the_wrong_robot_is_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="controller aloha takes 12 channels"):
        Deployment(spec(), CONTROLLERS["aloha"])
