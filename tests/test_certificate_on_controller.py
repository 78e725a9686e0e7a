"""Certificates on a controller: everything is of what the robot does, and every spec runs under the right client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import certificates
import numpy as np
import pytest
from certificates import NOW, pair
from execspec_fast import ActionSample, drift, load_spec
from execspec_fast.certificates.certificate import certify
from execspec_fast.controller import at_rate
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.deployment import deploy
from execspec_fast.motion import saturation, summary
from registry import openvla


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return certificates.checkpoint(tmp_path)


def test_on_a_controller_everything_is_of_what_the_robot_does(checkpoint):
    certificate, goal, wide = pair(checkpoint, controller="libero")
    libero, contents = CONTROLLERS["libero"], certificate.contents
    found, robot = contents["comparisons"][0], contents["deployment"]
    assert contents["controller"] == libero.to_dict()
    assert contents["controller"]["sha256"] == ""  # not of a file
    assert [channel["unit"] for channel in found["channels"]] == ["m"] * 3 + ["rad"] * 3 + ["opening"]
    sample = ActionSample.from_stats(goal)
    meant, run = deploy(goal, libero), deploy(wide, libero)
    moved = drift(meant, run, sample)
    assert [channel["mean_abs"] for channel in found["channels"]] == moved.mean_abs.tolist()
    assert [channel["worst_case"] for channel in found["channels"]] == moved.worst_case.tolist()
    assert found["read"]["mm"] == pytest.approx(1000 * moved.mean_abs[:3].mean())
    assert found["mean"] == pytest.approx(np.mean([*moved.mean_abs[:3] / 0.05, *moved.mean_abs[3:6] / 0.5]))
    assert all(c["mean_abs_low"] <= c["mean_abs_high"] <= c["worst_case"] + 1e-12 for c in found["channels"])
    assert found["channels"][0]["scale"] == pytest.approx(1.5)  # of the actions, whatever the robot makes of them
    assert [channel["saturation"] for channel in found["channels"]] == [
        list(both) for both in zip(saturation(meant, sample), saturation(run, sample), strict=True)
    ]
    assert found["channels"][0]["saturation"][1] > 0
    assert robot["motion"] == summary(meant, sample).to_dict()
    assert found["deployment"]["motion"]["saturation"][0] == found["channels"][0]["saturation"][1]
    assert [row["code"] for row in robot["agreement"]] == [f"C{n}" for n in range(1, 10)]
    assert "step" in robot["client"][6]
    assert " rad, and eps is" in contents["verdict"]["reasons"][0]
    assert contents["limits"] is None
    assert pair(checkpoint)[0].semantic_digest != certificate.semantic_digest
    faster = pair(checkpoint, controller=at_rate(libero, 30.0, "here"))[0]
    assert faster.semantic_digest != certificate.semantic_digest
    renamed = replace(libero, name="copy")
    assert renamed.meaning == libero.meaning


def test_bounds_from_figures_hold_on_a_controller_too(checkpoint):
    """For 10,000 actions that have the published figures, clipped as the robot clips them."""
    block = json.loads((checkpoint / "dataset_statistics.json").read_text())["goal"]["action"]
    rng = np.random.default_rng(0)
    half = (np.array(block["max"]) - np.array(block["min"]))[:6] / 2
    arm = rng.choice([-1.0, 1.0], (10_000, 6)) * half * rng.uniform(0.2, 1.0, (10_000, 6))
    arm[0], arm[1] = half, -half
    for name, value in (("mean", arm.mean(0)), ("std", arm.std(0)), ("q01", np.quantile(arm, 0.01, axis=0)),
                        ("q99", np.quantile(arm, 0.99, axis=0)), ("min", arm.min(0)), ("max", arm.max(0))):  # fmt: skip
        block[name][:6] = value.tolist()
    wide = {**block, "q01": [3 * x for x in block["q01"]], "q99": [3 * x for x in block["q99"]]}
    goal, other = (load_spec(openvla(checkpoint / "law", {"goal": block, "wide": wide}), k) for k in ("goal", "wide"))
    actions = np.column_stack([arm, rng.integers(0, 2, 10_000)])
    sample = ActionSample.from_physical(actions, goal)
    (found,) = certify(goal, other, sample, controller="libero", now=NOW).contents["comparisons"]
    for channel in found["channels"][:6]:
        assert channel["mean_abs_low"] <= channel["mean_abs"] <= channel["mean_abs_high"]


def test_a_sibling_runs_under_the_client_of_the_intended_key(checkpoint):
    certificate = certify(load_spec(checkpoint, "goal"), now=NOW, controller="libero")
    clients = {str(each["deployment"]["client"]) for each in certificate.contents["comparisons"]}
    assert clients == {str(certificate.contents["deployment"]["client"])}
    text = certificate.to_markdown()
    assert "### On the controller libero" in text
    assert "mm per step" in text
    assert "| C5 | gripper |" in text


def test_clients_that_differ_are_part_of_the_drift_of_a_pair(checkpoint):
    """An Open-X key and one of a stack whose gripper is LIBERO's own: each runs under its own script."""
    goal = load_spec(checkpoint, "goal")
    bare = load_spec(f"{checkpoint}#goal@openpi-quantile")
    (found,) = certify(goal, bare, controller="libero", now=NOW).contents["comparisons"]
    assert (found["deployment"]["client"], found["conflicts"]) == (None, [])
    assert found["read"]["gripper"] > 0.4
    assert any("clients run different ops" in sentence for sentence in found["assumes"])
