"""Units: what people read a drift in, the gripper apart, and figures that no unit is made up for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from execspec_fast.auditing.units import ACTION_UNITS, READ, Units
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN, declared
from execspec_fast.deployment import Deployment
from execspec_fast.formats.controller_files import load_controller
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from robots import LIBERO, spec


def test_action_units_without_a_controller():
    assert Units.plain(2).read(np.array([1.0, 3.0]), [0, 1]) == {ACTION_UNITS: 2.0}


def test_a_controller_makes_millimetres_and_degrees_and_tells_the_gripper_apart():
    units = Units.of(Deployment(spec(), LIBERO))
    read = units.read(np.array([0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 2.0]), range(6))
    # 0.2 of 50 mm, 0.1 of 0.5 rad, and an opening from -1 to 1
    assert read == pytest.approx({"mm": 10.0, "deg": math.degrees(0.05), "gripper": 1.0})
    assert units.controller == "libero"
    assert set(read) <= set(READ)


def test_what_says_nothing_is_not_read():
    units = Units.of(Deployment(spec(), LIBERO))
    drift = np.array([np.nan, 0.2, 0.4, np.nan, np.nan, np.nan, np.nan])
    assert units.read(drift, range(6)) == pytest.approx({"mm": 15.0})
    assert "gripper" not in Units.of(Deployment(spec(), replace(LIBERO, gripper=UNKNOWN))).names


def test_a_chunk_is_read_step_by_step():
    stats = NormStats({"min": -np.ones((3, 7)), "max": np.ones((3, 7))})
    own = ExecSpec("a", "k", "gr00t", declared("gr00t-n1.6-min_max", "here"), stats)
    units = Units.of(Deployment(own, LIBERO))
    drift = np.repeat([0.1, 0.2, 0.3], 7)
    assert units.read(drift, [d for d in range(21) if d % 7 != 6]) == pytest.approx(
        {"mm": 10.0, "deg": math.degrees(0.1), "gripper": 0.1}
    )


def test_joints_and_velocities_have_units_of_their_own():
    joints = Deployment(spec(gripper=()), CONTROLLERS["droid-joint_velocity"])
    assert Units.of(joints).read(np.ones(7), range(7)) == pytest.approx({"deg": math.degrees(0.2)})
    speeds = replace(joints.controller, unit=("rad/s",) * 7)
    assert set(Units.of(Deployment(joints.spec, speeds)).names) == {"deg/s"}


def test_a_share_is_of_the_tightest_limit():
    units = Units.of(Deployment(spec(), LIBERO))
    drift = np.array([0.1] * 3 + [0.1] * 3 + [0.5])  # 5 mm, 2.86 deg, a quarter of the way
    assert units.share(drift, range(6), {"mm": 10.0, "deg": 28.6}) == pytest.approx(0.5)
    assert units.share(drift, range(6), {"mm": 10.0, "gripper": 0.25}) == pytest.approx(1.0)
    assert units.share(drift, range(6), {"mm": 0.0}) == math.inf
    assert math.isnan(units.share(drift, range(6), {"deg/s": 1.0}))


def test_real_controller(shared_registry):
    controller = load_controller(shared_registry / "controllers" / "robosuite-v1.4" / "osc_pose.json")
    assert Units.of(Deployment(spec(), controller)).read(np.ones(7), [0]) == pytest.approx({"mm": 50.0, "gripper": 0.5})
