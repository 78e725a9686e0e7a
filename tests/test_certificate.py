"""Certificates: what they say, that they always have the same bytes, and that no edit of anything goes unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import certificates
import numpy as np
import pytest
from certificates import NOW, check, leaves, pair
from execspec_fast import Conventions, load_spec
from execspec_fast.certificates import wire
from execspec_fast.certificates.certificate import SCOPE, Certificate, certify, siblings_of
from execspec_fast.certificates.policy import Policy
from execspec_fast.certificates.wire import CertificateError, VerifyCode
from execspec_fast.client import libero_gripper
from execspec_fast.conventions import declared, inferred
from execspec_fast.errors import ExecSpecError, ShapeMismatchError, UnknownControllerError
from hypothesis import given
from hypothesis import strategies as st
from registry import action, openvla

FIXTURES = Path(__file__).parent / "fixtures" / "certificates"
SCHEMA = json.loads(Path(wire.__file__).with_name("certificate.schema.json").read_text())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return certificates.checkpoint(tmp_path)


# what it says


def test_a_pair_is_told_in_full(checkpoint):
    certificate, intended, executed = pair(checkpoint, limits=(-1.0, 1.0))
    found = certificate.contents["comparisons"][0]
    arm = found["channels"][0]
    assert certificate.verdict == "inequivalent"
    assert arm["scale"] == pytest.approx(1.5)
    assert arm["offset"] == pytest.approx(0.1)
    assert arm["mean_abs_low"] <= arm["mean_abs_high"] < arm["worst_case"] == pytest.approx(0.1 + 0.45 * 254 / 255)
    assert arm["saturation"][0] < arm["saturation"][1]
    assert found["channels"][6]["worst_case"] == 0
    for spec, stated in ((intended, certificate.contents["intended"]), (executed, found["executed"])):
        assert stated["digest"] == spec.digest
        assert {s["sha256"] for s in stated["sources"].values()} == {s.sha256 for s in spec.sources.values()}
    assert certificate.contents["scope"] == SCOPE
    assert "closed-loop" in SCOPE
    assert "hardware safety" in SCOPE
    assert certificate.contents["expires"] == "2026-07-01T03:04:05Z"


@pytest.mark.parametrize(
    ("executed", "policy", "verdict"),
    [
        ("copy", Policy(), "equivalent"),
        ("near", Policy(), "inequivalent"),
        ("near", Policy(eps_equivalent=0.01), "equivalent within eps"),
        ("copy", Policy(required=("frame",)), "undetermined: frame of the intended spec is unknown, and the policy"),
        ("copy", Policy(required=("gripper",)), "equivalent"),
    ],
)
def test_verdicts(checkpoint, executed, policy, verdict):
    assert pair(checkpoint, "goal", executed, policy=policy)[0].verdict.startswith(verdict)


def test_the_sum_of_all_epsilons_is_no_difference_to_a_robot(checkpoint):
    goal, oft = load_spec(f"{checkpoint}#goal"), load_spec(f"{checkpoint}#goal@openvla-oft")
    assert certify(goal, oft, now=NOW).verdict == "equivalent within eps"
    back = certify(oft, goal, now=NOW)  # OFT's head is unbounded, so its difference is too
    assert back.verdict == "inequivalent"
    assert back.contents["comparisons"][0]["channels"][0]["worst_case"] is None
    assert "infinite" in back.contents["comparisons"][0]["channels"][0]["undefined"]["worst_case"]
    assert certify(oft, goal, now=NOW, policy=Policy(sample_if_unbounded=True)).verdict == "equivalent within eps"


def test_conventions_that_are_no_maps_forbid_every_number(checkpoint):
    goal = load_spec(checkpoint, "goal")
    base, tool = (replace(goal, conventions=Conventions(frame=declared(x, "card"))) for x in ("base", "tool"))
    certificate = certify(base, tool, now=NOW)
    channel = certificate.contents["comparisons"][0]["channels"][0]
    assert certificate.verdict == "inequivalent"
    assert "frame" in certificate.contents["verdict"]["reasons"][0]
    assert {channel[name] for name in ("scale", "mean_abs", "worst_case", "mean_abs_high")} == {None}
    assert all("frame" in reason for reason in channel["undefined"].values())


def test_client_ops_count(checkpoint):
    goal = load_spec(checkpoint, "goal")
    certificate = certify(goal, replace(goal, post=libero_gripper(7, (6,))), now=NOW)
    found = certificate.contents["comparisons"][0]
    assert certificate.verdict == "inequivalent"
    # 1 where 0 was meant, and -1 where 1 was, whatever the sample; it is a map, and no conflict
    assert found["channels"][6]["worst_case"] == pytest.approx(2, abs=0.01)
    assert found["channels"][6]["mean_abs"] > 1
    assert found["conflicts"] == []
    assert any("clients run different ops" in sentence for sentence in found["assumes"])


def test_a_spec_against_its_siblings(checkpoint):
    goal = load_spec(checkpoint, "goal")
    certificate = certify(goal, now=NOW)
    keys = [each["executed"]["key"] for each in certificate.contents["comparisons"]]
    assert keys == ["near", "wide"]  # `mm` is in another unit, `copy` is no other spec
    assert keys[certificate.contents["nearest"]] == "near"
    assert certificate.contents["verdict"]["reasons"][0].startswith("wide: ")
    backwards = certify(goal, siblings=siblings_of(goal)[::-1], now=NOW)
    assert backwards.to_json() == certificate.to_json()
    assert certify(goal, siblings=(), now=NOW).verdict == "undetermined: there is no plausible sibling to compare with"


def test_siblings_are_only_read_where_the_spec_came_from(checkpoint, tmp_path):
    elsewhere = openvla(tmp_path / "other", {"goal": action(1.2)})
    with pytest.raises(ExecSpecError, match="do not publish"):
        certify(replace(load_spec(checkpoint, "goal"), path=str(elsewhere)), now=NOW)


def test_the_semantic_digest_is_blind_to_places_and_sees_what_a_spec_does(checkpoint, tmp_path):
    certificate, *_ = pair(checkpoint)
    block = json.loads((checkpoint / "dataset_statistics.json").read_text())
    moved = openvla(tmp_path / "moved", {"a": block["goal"]["action"], "b": block["wide"]["action"]}, "config.json")
    other = certify(load_spec(moved, "a"), load_spec(moved, "b"), now=NOW + timedelta(days=9))
    assert other.semantic_digest == certificate.semantic_digest
    assert other.digest != certificate.digest
    assert pair(checkpoint, "goal", "near")[0].semantic_digest != certificate.semantic_digest
    assert pair(checkpoint, policy=Policy(1e-3))[0].semantic_digest != certificate.semantic_digest


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"now": datetime(2026, 1, 1)}, ExecSpecError, "no zone"),
        ({"valid_days": 0}, ExecSpecError, "valid_days"),
        ({"siblings": ()}, ExecSpecError, "not both"),
        ({"sample": np.zeros((3, 6))}, ShapeMismatchError, "sample 6"),
        ({"limits": (1.0, -1.0)}, ExecSpecError, "no finite range"),
        ({"limits": (-np.ones(3), 1.0)}, ShapeMismatchError, "7 channels"),
        ({"limits": (-1.0, 1.0), "controller": "libero"}, ExecSpecError, "not both"),
        ({"controller": "aloha"}, ShapeMismatchError, "aloha takes 12 channels"),
        ({"controller": "libreo"}, UnknownControllerError, "libreo"),
    ],
)
def test_what_is_refused(checkpoint, options, error, words):
    goal = load_spec(checkpoint, "goal")
    with pytest.raises(error, match=words):
        certify(goal, goal, **{"now": NOW, **options})


@pytest.mark.parametrize("bad", [{"eps_equivalent": -1.0}, {"eps_equivalent": np.nan}, {"required": ("colour",)}])
def test_policies_that_are_refused(bad):
    with pytest.raises(ExecSpecError):
        Policy(**bad)


def test_another_width_is_refused(checkpoint, tmp_path):
    short = {name: x[:6] if isinstance(x, list) else x for name, x in action().items()}
    with pytest.raises(ShapeMismatchError, match=r"7 channels and .* 6"):
        certify(load_spec(checkpoint, "goal"), load_spec(openvla(tmp_path / "six", {"goal": short})), now=NOW)


def test_markdown_says_it_to_people_and_stays_text(tmp_path):
    hostile = "a|b\n# [x](javascript:1) <img> `c` \x1b[31m"
    checkpoint = openvla(tmp_path / "c", {"goal": action(), hostile: action(1.5)})
    text = certify(load_spec(checkpoint, "goal"), limits=(-1, 1), now=NOW).to_markdown()
    assert "**Verdict: inequivalent.**" in text
    assert SCOPE in text
    assert "<img>" not in text
    assert "\x1b" not in text
    assert "\n# [x]" not in text
    rows = [line.replace(r"\|", "") for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows if row.startswith("| 0 |") or row.startswith("| channel")}) == 1


# bytes


def test_reading_and_writing_gives_the_same_bytes(checkpoint):
    certificate, *_ = pair(checkpoint, limits=(-0.0, 1.0))
    data = certificate.to_json()
    assert Certificate.from_json(data).to_json() == data == pair(checkpoint, limits=(-0.0, 1.0))[0].to_json()
    assert data.endswith(b"}\n")
    assert b"-0.0" in data
    assert json.loads(data)["digest"] == certificate.digest == certificate.to_dict()["digest"]
    local = certify(load_spec(checkpoint, "goal"), now=NOW.astimezone(timezone(timedelta(hours=5))))
    assert local.contents["issued"] == "2026-01-02T03:04:05Z"


@given(value=st.floats(allow_nan=False, allow_infinity=False), name=st.text())
def test_any_number_and_any_name_survive(value, name):
    data = wire.encode({"format": wire.FORMAT, "x": value, "name": name})
    back = json.loads(data)
    assert np.array(back["x"]).tobytes() == np.array(value).tobytes()
    assert wire.encode(back) == data


def test_every_byte_counts(checkpoint):
    """Change, drop or repeat any one byte: the certificate is called edited."""
    certificate, *specs = pair(checkpoint)
    data = certificate.to_json()
    rng = np.random.default_rng(0)
    for at in range(len(data)):
        other = bytes([(data[at] + int(rng.integers(1, 256))) % 256])
        for edited in (data[:at] + other + data[at + 1 :], data[:at] + data[at + 1 :], data[:at] + b" " + data[at:]):
            with pytest.raises(CertificateError) as caught:
                wire.decode(edited, "c.json")
            assert caught.value.code == VerifyCode.EDITED
    assert check(data[:-1], *specs).code == VerifyCode.EDITED
    assert check(data, *specs).ok


# schema versions


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.json")), ids=lambda file: file.stem)
def test_certificates_of_every_schema_version_are_read(file):
    certificate = Certificate.from_json(file.read_bytes(), str(file))
    assert certificate.to_json() == file.read_bytes()
    assert certificate.verdict.startswith(file.stem.split("-")[0])
    assert SCOPE in certificate.to_markdown()


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.json")), ids=lambda file: file.stem)
def test_certificates_of_every_schema_version_verify(file, tmp_path, monkeypatch):
    """The files that they were made from have been written anew since, in the same words."""
    monkeypatch.chdir(tmp_path)
    certificates.checkpoint(Path())
    stated = json.loads(file.read_text())
    names = [stated["intended"]["name"], *(each["executed"]["name"] for each in stated["comparisons"])]
    if stated["sample"]["kind"] == "given":
        assert check(file, *names).code == VerifyCode.MISSING
        return
    found = check(file, *names)
    assert found.code in (VerifyCode.OK, VerifyCode.DIFFERS)
    assert not [d for d in found.differences if not d.pointer.endswith("/sha256")]


def test_there_is_a_fixture_of_every_schema_version():
    versions = {json.loads(file.read_text())["schema_version"] for file in FIXTURES.glob("*.json")}
    assert versions == set(range(1, wire.SCHEMA_VERSION + 1))


def test_the_schema_is_json_schema(checkpoint):
    """Our small checker and the standard's own agree, on what passes and on what does not."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    certificate, *_ = pair(checkpoint)
    assert validator.is_valid(certificate.to_dict())
    for path, _ in leaves(certificate.contents):
        for wrong in ("x", None, {}):
            contents = {**json.loads(json.dumps(certificate.contents)), "digest": "0" * 64}
            place: Any = contents
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = wrong
            assert validator.is_valid(contents) == (not list(wire.problems(contents, SCHEMA))), (path, wrong)


def test_an_inferred_convention_is_no_conflict(checkpoint):
    goal = load_spec(checkpoint, "goal")
    guessed = replace(goal, conventions=Conventions(frame=inferred("tool", "a rule")))
    based = replace(goal, conventions=Conventions(frame=declared("base", "card")))
    certificate = certify(based, guessed, now=NOW)
    assert certificate.verdict == "equivalent"
    assumes = certificate.contents["comparisons"][0]["assumes"]
    assert any("frame is base as intended" in sentence for sentence in assumes)
