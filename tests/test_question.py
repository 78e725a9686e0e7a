"""Controllers in an audit: drift of what they make of an action, motion, conventions, and those that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from audits import audit, deploy, told
from execspec_fast import ActionSample, drift, load_controller, load_spec
from execspec_fast.deployment import Deployment
from execspec_fast.deployment import deploy as deploy_on
from execspec_fast.errors import ExecSpecError
from registry import action, openvla
from robots import LIBERO


def test_a_deployment_tells_how_its_controller_moves(tmp_path):
    openvla(tmp_path / "a", {"goal": action(1.25), "spatial": action(0.5)})
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero")
    report = audit(tmp_path)
    (verdict,) = report.deployments
    motion = verdict["motion"]
    assert (verdict["verdict"], motion["controller"], motion["rate"]) == ("PASS", "libero", 20.0)
    # channel 0 goes to 1.125 at u = 1, the outermost token is 254/255, and both tails lie outside the input range
    assert motion["saturation"][0] == pytest.approx(1 - 0.98 / (1.125 * 254 / 255))
    assert motion["motion"][6] == pytest.approx(1.0)  # OpenVLA's script turns [0, 1] into open and closed for LIBERO
    assert {row["code"]: row["outcome"] for row in verdict["agreement"]}["C5"] == "agree"
    assert told(report) == [("C0", "note", "a#goal")]
    assert report.rows[0].motion is None  # its deployment tells it
    pair = report.pairs[0]
    assert (pair["controller"], set(pair["read"])) == ("libero", {"mm", "deg", "gripper"})


def test_the_same_controller_without_the_script_s_ops_closes_where_the_policy_opens(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    deploy(tmp_path, checkpoint="a", key="goal", controller="robosuite-1.4-osc_pose")
    report = audit(tmp_path)
    assert told(report)[0] == ("C5", "warning", "a#goal")
    assert report.deployments[0]["verdict"] == "PASS"  # its gripper is inferred


def test_a_controller_of_another_width_fails_its_deployment(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    deploy(tmp_path, checkpoint="a", key="goal", controller="aloha")
    report = audit(tmp_path)
    (verdict,) = report.deployments
    assert (verdict["verdict"], verdict["motion"], told(report)[0][:2]) == ("FAIL", None, ("C9", "error"))
    assert "aloha takes 12 channels" in verdict["reasons"][0]


def test_a_controller_for_all_tells_motion_where_it_can_and_compares_no_convention(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    openvla(tmp_path / "degrees", {"arm": action(50.0)})
    openvla(tmp_path / "two", {"goal": action(), "spatial": action(2.0)})
    report = audit(tmp_path, controller="libero")
    assert {row.targets[0]: bool(row.motion) for row in report.rows} == {"a": True, "degrees": False, "two": False}
    assert not [code for code, *_ in told(report) if code.startswith("C")]
    deploy(tmp_path, checkpoint="degrees", key="arm")
    (verdict,) = audit(tmp_path, controller="libero").deployments
    assert (verdict["verdict"], verdict["motion"], verdict["agreement"]) == ("PASS", None, [])


def test_a_rate_is_the_nearest_one_said_and_never_unused(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    for controller, rate in (({}, {}), ({}, {"rate": 5}), ({"controller": "libero"}, {})):
        deploy(tmp_path, checkpoint="a", key="goal", **controller, **rate)
        if controller:
            assert audit(tmp_path, rate=8.0).deployments[0]["motion"]["rate"] == 8.0
        else:
            with pytest.raises(ExecSpecError, match=r"(given: 8|\('arm'\): 5) Hz, and no controller that runs at it"):
                audit(tmp_path, rate=None if rate else 8.0)
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero", rate=5)
    assert audit(tmp_path, rate=8.0, controller="widowx").deployments[0]["motion"]["rate"] == 5.0
    deploy(tmp_path, checkpoint="a", key="goal")
    with pytest.raises(ExecSpecError, match="0 Hz is no rate"):
        audit(tmp_path, rate=0.0, controller="libero")
    assert audit(tmp_path, rate=8.0, controller="libero").deployments[0]["motion"]["rate"] == 8.0


def pair_of(report):
    (row,) = report.rows
    return row.siblings["worst"]


def test_the_ranked_drift_is_of_what_the_controller_makes_of_an_action(tmp_path):
    """Beyond the input range a wrong key changes nothing, so that another one is worst."""
    openvla(tmp_path / "a", {"goal": action(8.0), "wide": action(24.0), "half": action(4.0)})
    deploy(tmp_path, checkpoint="a", key="goal")
    worst = pair_of(audit(tmp_path))
    assert (worst["executed"], worst["controller"], list(worst["read"])) == ("wide", None, ["controller units"])
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero")
    worst = pair_of(audit(tmp_path))
    assert (worst["executed"], worst["controller"]) == ("half", "libero")
    assert worst["mean"] < 0.5
    meant, wrong = (load_spec(tmp_path / "a", key) for key in ("goal", "half"))
    moved = drift(deploy_on(meant, LIBERO), deploy_on(wrong, LIBERO), ActionSample.from_stats(meant))
    assert worst["read"]["mm"] == pytest.approx(1000 * moved.mean_abs[:3].mean())
    assert worst["read"]["deg"] == pytest.approx(np.degrees(moved.mean_abs[3:6].mean()))


def test_the_gripper_is_told_apart_and_runs_through_the_client_of_the_right_key(tmp_path):
    late = action()
    late["q01"][6], late["q99"][6], late["mask"] = -3.0, 1.0, [True] * 7
    openvla(tmp_path / "a", {"goal": action(), "late": late})
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero")
    worst = pair_of(audit(tmp_path))
    # 0.5 on the way from -3 to 1 is emitted as 0.75, so that the quarter between 0.5 and that opens no more
    assert (worst["mean"], worst["read"]["mm"]) == (0, 0)
    assert worst["read"]["gripper"] == pytest.approx(0.25, abs=0.01)


def test_a_controller_that_fits_nothing_is_a_finding_and_one_that_fits_something_is_none(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    (finding,) = audit(tmp_path, controller="aloha").findings
    assert (finding.code, finding.severity, finding.target) == ("C9", "warning", str(tmp_path))
    assert finding.message.startswith("aloha cannot be what any key found here is sent to")
    assert "aloha takes 12 channels" in finding.evidence["a"]
    crossed = audit(tmp_path, controller="droid-joint_velocity")
    assert "channel 6 is the policy's gripper" in crossed.findings[0].message
    assert told(audit(tmp_path, controller="libero")) == []


def test_a_real_controller_reads_drift_in_millimetres(shared_registry):
    file, folder = shared_registry / "controllers/robosuite-v1.4/osc_pose.json", shared_registry / "robovlms"
    pair = audit(folder, controller=file).pairs[0]
    robot = load_controller(file)
    meant, wrong = (load_spec(folder / "oxe_dataset_stats", pair[side]) for side in ("intended", "executed"))
    moved = drift(Deployment(meant, robot), Deployment(wrong, robot), ActionSample.from_stats(meant))
    assert pair["read"]["mm"] == pytest.approx(1000 * moved.mean_abs[:3].mean())
    assert pair["read"]["mm"] < 1000 * 0.05 * np.mean(audit(folder).pairs[0]["mean_abs"][:3])  # it clips


def test_no_controller_changes_what_is_found(shared_registry):
    plain = told(audit(shared_registry))
    for name, moving in (("libero", 9), ("aloha", 1), ("droid-joint_velocity", 3)):
        report = audit(shared_registry, controller=name)
        assert told(report) == plain
        assert len(report.motions) == moving
        assert all(x is None or 0 <= x <= 1 for motion in report.motions for x in motion["saturation"])
