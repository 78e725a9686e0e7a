"""The table of controllers: how an action is laid out over channels, and that every fact names where it was read."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from execspec_fast.controllers import CONTROLLERS, find_controller
from execspec_fast.conventions import Fact
from execspec_fast.errors import ShapeMismatchError, UnknownControllerError
from execspec_fast.rotation import READINGS


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_fact_has_its_source(name: str) -> None:
    controller = CONTROLLERS[name]
    facts = [getattr(controller, f.name) for f in fields(controller)]
    facts = [fact for fact in (*facts, *controller.remarks) if isinstance(fact, Fact) and fact.status != "unknown"]
    assert len(facts) >= 3
    assert all(fact.why for fact in facts)
    assert all("/" in fact.why for fact in facts if fact.status == "declared")  # a repository and a file
    assert "/" in controller.source


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_entry_is_one_the_arithmetic_understands(name: str) -> None:
    controller = CONTROLLERS[name]
    ranges = (controller.input_min, controller.input_max, controller.output_min, controller.output_max)
    assert {r.size for r in ranges} == {len(controller.unit)}
    assert (controller.input_min < controller.input_max).all()
    assert controller.beyond.value in ("clip", "project", "pass")
    assert (controller.beyond.value == "pass") is not controller.scales
    assert controller.reference.value in (None, "achieved", "last_target", "chunk_start")
    assert controller.frame.value in (None, "base", "world", "tool")
    assert controller.rotation.value in (None, *READINGS)
    width = (len(controller.unit) + 1) * controller.arms
    assert controller.names.value is None or len(controller.names.value) == width
    assert controller.units_of(width)[1].count("1") == controller.arms


def test_every_entry_is_plain_json() -> None:
    plain = json.loads(json.dumps([controller.to_dict() for controller in CONTROLLERS.values()], allow_nan=False))
    aloha = next(entry for entry in plain if entry["name"] == "aloha")
    assert aloha["input_max"] == [None] * 6
    assert aloha["gripper"]["value"]["open"] == 1.0
    assert aloha["names"]["value"][13] == "right_gripper"


def test_figures_of_the_sources() -> None:
    """What each controller makes of an input of one."""
    one = {name: controller.scale[[0, -1]].tolist() for name, controller in CONTROLLERS.items()}
    assert one["libero"] == one["robosuite-1.5-osc_pose"] == one["robosuite-1.0-osc_pose"] == [0.05, 0.5]
    assert one["droid-cartesian_velocity"] == [0.075, 0.15]
    assert one["droid-joint_velocity"] == [0.2, 0.2]
    assert one["widowx"] == one["simpler-widowx"] == one["simpler-google"] == one["aloha"] == [1.0, 1.0]
    assert CONTROLLERS["widowx"].input_max.tolist() == [0.05] * 3 + [0.25] * 3
    rates = {name: controller.rate.value for name, controller in CONTROLLERS.items()}
    assert (rates["libero"], rates["widowx"]) == (20, 5)
    assert (rates["droid-joint_velocity"], rates["simpler-google"], rates["aloha"]) == (15, 3, 50)


def test_arms_repeat_and_each_has_its_gripper() -> None:
    aloha = find_controller("aloha")
    assert aloha.layout(14).tolist() == [0, 1, 2, 3, 4, 5, -1] * 2
    assert aloha.units_of(14)[1] == (("rad",) * 6 + ("1",)) * 2
    assert aloha.layout(12).tolist() == [0, 1, 2, 3, 4, 5] * 2
    for dim in (7, 13, 16):
        with pytest.raises(ShapeMismatchError, match="14 with a gripper for each of 2 arms"):
            aloha.layout(dim)


def test_an_offset_centre_keeps_the_middle_in_the_middle() -> None:
    osc = CONTROLLERS["libero"]
    skewed = replace(osc, input_min=np.zeros(6), output_min=np.full(6, 0.01))
    middle = skewed.scale * 0.5 + skewed.offset
    np.testing.assert_allclose(middle, (0.01 + osc.output_max) / 2, rtol=1e-15)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownControllerError, match="no controller 'libreo', as a file or by name; known names: aloha"
    ):
        find_controller("libreo")
