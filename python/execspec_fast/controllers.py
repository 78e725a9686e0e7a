"""`CONTROLLERS`: the robots that policies are sent to, as their own code reads an action.

Every fact names the repository and the file it was read in. A configuration file says more about one robot than this
table can; it is for the conventions that no file holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .controller import Controller as Controller
from .controller import Gripper
from .conventions import declared, inferred
from .errors import UnknownControllerError

POSE = ("m", "m", "m", "rad", "rad", "rad")
POSE_NAMES = ("x", "y", "z", "roll", "pitch", "yaw")

TWO_FINGER = Gripper("switch", open=-1.0, closed=1.0)
"""robosuite's two-finger grippers: the sign of the command moves the fingers a fixed way, so 0 holds."""
PANDA_GRIPPER = "robosuite 1.4.0 robosuite/models/grippers/panda_gripper.py"


def _ranges(inputs: list[float], outputs: list[float]) -> dict[str, Any]:
    """The four range fields of a controller that is symmetric about zero."""
    high, out = np.array(inputs), np.array(outputs)
    return {"input_min": -high, "input_max": high, "output_min": -out, "output_max": out}


def _passed(channels: int) -> dict[str, Any]:
    return _ranges([math.inf] * channels, [math.inf] * channels)


_OSC = "robosuite 1.4.0 robosuite/controllers/osc.py"
_OSC_JSON = "robosuite 1.4.0 robosuite/controllers/config/osc_pose.json"
_OSC_15_JSON = "robosuite 1.5 robosuite/controllers/config/default/parts/osc_pose.json"
_AS_14 = "as in robosuite 1.4, whose configuration has the same ranges"

OSC_14 = Controller(
    name="robosuite-1.4-osc_pose",
    **_ranges([1.0] * 6, [0.05] * 3 + [0.5] * 3),
    unit=POSE,
    source=_OSC_JSON,
    beyond=declared("clip", "robosuite 1.4.0 robosuite/controllers/base_controller.py"),
    delta=declared(True, _OSC_JSON),
    reference=declared("achieved", _OSC),
    frame=declared("world", _OSC),
    rotation=declared("axis_angle", _OSC),
    gripper=declared(TWO_FINGER, PANDA_GRIPPER),
    remarks=(
        declared("a rotation of exactly zero keeps the previous goal: it does not stop at the current pose", _OSC),
    ),
)
OSC_10 = replace(
    OSC_14,
    name="robosuite-1.0-osc_pose",
    source="robosuite 1.0 robosuite/controllers/config/osc_pose.json",
    beyond=inferred("clip", _AS_14),
    delta=declared(True, "robosuite 1.0 robosuite/controllers/config/osc_pose.json"),
    reference=inferred("achieved", _AS_14),
    frame=inferred("world", _AS_14),
    rotation=inferred("axis_angle", _AS_14),
    gripper=inferred(TWO_FINGER, _AS_14),
    remarks=tuple(inferred(str(remark.value), _AS_14) for remark in OSC_14.remarks),
)
OSC_15 = replace(
    OSC_14,
    name="robosuite-1.5-osc_pose",
    source=_OSC_15_JSON,
    beyond=inferred("clip", _AS_14),
    delta=declared(True, _OSC_15_JSON),
    reference=inferred("achieved", "robosuite 1.5's default goal_update_mode"),
    frame=declared("base", _OSC_15_JSON),
    rotation=inferred("axis_angle", _AS_14),
    gripper=inferred(TWO_FINGER, _AS_14),
    remarks=(),
)
LIBERO = replace(
    OSC_14, name="libero", rate=declared(20.0, "Lifelong-Robot-Learning/LIBERO libero/libero/envs/env_wrapper.py")
)

_IK = "droid-dataset/droid droid/robot_ik/robot_ik_solver.py"
_FRANKA = "droid-dataset/droid droid/franka/robot.py"
_DROID: dict[str, Any] = {
    "source": _IK,
    "beyond": declared("project", _IK),
    "delta": declared(True, _FRANKA),
    "reference": declared("achieved", _FRANKA),
    "gripper": declared(Gripper("speed", open=-1.0, closed=1.0), _FRANKA),
    "rate": declared(15.0, _IK),
}
DROID_CARTESIAN = Controller(
    name="droid-cartesian_velocity",
    **_ranges([1.0] * 6, [0.075] * 3 + [0.15] * 3),
    **_DROID,
    unit=POSE,
    frame=declared("base", _FRANKA),
    rotation=declared("euler_xyz", "droid-dataset/droid droid/misc/transformations.py"),
    names=declared((*POSE_NAMES, "gripper"), _FRANKA),
    remarks=(
        declared(
            "translation and rotation are each shortened to length 1 (L2) where longer, all channels at once", _IK
        ),
    ),
)
DROID_JOINTS = Controller(
    name="droid-joint_velocity",
    **_ranges([1.0] * 7, [0.2] * 7),
    **_DROID,
    unit=("rad",) * 7,
    remarks=(declared("joints are shortened together until the largest is 1 (L-infinity) where it is more", _IK),),
)

_BRIDGE = "rail-berkeley/bridge_data_robot widowx_envs/widowx_envs/base/robot_base_env.py"
_BRIDGE_SE3 = "rail-berkeley/bridge_data_robot widowx_envs/widowx_envs/utils/transformation_utils.py"
WIDOWX = Controller(
    name="widowx",
    **_ranges([0.05] * 3 + [0.25] * 3, [0.05] * 3 + [0.25] * 3),
    unit=POSE,
    source=_BRIDGE,
    beyond=declared("clip", _BRIDGE),
    delta=declared(True, _BRIDGE),
    reference=declared("last_target", _BRIDGE),
    frame=declared("base", _BRIDGE_SE3),
    rotation=declared("euler_xyz", _BRIDGE_SE3),
    gripper=declared(Gripper("position", open=1.0, closed=0.0), _BRIDGE),
    rate=inferred(5.0, "a move takes 0.2 s in bridge_data_robot's evaluation; its default move_duration is 0.3 s"),
    names=declared((*POSE_NAMES, "gripper"), _BRIDGE_SE3),
    remarks=(declared("the target's position is clipped to the workspace", _BRIDGE),),
)

_SIMPLER = "simpler-env/SimplerEnv simpler_env/policies/octo/octo_model.py"
_MANISKILL = "simpler-env/ManiSkill2_real2sim mani_skill2_real2sim/agents/configs"
_SIMPLER_POSE: dict[str, Any] = {
    **_passed(6),
    "unit": POSE,
    "source": _MANISKILL,
    "beyond": declared("pass", f"{_MANISKILL}: normalize_action=False"),
    "delta": declared(True, _MANISKILL),
    "frame": declared("base", _MANISKILL),
    "rotation": declared("euler_xyz", f"{_SIMPLER}: euler2axangle, static xyz"),
    "names": declared((*POSE_NAMES, "gripper"), _SIMPLER),
}
SIMPLER_WIDOWX = Controller(
    name="simpler-widowx",
    **_SIMPLER_POSE,
    reference=declared("last_target", f"{_MANISKILL}/widowx/defaults.py: use_target=True"),
    gripper=declared(Gripper("position", open=1.0, closed=-1.0), _SIMPLER),
    rate=declared(5.0, "simpler-env/SimplerEnv scripts/openvla_bridge.sh"),
)
SIMPLER_GOOGLE = Controller(
    name="simpler-google",
    **_SIMPLER_POSE,
    reference=inferred("achieved", f"{_MANISKILL}/google_robot/defaults.py sets no use_target for the mode it runs"),
    rate=declared(3.0, "simpler-env/SimplerEnv simpler_env/evaluation/argparse.py"),
    remarks=(
        declared(
            "the gripper follows the change of the command (+ closes), held for 15 steps once it is above 0.5", _SIMPLER
        ),
    ),
)

_ALOHA = "Physical-Intelligence/aloha aloha_scripts/constants.py"
_ALOHA_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
ALOHA = Controller(
    name="aloha",
    **_passed(6),
    unit=("rad",) * 6,
    source="Physical-Intelligence/aloha aloha_scripts/real_env.py",
    beyond=declared("pass", "Physical-Intelligence/aloha aloha_scripts/real_env.py"),
    delta=declared(False, "Physical-Intelligence/aloha aloha_scripts/real_env.py"),
    gripper=declared(Gripper("position", open=1.0, closed=0.0), _ALOHA),
    rate=declared(50.0, f"{_ALOHA}: DT = 0.02"),
    names=declared(
        tuple(f"{side}_{joint}" for side in ("left", "right") for joint in _ALOHA_JOINTS),
        "Physical-Intelligence/aloha aloha_scripts/real_env.py",
    ),
    arms=2,
)

CONTROLLERS: Mapping[str, Controller] = {
    controller.name: controller
    for controller in (
        OSC_10, OSC_14, OSC_15, LIBERO, DROID_CARTESIAN, DROID_JOINTS, WIDOWX, SIMPLER_WIDOWX, SIMPLER_GOOGLE, ALOHA,
    )
}  # fmt: skip


def find_controller(name: str) -> Controller:
    """The controller of that name.

    Raises:
        UnknownControllerError: with the known names.
    """
    if name not in CONTROLLERS:
        raise UnknownControllerError(name, CONTROLLERS)
    return CONTROLLERS[name]
