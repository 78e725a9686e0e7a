"""Deployments: bound to the key that is meant, judged by name, and never passed by accident."""

from __future__ import annotations

import numpy as np
import pytest
from audits import audit, deploy, told
from execspec_fast import load_spec
from execspec_fast.auditing import siblings
from execspec_fast.auditing.outcome import ExitCode
from execspec_fast.cli.paper import Paper
from execspec_fast.cli.report import verdict
from execspec_fast.errors import FormatError, UnknownControllerError
from registry import action, openvla


def test_a_deployment_binds_the_intended_key(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(1.5)})
    digest = load_spec(f"{tmp_path}/a#goal").digest
    deploy(tmp_path, checkpoint="a", key="goal", max_drift=5.0, digest=digest)
    report = audit(tmp_path)
    (verdict,) = report.deployments
    assert (verdict["verdict"], verdict["reasons"], verdict["digest"]) == ("PASS", [], digest)
    assert (report.rows[0].intended, report.rows[0].bound_by) == ("goal", "deployment arm")
    assert (report.rows[0].siblings["worst"]["executed"], report.exit_code) == ("spatial", ExitCode.OK)


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"key": "gaol"}, "K1", "nearest: 'goal'"),
        ({"key": "gоal"}, "K1", "nearest: 'goal'"),  # a Cyrillic о
        ({"key": "base"}, "K1", "does not read here has it"),
        ({"digest": "0" * 64}, "P1", "is not the pinned 000000000000"),
        ({"max_drift": 0.01}, "K2", "executing 'base' instead drifts by"),
        ({"profile": "openpi-zcore"}, "S7", "openpi-zcore"),
    ],
)
def test_a_deployment_fails(tmp_path, fields, code, words):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(1.5)})
    openvla(tmp_path / "a", {"base": action(3.0)}, "config.json")
    deploy(tmp_path, **{"checkpoint": "a", "key": "goal", **fields})
    report = audit(tmp_path)
    (verdict,) = report.deployments
    (finding,) = [f for f in report.findings if f.severity == "error"]
    assert (verdict["verdict"], finding.code, report.exit_code) == ("FAIL", code, ExitCode.FINDINGS)
    assert words in verdict["reasons"][0]
    assert finding.message == f"deployment arm: {verdict['reasons'][0]}"


def test_max_drift_is_a_strict_bound(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(1.5)})
    deploy(tmp_path, checkpoint="a", key="goal")
    drift = audit(tmp_path).deployments[0]["siblings"]["worst"]["mean"]
    for max_drift, word in ((drift, "FAIL"), (drift * (1 + 1e-9), "PASS")):
        deploy(tmp_path, checkpoint="a", key="goal", max_drift=max_drift)
        assert audit(tmp_path).deployments[0]["verdict"] == word


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"mm": 100.0}, ""),
        ({"mm": 5.0, "deg": 90.0}, "executing 'wide' instead drifts by 8.966 mm, which is not below 5 mm"),
        ({"mm": 90.0, "deg": 0.5}, "executing 'turn' instead drifts by 3.638 deg, which is not below 0.5 deg"),
        ({"gripper": 0.1}, ""),
        ({"deg/s": 9.0}, "max_drift is in deg/s, and no controller is known that makes deg/s of this action"),
    ],
)
def test_a_limit_by_unit_is_of_the_robot_s_motion(tmp_path, limits, reason):
    """Each limit is held against the key that comes nearest to it, whichever is worst over all channels."""
    turn = action()
    for name in ("q01", "q99"):
        turn[name][3:6] = [2 * x for x in turn[name][3:6]]
    openvla(tmp_path / "a", {"goal": action(), "wide": action(1.5), "turn": turn})
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero", max_drift=limits)
    (judged,) = audit(tmp_path).deployments
    assert (judged["verdict"], judged["max_drift"]) == ("FAIL" if reason else "PASS", limits)
    assert reason in "".join(judged["reasons"])


def test_a_limit_by_unit_wants_a_controller(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "wide": action(1.5)})
    deploy(tmp_path, checkpoint="a", key="goal", max_drift={"mm": 5.0})
    (judged,) = audit(tmp_path).deployments
    assert judged["verdict"] == "FAIL"
    assert "no controller is known that makes mm of this action" in judged["reasons"][0]
    assert audit(tmp_path, controller="libero").deployments[0]["reasons"][0].startswith("executing 'wide' instead")


@pytest.mark.parametrize("digits", [12, 13, 64])
def test_a_digest_is_pinned_by_its_beginning(tmp_path, digits):
    openvla(tmp_path / "a", {"goal": action()})
    digest = load_spec(f"{tmp_path}/a#goal").digest
    deploy(tmp_path, checkpoint="a", key="goal", digest=digest[:digits])
    assert audit(tmp_path).deployments[0]["verdict"] == "PASS"
    last = "0" if digest[digits - 1] != "0" else "1"
    deploy(tmp_path, checkpoint="a", key="goal", digest=digest[: digits - 1] + last)
    (reason,) = audit(tmp_path).deployments[0]["reasons"]
    shown, pinned = reason.removeprefix("digest ").split(" is not the pinned ")
    assert shown != pinned
    assert (digest.startswith(shown), pinned.endswith(last)) == (True, True)


def test_a_deployments_profile_runs_its_siblings_too(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(1.5)})
    deploy(tmp_path, checkpoint="a", key="goal", profile="openpi-zscore")
    (verdict,) = audit(tmp_path).deployments
    assert verdict["profile"] == "openpi-zscore"
    assert verdict["digest"] == load_spec(f"{tmp_path}/a#goal@openpi-zscore").digest
    # std is a fifth of the range, so the wrong key stretches a normal law: E|z| = sqrt(2 / pi) of 0.5 std per channel
    std = np.array(action()["std"][:6])
    assert verdict["siblings"]["worst"]["mean"] < std.mean()


def test_a_deployment_from_nowhere_fails(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    deploy(tmp_path, checkpoint="lost", key="goal")
    report = audit(tmp_path)
    assert report.deployments[0]["verdict"] == "FAIL"
    assert told(report)[0][:2] == ("K1", "error")
    assert audit(tmp_path / "a", config=tmp_path / "execspec.toml").exit_code == ExitCode.FINDINGS


def test_a_deployment_outside_the_target_is_judged_too(tmp_path):
    openvla(tmp_path / "registry" / "a", {"goal": action()})
    outside = openvla(tmp_path / "b", {"goal": action()})
    deploy(tmp_path / "registry", checkpoint="../b", key="goal")
    report = audit(tmp_path / "registry")
    assert report.deployments[0]["verdict"] == "PASS"
    assert report.deployments[0]["checkpoint"] == str(outside)
    assert f"{outside}/dataset_statistics.json" in [file["path"] for file in report.files]


def test_several_deployments_of_one_checkpoint(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(1.5), "object": action(4.0)})
    entries = "".join(f'[[deployment]]\nname = "{k}"\ncheckpoint = "a"\nkey = "{k}"\n' for k in ("object", "spatial"))
    (tmp_path / "execspec.toml").write_text(entries)
    report = audit(tmp_path)
    assert [verdict["name"] for verdict in report.deployments] == ["object", "spatial"]
    assert report.rows[0].bound_by == "deployment object"  # the one that could drift furthest


def test_a_broken_configuration_is_an_error_of_usage(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    deploy(tmp_path, checkpoint="a", key="goal", controller="lost.json")
    with pytest.raises(UnknownControllerError, match=r"lost\.json"):
        audit(tmp_path)
    deploy(tmp_path, checkpoint="a", kye="goal")
    with pytest.raises(FormatError):
        audit(tmp_path)


def deployed(root, **fields):
    deploy(root, checkpoint="ckpt", **fields)
    return audit(root)


def test_keys_that_nobody_ranked_do_not_pass_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(siblings, "MANY", 2)
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1), "c": action(1.2)})
    (judged,) = deployed(tmp_path, key="a", max_drift=0.001).deployments
    assert judged["verdict"] == "FAIL"
    assert "too many to rank" in judged["reasons"][0]
    assert deployed(tmp_path, key="a").deployments[0]["verdict"] == "PASS"


def test_errors_under_fail_on_never_are_no_pass(tmp_path):
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1)})
    deployed(tmp_path, key="lost")
    report = audit(tmp_path, fail_on="never")
    assert report.exit_code == 0
    assert verdict(report, Paper()).startswith("NOT GATED: 1 error")


def test_repo_and_revision_of_a_cache_are_told(tmp_path):
    repo = tmp_path / "models--org--vla"
    (repo / "blobs").mkdir(parents=True)
    openvla(tmp_path / "plain", {"a": action()})
    (tmp_path / "plain" / "dataset_statistics.json").rename(repo / "blobs" / "f00d")
    (repo / "snapshots" / "0123abc").mkdir(parents=True)
    (repo / "snapshots" / "0123abc" / "dataset_statistics.json").symlink_to("../../blobs/f00d")
    rows = [row for row in audit(repo).rows if row.keys]
    assert [row.repos for row in rows] == [("org/vla@0123abc",)]


@pytest.mark.parametrize(("key", "code"), [("a", 0), ("lost", 1)])
def test_the_exit_code_follows(tmp_path, key, code):
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1)})
    assert deployed(tmp_path, key=key).exit_code == code
