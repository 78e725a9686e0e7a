"""Audit: every file accounted for, equal checkpoints told once, exit codes, and no false alarm on real files."""

from __future__ import annotations

import numpy as np
import pytest
from audits import audit, told
from execspec_fast.auditing.outcome import ExitCode
from execspec_fast.errors import ShapeMismatchError, TargetNotFoundError
from registry import action, openvla

PICKLE = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94."


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
