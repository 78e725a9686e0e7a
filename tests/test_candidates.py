"""What it costs not to know the profile: told where it is noticeable, quiet where profiles are as good as one."""

from __future__ import annotations

import json

import pytest
from execspec_fast import load_spec
from execspec_fast.auditing.candidates import candidates, undecided
from execspec_fast.sample import ActionSample
from registry import action, openvla


@pytest.fixture
def pi(tmp_path):
    place = tmp_path / "ckpt" / "assets" / "arm"
    place.mkdir(parents=True)
    figures = {"mean": [0.0] * 7, "std": [0.1] * 7, "q01": [-1.0] * 7, "q99": [1.0] * 7}
    (place / "norm_stats.json").write_text(json.dumps({"norm_stats": {"actions": figures}}))
    return load_spec(tmp_path / "ckpt")


def test_another_formula_is_a_noticeable_cost(pi):
    (one,) = candidates(pi, ActionSample.uniform(7))
    assert one.profile == "openpi-zscore"
    assert one.mean == pytest.approx(0.45, rel=1e-5)  # E|0.1 u - u| of u uniform on [-1, 1]
    assert one.share == pytest.approx(0.225, rel=1e-5)
    (finding,) = undecided("ckpt", [pi], lambda spec: ActionSample.uniform(7))
    assert (finding.code, finding.severity) == ("T1", "note")
    assert "openpi-zscore, which fits the files too, would drift 0.45, 22% of the range" in finding.message


def test_a_named_profile_has_no_candidates(pi):
    assert not list(candidates(pi.with_profile("openpi-zscore"), ActionSample.uniform(7)))


def test_an_epsilon_is_not_worth_a_note(tmp_path):
    spec = load_spec(openvla(tmp_path / "ckpt", {"goal": action()}))
    assert "openvla-oft" in {one.profile for one in candidates(spec, ActionSample.uniform(7))}
    assert not list(undecided("ckpt", [spec], lambda spec: ActionSample.uniform(7)))


def test_what_moves_the_gripper_alone_is_told(tmp_path):
    """nora scales the masked channel too: 0.5 (u + 1), where OpenVLA passes u."""
    spec = load_spec(openvla(tmp_path / "nora", {"goal": action()}))
    (one,) = candidates(spec, ActionSample.uniform(7))
    assert (one.profile, one.mean) == ("openvla", 0.0)
    assert one.gripper == pytest.approx(0.5)  # E|0.5 (u + 1) - u| = 0.5 of u uniform on [-1, 1], of a range of 1
    (finding,) = undecided("nora", [spec], lambda spec: ActionSample.uniform(7))
    assert "would drift 0, 0% of the range; the gripper by 50% of its own" in finding.message


def test_a_gripper_behind_a_step_is_said_to_be_unknown(tmp_path):
    """CogACT makes it binary: no figure says which `u` there were, and OpenVLA passes each."""
    spec = load_spec(openvla(tmp_path / "cogact", {"goal": action()}))
    (one,) = candidates(spec, ActionSample.from_stats(spec))
    assert (one.profile, one.mean, one.unmeasured) == ("openvla", 0.0, True)
    assert str(one) == "drift 0, 0% of the range; the gripper's own is not known"
    (known,) = candidates(load_spec(openvla(tmp_path / "nora", {"goal": action()})), ActionSample.uniform(7))
    assert not known.unmeasured


def test_a_candidate_that_cannot_run_says_why(pi):
    from dataclasses import replace

    (one,) = candidates(replace(pi, alternatives=("lerobot-min_max",)), ActionSample.uniform(7))
    assert "min" in one.reason
    assert one.to_dict()["mean"] is None
