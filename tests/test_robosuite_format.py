"""robosuite controller configs, and the scale from action to metres and radians that they give."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.controllers import TWO_FINGER, Controller
from execspec_fast.errors import FormatError, ShapeMismatchError
from execspec_fast.formats.robosuite import is_controller, read_controller
from execspec_fast.formats.tree import File, Tree
from hostile import values
from hypothesis import given
from hypothesis import strategies as st

OSC_14 = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
    "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
    "control_delta": True,
}
OSC_15 = {**{k: v for k, v in OSC_14.items() if k != "control_delta"}, "input_type": "delta", "input_ref_frame": "base"}
JOINTS = {"type": "JOINT_VELOCITY", "input_max": 1, "input_min": -1, "output_max": 0.5, "output_min": -0.5}


def file_of(folder: Path, document: Any) -> File:
    (folder / "controller.json").write_text(json.dumps(document))
    (file,) = Tree(folder / "controller.json").files
    return file


def controller(folder: Path, document: Any, part: str = "") -> Controller:
    assert is_controller(document)
    return read_controller(file_of(folder, document), part)


def test_osc_pose_scales_to_metres_and_radians(tmp_path: Path) -> None:
    osc = controller(tmp_path, OSC_14)
    # robosuite 1.4.0's scale_action takes [1.5, -0.2, 0, 0.3, 1, -1] to [0.05, -0.01, 0, 0.15, 0.5, -0.5]
    action = np.clip([1.5, -0.2, 0, 0.3, 1, -1], osc.input_min, osc.input_max)
    np.testing.assert_allclose(action * osc.scale, [0.05, -0.01, 0, 0.15, 0.5, -0.5], rtol=1e-15)
    assert osc.unit == ("m", "m", "m", "rad", "rad", "rad")
    assert (osc.rotation.value, osc.rotation.status) == ("axis_angle", "inferred")


def test_the_scale_is_output_range_over_input_range(tmp_path: Path) -> None:
    document = {**OSC_14, "input_min": [0, -1, -2, -1, -1, -1], "input_max": [1, 1, 2, 1, 1, 1], "output_min": 0.0}
    osc = controller(tmp_path, document)
    np.testing.assert_allclose(osc.scale, [0.05, 0.025, 0.0125, 0.25, 0.25, 0.25])


@pytest.mark.parametrize(
    ("document", "delta", "frame", "status"),
    [
        (OSC_14, True, "world", "inferred"),
        (OSC_15, True, "base", "declared"),
        ({**OSC_15, "input_ref_frame": "world"}, True, "world", "declared"),
        ({k: v for k, v in OSC_15.items() if k != "input_ref_frame"}, True, "base", "inferred"),
        ({**OSC_14, "control_delta": False}, False, "world", "inferred"),
        ({**OSC_15, "input_type": "absolute"}, False, "base", "declared"),
    ],
)
def test_versions_differ_in_reference_and_frame(
    tmp_path: Path, document: dict[str, Any], delta: bool, frame: str, status: str
) -> None:
    osc = controller(tmp_path, document)
    assert (osc.delta.value, osc.delta.status) == (delta, "declared")
    assert osc.delta.why.startswith("controller.json#/")
    assert (osc.frame.value, osc.frame.status) == (frame, status)
    assert (osc.scale == 1).all() is np.bool_(not delta)  # an absolute pose is neither clipped nor scaled


def test_what_the_code_does_and_no_file_says_is_inferred(tmp_path: Path) -> None:
    osc = controller(tmp_path, OSC_14)
    assert (osc.beyond.value, osc.reference.value, osc.gripper.value) == ("clip", "achieved", TWO_FINGER)
    assert {osc.beyond.status, osc.reference.status, osc.gripper.status} == {"inferred"}
    assert (osc.rate.status, osc.source) == ("unknown", "controller.json#")
    absolute = controller(tmp_path, {**OSC_14, "control_delta": False})
    assert (absolute.beyond.value, absolute.reference.status, absolute.scales) == ("pass", "unknown", False)
    assert np.isinf(absolute.input_max).all()


def test_a_velocity_target_is_absolute_and_scaled(tmp_path: Path) -> None:
    joints = controller(tmp_path, JOINTS)
    assert (joints.delta.value, joints.scale.tolist(), joints.unit) == (False, [0.5], ("rad/s",))


def test_a_gripper_command_follows_the_arm(tmp_path: Path) -> None:
    scale, unit = controller(tmp_path, OSC_14).units_of(7)
    assert scale.tolist() == [0.05] * 3 + [0.5] * 3 + [1.0]
    assert unit == ("m", "m", "m", "rad", "rad", "rad", "1")
    scale, unit = controller(tmp_path, JOINTS).units_of(8)
    assert (scale.tolist(), unit) == ([0.5] * 7 + [1.0], ("rad/s",) * 7 + ("1",))
    with pytest.raises(ShapeMismatchError, match="takes 6 channels, or 7 with a gripper; the action has 14"):
        controller(tmp_path, OSC_14).units_of(14)


def test_a_composite_names_its_parts(tmp_path: Path) -> None:
    left = {**OSC_15, "output_max": [0.1] * 6, "output_min": [-0.1] * 6}
    document = {
        "type": "BASIC",
        "body_parts": {"arms": {"left": left, "right": {**OSC_15, "gripper": {"type": "GRIP"}}}, "torso": JOINTS},
    }
    right = controller(tmp_path, document)
    assert (right.part, right.scale[0]) == ("arms/right", 0.05)
    assert right.frame.why == "controller.json#/body_parts/arms/right/input_ref_frame"
    assert controller(tmp_path, document, "arms/left").scale[0] == 0.1
    assert controller(tmp_path, document, "torso").name == "JOINT_VELOCITY"
    with pytest.raises(FormatError, match="no part 'arms/middle'; the file configures: arms/left, arms/right, torso"):
        controller(tmp_path, document, "arms/middle")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "IK_POSE"}, "IK_POSE has no linear scale"),
        ({"input_max": -1}, "input_max must exceed input_min"),
        ({"input_max": "1"}, "expected a list of numbers"),
        ({"output_max": [0.05] * 5}, "limits of different lengths"),
        ({"output_max": [0.05] * 7, "output_min": 0}, "limits of different lengths"),
        ({"output_max": None}, "expected a list of numbers"),
        ({"output_max": 1e308, "output_min": -1e308}, "no finite scale"),
    ],
)
def test_broken_configs_name_the_place(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(FormatError, match=says) as raised:
        controller(tmp_path, {**OSC_14, **change})
    assert raised.value.file == "controller.json"


def test_a_config_without_limits_has_no_scale(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="JOINT_VELOCITY has no input_min, input_max, output_min, output_max"):
        controller(tmp_path, {"type": "JOINT_VELOCITY", "interpolation": "null"})


@pytest.mark.parametrize(
    "document", [{}, [], 3, {"type": "act"}, {"type": 7}, {"body_parts": 3}, {"body_parts": {"a": 1}}]
)
def test_other_documents_are_no_controllers(tmp_path: Path, document: Any) -> None:
    assert not is_controller(document)
    with pytest.raises(FormatError, match="no robosuite controller config"):
        read_controller(file_of(tmp_path, document))


@given(
    st.dictionaries(st.sampled_from([*OSC_14, *OSC_15]), values(["delta", "OSC_POSE", "JOINT_POSITION"]), max_size=4)
)
def test_no_config_crashes_it(tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any]) -> None:
    file = file_of(tmp_path_factory.mktemp("hostile"), {**OSC_14, **change})
    with suppress(FormatError):
        assert np.isfinite(read_controller(file).scale).all()


def test_real_controllers(shared_registry: Path) -> None:
    files = [file for file in Tree(shared_registry / "controllers").files if file.name.endswith(".json")]
    assert len(files) == 20
    assert all(is_controller(file.json()) for file in files)
    osc = {file.path: read_controller(file) for file in files if file.name == "osc_pose.json"}
    assert {path: (c.delta.value, c.frame.value, float(c.scale[0])) for path, c in osc.items()} == {
        "robomimic-nadun/osc_pose.json": (True, "world", 0.05),
        "robosuite-v1.0-fork/osc_pose.json": (False, "world", 1.0),
        "robosuite-v1.4/osc_pose.json": (True, "world", 0.05),
        "robosuite-v1.5/default/parts/osc_pose.json": (True, "base", 0.05),
    }
    for file in files:
        if "composite" in file.path:
            assert read_controller(file, "torso").unit == ("rad",)
