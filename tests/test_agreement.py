"""Conventions C1 to C9: errors only where two declared values differ, warnings where a rule inferred one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.agreement import Agreement, agree, findings
from execspec_fast.client import client_ops
from execspec_fast.controller import Controller, Gripper
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN, Conventions, declared, inferred
from execspec_fast.deployment import scripted
from execspec_fast.errors import ExecSpecError
from execspec_fast.registry import open_registry
from execspec_fast.sample import ActionSample
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats

LIBERO = CONTROLLERS["libero"]
WXYZ = replace(LIBERO, rotation=declared("quat_wxyz", "y"))
NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")


def spec(low: Any = -0.9, high: Any = 0.9, dim: int = 7, mask: bool = True, **said: Any) -> ExecSpec:
    """An Open-X policy with the ops of the LIBERO rollout script."""
    arm = np.arange(dim) < dim - 1
    ends = {"q01": np.where(arm, low, 0.0), "q99": np.where(arm, high, 1.0)}
    conventions = replace(Conventions(gripper=inferred((dim - 1,), "mask")), **said)
    return ExecSpec(
        "runs/a", "k", "openvla", declared("openvla", "here"), NormStats(ends, mask=arm if mask else None), conventions,
        post=client_ops("libero", dim, (dim - 1,)),
    )  # fmt: skip


def row(code: str, *args: Any) -> Agreement:
    rows = agree(*args)
    assert [r.code for r in rows] == [f"C{k}" for k in range(1, 10)]
    json.dumps([r.to_dict() for r in rows], allow_nan=False)
    return rows[int(code[1]) - 1]


def test_libero_s_own_policy_leaves_one_note() -> None:
    (note,) = findings(agree(spec(), LIBERO), "runs/a#k")
    assert (note.code, note.severity) == ("C0", "note")
    assert note.message.endswith(": rotation (C2), frame (C4), channel order (C7), rate (C8)")
    full = spec(
        rotation=declared("axis_angle", "x"), frame=declared("world", "x"), rate=declared(20.0, "x"),
        names=declared(NAMES, "x"),
    )  # fmt: skip
    assert not list(findings(agree(full, replace(LIBERO, names=declared(NAMES, "x"))), "runs/a#k"))


@pytest.mark.parametrize(
    ("code", "said", "controller", "severity", "words"),
    [
        ("C1", {"representation": declared("absolute", "x")}, LIBERO, "error", "representation is absolute"),
        ("C1", {"representation": inferred("absolute", "x")}, LIBERO, "warning", "representation is absolute"),
        ("C1", {"representation": declared("relative", "x")}, LIBERO, "error", "the controller takes delta"),
        (
            "C1", {"representation": declared("relative", "x")},
            replace(LIBERO, reference=declared("chunk_start", "x")), None, "",
        ),
        ("C2", {"rotation": declared("euler_xyz", "x")}, LIBERO, "error", "rotation is euler_xyz (declared: x)"),
        ("C2", {"rotation": inferred("euler_xyz", "x")}, LIBERO, "warning", "controller takes axis_angle"),
        ("C2", {"rotation": declared("quat_xyzw", "x")}, WXYZ, None, ""),
        ("C3", {"rotation": declared("quat_xyzw", "x")}, WXYZ, "error", ""),
        ("C3", {"rotation": declared("euler_xyz", "x")}, LIBERO, None, ""),
        ("C4", {"frame": declared("tool", "x")}, LIBERO, "error", "frame is tool"),
        ("C4", {"frame": declared("base", "x")}, CONTROLLERS["robosuite-1.5-osc_pose"], None, ""),
        (
            "C7", {"names": declared((*NAMES[3:6], *NAMES[:3], "gripper"), "x")},
            replace(LIBERO, names=declared(NAMES, "y")), "error", "channel order is",
        ),
        ("C7", {"names": declared(tuple("abcdefg"), "x")}, replace(LIBERO, names=declared(NAMES, "y")), "note", ""),
        ("C8", {"rate": declared(5.0, "x")}, LIBERO, "error", "rate is 5.0"),
        ("C8", {"rate": declared(20.1, "x")}, LIBERO, None, ""),
        ("C8", {"rate": declared(20.0, "x")}, CONTROLLERS["widowx"], "warning", "(inferred: a move takes 0.2 s"),
        (
            "C6", {"units": declared(("mm",) * 3 + ("rad",) * 3 + ("1",), "x")}, CONTROLLERS["widowx"], "warning",
            "channel 0 is in mm, the controller takes m",
        ),
    ],
)  # fmt: skip
def test_one_convention(
    code: str, said: dict[str, Any], controller: Controller, severity: str | None, words: str
) -> None:
    found = row(code, spec(**said), controller)
    assert found.severity == severity
    assert words in found.message


@pytest.mark.parametrize(
    ("low", "high", "value"),
    [
        (-0.9, 0.9, "delta"),
        ([-0.9, -0.5, -0.3, -1, -1, -1, 0], [0.9, 0.2, 0.4, 1, 1, 1, 0], "delta"),
        ([0.1, -0.5, -0.3, -1, -1, -1, 0], [0.9, 0.2, 0.4, 1, 1, 1, 0], "absolute"),
        ([-0.1, -0.5, -0.3, -1, -1, -1, 0], [0.9, 0.2, 0.4, 1, 1, 1, 0], None),
        ([0.0, -0.5, -0.3, -1, -1, -1, 0], [0.0, 0.2, 0.4, 1, 1, 1, 0], None),
    ],
)
def test_representation_is_inferred_from_the_ranges(low: Any, high: Any, value: str | None) -> None:
    found = row("C1", spec(low, high), LIBERO)
    assert found.policy.value == value
    assert found.severity == {"delta": None, "absolute": "warning", None: "note"}[value]


def test_figures_cannot_tell_delta_from_relative() -> None:
    assert row("C1", spec(), replace(LIBERO, reference=declared("chunk_start", "x"))).outcome == "unknown"
    velocity = replace(LIBERO, unit=("rad/s",) * 6, delta=declared(False, "x"))
    assert row("C1", spec(), velocity).outcome == "unknown"  # a velocity is neither absolute nor delta


def test_gripper_polarity_runs_through_the_client_s_ops() -> None:
    assert row("C5", spec(), LIBERO).outcome == "agree"
    forgotten = row("C5", replace(spec(), post=None), LIBERO)
    assert forgotten.severity == "warning"  # the policy's side is a rule
    assert forgotten.message == (
        "the policy's open gripper is taken for -1 and its closed one for 0, where 1 is open and -1 closed"
    )
    turned = replace(LIBERO, gripper=declared(Gripper("switch", open=1.0, closed=-1.0), "x"))
    assert row("C5", spec(), turned).message == "the gripper closes where the policy opens it"
    assert row("C5", replace(spec(), post=None), CONTROLLERS["widowx"]).outcome == "agree"
    assert row("C5", spec(mask=False), LIBERO).outcome == "unknown"
    own = spec().stats
    scaled = NormStats({name: own[name] for name in own}, mask=np.ones(7, np.bool_))  # no rule for a scaled gripper
    assert row("C5", replace(spec(), stats=scaled), LIBERO).outcome == "unknown"
    assert row("C5", spec(), replace(LIBERO, gripper=UNKNOWN)).outcome == "unknown"


@pytest.mark.parametrize(
    ("reach", "controller", "words"),
    [
        (1.0, LIBERO, None),
        (0.03, LIBERO, "no channel in m uses more than 3 % of its input range"),
        (9.0, LIBERO, None),
        (11.0, LIBERO, "channel 0 reaches 11, 11 times what the controller takes"),
        (0.04, CONTROLLERS["widowx"], None),
        (1.0, CONTROLLERS["widowx"], "channel 0 reaches 1, 20 times what the controller takes"),
    ],
)
def test_units_by_size(reach: float, controller: Controller, words: str | None) -> None:
    found = row("C6", spec(-reach, reach), controller)
    assert found.severity == ("warning" if words else None)
    assert found.message == (words or "")


def test_metres_in_one_step_are_no_step_where_nothing_is_clipped() -> None:
    """LIBERO's actions fill [-1, 1]; SimplerEnv's WidowX takes metres, and clips none."""
    simpler = CONTROLLERS["simpler-widowx"]
    found = row("C6", spec(-0.8, 0.8), simpler)
    assert (found.severity, found.evidence) == ("warning", {"reach": pytest.approx(0.8)})
    assert found.message.startswith("channel 0 reaches 0.8, which this controller, without a limit, takes for metres")
    assert row("C6", spec(-0.4, 0.4), simpler).outcome == "unknown"
    target = replace(simpler, delta=declared(False, "x"))  # a position may be that far away
    assert row("C6", spec(-0.8, 0.8), target).outcome == "unknown"
    joints = replace(simpler, unit=("rad",) * 6)
    assert row("C6", spec(-0.8, 0.8), joints).outcome == "unknown"


def test_degrees_sent_for_radians() -> None:
    joints = replace(CONTROLLERS["aloha"], arms=1, names=UNKNOWN)
    assert row("C6", spec(-2.0, 2.0), joints).outcome == "agree"
    assert row("C6", spec(-115.0, 115.0), joints).message.endswith("degrees sent for radians are 57.3 times too large")


def test_another_width_is_an_error_and_says_what_is_padding() -> None:
    wide = row("C9", spec(dim=14), LIBERO)
    assert (wide.severity, wide.evidence["padding"]) == ("error", 0)
    assert "takes 6 channels, or 7 with a gripper; the action has 14" in wide.message
    padded = spec(np.append(-np.ones(7), np.zeros(25)), np.append(np.ones(7), np.zeros(25)), dim=32, mask=False)
    flat = replace(padded, stats=NormStats({"q01": padded.stats["q01"], "q99": np.append(np.ones(7), np.zeros(25))}))
    found = row("C9", flat, LIBERO)
    assert found.message.endswith("the last 25 channels are padding")
    assert [r.outcome for r in agree(flat, LIBERO)][4:6] == ["unknown", "unknown"]


def test_a_joint_controller_has_no_rotation_to_disagree_about() -> None:
    rows = agree(spec(dim=8, rotation=declared("axis_angle", "x")), CONTROLLERS["droid-joint_velocity"])
    assert [r.outcome for r in rows[1:4]] == ["absent"] * 3


def test_a_rotation_that_differs_costs_an_angle() -> None:
    u = np.full((10, 7), 1.0)
    said = spec(-0.5, 0.5, rotation=declared("euler_xyz", "x"))
    found = row("C2", said, LIBERO, ActionSample(u))
    # 0.25 rad on each axis: an Euler triple read as a rotation vector is 0.055 rad off
    assert found.evidence["mean_deg"] == pytest.approx(np.degrees(0.05523), rel=1e-3)
    assert found.evidence["rotations"] == 10
    assert found.message.endswith("3.2 deg apart on average, 3.2 at most")
    drawn = row("C2", said, LIBERO, ActionSample.uniform(7))
    assert "independent-channel draws" in drawn.evidence["sample"]


def test_real_keys_on_their_own_robot_stay_quiet(shared_registry: Path) -> None:
    """False alarms: LIBERO keys on LIBERO and bridge keys on a WidowX have nothing to say against them."""
    counted: Counter[str] = Counter()
    for own in open_registry(shared_registry).specs:
        if own.ecosystem not in ("openvla", "openvla-oft", "nora", "openpi") or own.gripper is None:
            continue
        robot = "libero" if "libero" in own.name else "widowx" if "bridge" in own.key else ""
        if robot:
            sent = scripted(own, CONTROLLERS[robot])
            said = [f for f in findings(agree(sent, CONTROLLERS[robot]), own.name) if f.code != "C0"]
            assert not said, said
            counted[robot] += 1
    assert counted["libero"] >= 10
    assert counted["widowx"] >= 4


def test_no_controller_breaks_it(shared_registry: Path) -> None:
    for own in open_registry(shared_registry).specs[::7]:
        with np.errstate(all="raise"):
            try:
                sample = ActionSample.from_stats(own)
            except ExecSpecError:
                continue
            for controller in CONTROLLERS.values():
                for finding in findings(agree(own, controller, sample), own.name):
                    json.dumps(finding.to_dict(), allow_nan=False)
