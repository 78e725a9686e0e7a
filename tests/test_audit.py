"""Audit: every file accounted for, every deployment judged, equal checkpoints told once, the same answer every way."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from execspec_fast import audit as audit_function
from execspec_fast import load_spec
from execspec_fast.auditing import batch, cache
from execspec_fast.auditing.outcome import ExitCode
from execspec_fast.cli.report import as_json
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN
from execspec_fast.errors import (
    ExecSpecError,
    FormatError,
    ShapeMismatchError,
    TargetNotFoundError,
    UnknownControllerError,
)
from execspec_fast.formats.tree import Tree
from registry import action, openvla

PICKLE = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94."


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def audit(path, *arguments, cache=False, **named):
    return audit_function(path, *arguments, cache=cache, **named)


def deploy(root, **fields):
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"name": "arm", **fields}.items()]
    (root / "execspec.toml").write_text("\n".join(["[[deployment]]", *lines]))


def told(report):
    return [(f.code, f.severity, f.target) for f in report.findings]


# Rows


def test_rows_are_worst_first_and_equal_checkpoints_share_one(tmp_path):
    two = {"goal": action(), "spatial": action(1.5)}
    for name in ("a", "b", "c"):
        openvla(tmp_path / name, two)
    openvla(tmp_path / "broken", {"goal": action(q01=[9.0] * 7)})
    openvla(tmp_path / "far", {"goal": action(), "spatial": action(4.0)})
    report = audit(tmp_path)
    assert [(row.severity, row.targets) for row in report.rows] == [
        ("error", ("broken",)),
        ("note", ("far",)),
        ("note", ("a", "b", "c")),
    ]
    alike = report.rows[-1]
    assert (alike.keys, alike.intended, alike.bound_by) == (2, None, "unknown")
    assert alike.siblings["nearest"]["executed"] in two
    assert report.rows[0].bound_by == "only key"


def test_a_sibling_of_an_unknown_intended_key_is_no_finding(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0), "millimetres": action(1000.0)})
    report = audit(tmp_path, fail_on="note")
    assert (told(report), report.exit_code) == ([], ExitCode.OK)
    assert report.rows[0].siblings["worst"]["mean"] < 10  # the unit error is counted, not ranked
    assert (report.rows[0].siblings["plausible"], report.rows[0].siblings["implausible"]) == (2, 4)


def test_a_drift_names_its_sample_and_unit(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0)})
    (pair, _) = audit(tmp_path).pairs
    assert "quantiles" in pair["sample"]
    assert list(pair["read"]) == ["controller units"]
    actions = np.random.default_rng(0).uniform(-0.2, 0.2, (50, 7))
    nearest, worst = audit(tmp_path, actions).pairs
    assert "50 actions" in nearest["sample"]
    size = np.abs(actions[:, :6]).mean()  # half the scale is off by half of the action, twice the scale by all of it
    assert [nearest["mean"], worst["mean"]] == pytest.approx([size / 2, size])


def test_actions_that_fit_no_key_are_refused(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    with pytest.raises(ShapeMismatchError, match="8 channels, while the keys found here have 7"):
        audit(tmp_path, np.zeros((5, 8)))


def test_shadowed_keys_are_siblings(tmp_path):
    openvla(tmp_path / "a", {"mine": action()})
    openvla(tmp_path / "a", {"base": action(2.0)}, "config.json")
    (row,) = audit(tmp_path).rows
    assert (row.keys, row.shadowed, row.intended) == (1, 1, "mine")
    assert (row.siblings["worst"]["executed"], row.siblings["worst"]["shadowed"]) == ("base", True)


def test_one_key_that_is_two_maps_in_two_checkpoints(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0)})
    openvla(tmp_path / "b", {"goal": action(1.1), "spatial": action(2.0)})
    assert told(audit(tmp_path)) == [("K2", "note", "a#goal"), ("K2", "note", "b#goal")]
    openvla(tmp_path / "b", {"goal": action(), "spatial": action(2.0)})
    assert told(audit(tmp_path)) == []


def test_a_name_that_chooses_nothing_is_no_homonym(tmp_path):
    openvla(tmp_path / "a", {"action": action()})
    openvla(tmp_path / "b", {"action": action(1.1)})
    assert told(audit(tmp_path)) == []


def test_unknown_gripper_is_said_where_a_mean_is_told(tmp_path):
    block = {name: values for name, values in action().items() if name in ("q01", "q99")}
    other = {name: [2 * x for x in values] for name, values in block.items()}
    openvla(tmp_path / "a", {"goal": {**block, "mask": [True] * 7}, "spatial": {**other, "mask": [True] * 7}})
    assert told(audit(tmp_path)) == [("C5", "note", "a")]


# Files and exit codes


def test_every_file_has_one_record(tmp_path):
    openvla(tmp_path / "a", {"goal": action()})
    (tmp_path / "a" / "README.md").write_text("x")
    (tmp_path / "empty.json").touch()
    assert [file["path"] for file in audit(tmp_path).files] == [
        "a/README.md",
        "a/dataset_statistics.json",
        "empty.json",
    ]


def test_exit_codes(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    assert audit(tmp_path).exit_code == ExitCode.NOTHING
    openvla(tmp_path / "a", {"goal": action()})
    assert audit(tmp_path).exit_code == ExitCode.OK
    (tmp_path / "dataset_stats.pkl").write_bytes(PICKLE)
    assert audit(tmp_path).exit_code == ExitCode.INCOMPLETE
    openvla(tmp_path / "b", {"goal": action(std=[9.0] * 7)})
    assert audit(tmp_path).exit_code == ExitCode.INCOMPLETE
    assert audit(tmp_path, fail_on="warning").exit_code == ExitCode.FINDINGS
    openvla(tmp_path / "c", {"goal": action(q01=[9.0] * 7)})
    assert audit(tmp_path).exit_code == ExitCode.FINDINGS
    assert audit(tmp_path, fail_on="never").exit_code == ExitCode.INCOMPLETE
    with pytest.raises(TargetNotFoundError):
        audit(tmp_path / "typo")


def test_a_key_that_cannot_run_is_told_once(tmp_path):
    openvla(tmp_path / "a", {"goal": {"min": [0.0] * 7, "max": [1.0] * 7, "mask": [True] * 7}})
    report = audit(tmp_path)
    assert told(report) == [("S7", "error", "a#goal")]
    assert (report.rows[0].siblings, report.specs) == (None, ())
    openvla(tmp_path / "a", {"goal": action(), "bounds": {"min": [0.0] * 7, "max": [1.0] * 7, "mask": [True] * 7}})
    assert told(audit(tmp_path)) == [("S7", "warning", "a#bounds")]  # loud when asked for, and others can run


# Deployments


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
    for max_drift, verdict in ((drift, "FAIL"), (drift * (1 + 1e-9), "PASS")):
        deploy(tmp_path, checkpoint="a", key="goal", max_drift=max_drift)
        assert audit(tmp_path).deployments[0]["verdict"] == verdict


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


# Controllers


def test_a_deployment_tells_how_its_controller_moves(tmp_path):
    openvla(tmp_path / "a", {"goal": action(1.25), "spatial": action(0.5)})
    deploy(tmp_path, checkpoint="a", key="goal", controller="libero")
    report = audit(tmp_path)
    (verdict,) = report.deployments
    motion = verdict["motion"]
    assert (verdict["verdict"], motion["controller"], motion["rate"]) == ("PASS", "libero", 20.0)
    # channel 0 goes to 1.125 at u = 1, the outermost token is 254/255, and both tails lie outside the input range
    assert motion["saturation"][0] == pytest.approx(1 - 0.98 / (1.125 * 254 / 255))
    assert motion["motion"][6] == 1.0  # OpenVLA's script turns [0, 1] into open and closed for LIBERO
    assert {row["code"]: row["outcome"] for row in verdict["agreement"]}["C5"] == "agree"
    assert told(report) == [("C0", "note", "a#goal")]
    assert report.rows[0].motion is None  # its deployment tells it
    assert set(report.pairs[0]["read"]) == {"mm/s", "deg/s"}


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


# The same answer every way


@pytest.fixture
def several(tmp_path):
    for n in range(5):
        openvla(tmp_path / f"c{n}", {"goal": action(1 + n / 10), "spatial": action(2.0)})
    deploy(tmp_path, checkpoint="c1", key="goal", max_drift=0.5)
    return tmp_path


def test_processes_change_nothing(several, monkeypatch):
    one = audit(several).to_dict()
    monkeypatch.setattr(batch, "CHUNK", 2)
    assert audit(several, jobs=2).to_dict() == one


def test_the_cache_changes_nothing_but_the_work(several, monkeypatch):
    first = as_json(audit(several, cache=True).to_dict())
    monkeypatch.setattr(batch, "inspect", None)
    assert as_json(audit(several, cache=True).to_dict()) == first


@pytest.mark.parametrize("change", ["content", "place", "actions", "controller", "deployment", "tool"])
def test_whatever_an_answer_depends_on_is_a_miss(several, change, monkeypatch):
    audit(several, cache=True)
    inspected = []
    inspect = batch.inspect
    monkeypatch.setattr(batch, "inspect", lambda folder, *rest: inspected.append(folder.path) or inspect(folder, *rest))
    actions = controller = None
    expected = ["c1"]
    if change == "content":
        openvla(several / "c1", {"goal": action(3.0), "spatial": action(2.0)})
    elif change == "place":
        shutil.move(several / "c1", several / "moved")
        deploy(several, checkpoint="moved", key="goal", max_drift=0.5)
        expected = ["moved"]
    elif change == "actions":
        actions, expected = np.zeros((3, 7)), ["c0", "c1", "c2", "c3", "c4"]
    elif change == "controller":  # which reads the gripper in another way, and no scale
        audit(several, controller="robosuite-1.4-osc_pose", cache=True)
        inspected.clear()
        unknown = replace(CONTROLLERS["robosuite-1.4-osc_pose"], gripper=UNKNOWN)
        controller, expected = unknown, ["c0", "c1", "c2", "c3", "c4"]
    elif change == "deployment":
        deploy(several, checkpoint="c1", key="goal", max_drift=0.6)
    else:
        monkeypatch.setattr(cache, "tool_digest", lambda: "newer")
        expected = ["c0", "c1", "c2", "c3", "c4"]
    audit(several, actions, controller=controller, cache=True)
    assert [path for path in inspected if path != "."] == expected


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\x00" + b"\xff" * 5000, b""])
def test_a_damaged_cache_is_a_miss_and_recovers(several, damage, monkeypatch):
    first = audit(several, cache=True).to_dict()
    cache.default_path().write_bytes(damage)
    assert audit(several, cache=True).to_dict() == first
    assert audit(several, cache=True).to_dict() == first
    monkeypatch.setattr(batch, "inspect", None)
    assert audit(several, cache=True).to_dict() == first


def test_a_cache_that_cannot_be_written_is_no_error(several, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")
    assert audit(several, cache=True).to_dict() == audit(several).to_dict()


def test_large_files_are_told_apart_without_reading_them(tmp_path, monkeypatch):
    weights = tmp_path / "model.bin"
    monkeypatch.setattr(cache, "HASHED", 50)
    monkeypatch.setattr("execspec_fast.formats.tree.File.read", None)
    keys = set()
    for content in (b"\0" * 100, b"\1" * 101):
        weights.write_bytes(content)
        keys |= {cache.key_of(Tree(tmp_path).folders[0], []) for _ in range(2)}
    assert len(keys) == 2


# Real checkpoints


def test_false_alarms_on_real_checkpoints(shared_registry):
    """Every warning and error is a true one, by eye: an incomplete copy, or two copies that disagree."""
    report = audit(shared_registry)
    loud = {(f.target.partition("#")[0], f.code, f.severity) for f in report.findings if f.severity != "note"}
    assert loud == {
        ("lerobot/libero-act", "S1", "error"),  # its state file was never stored
        ("lerobot/groot-lerobot-policy", "S1", "warning"),  # only config.json was stored
        ("lerobot/record-test-so101/derived", "S1", "warning"),  # tensors without their pipeline
        ("mantis/mantis-norm-stats", "S7", "warning"),  # three keys with min and max only
        ("openpi/acot-vla", "P2", "warning"),
        ("openpi/b1k-challenge", "P2", "warning"),
        ("gr00t/gr1.PickNPlace", "S4", "warning"),  # a hand whose range is 18 times its quantiles'
        ("rdt/rdt-1b", "S5", "warning"),  # a gripper whose std is larger than its bounds allow, on three keys
    }
    assert len(report.files) == sum(1 for path in shared_registry.rglob("*") if path.is_file())


def test_a_real_controller_reads_drift_in_millimetres(shared_registry):
    controller = shared_registry / "controllers" / "robosuite-v1.4" / "osc_pose.json"
    report = audit(shared_registry / "robovlms", controller=controller, rate=5.0)
    assert set(report.pairs[0]["read"]) == {"mm/s", "deg/s"}
    plain = audit(shared_registry / "robovlms").pairs[0]
    assert report.pairs[0]["read"]["mm/s"] == pytest.approx(1000 * 0.05 * 5 * np.mean(plain["mean_abs"][:3]))


def test_no_controller_changes_what_is_found(shared_registry):
    plain = told(audit(shared_registry))
    for name, moving in (("libero", 9), ("aloha", 1), ("droid-joint_velocity", 11)):
        report = audit(shared_registry, controller=name)
        assert told(report) == plain
        assert len(report.motions) == moving
        assert all(x is None or 0 <= x <= 1 for motion in report.motions for x in motion["saturation"])
