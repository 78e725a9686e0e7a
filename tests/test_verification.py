"""Verifying: no edit of a certificate or of what it is about goes unseen, and each outcome has its own code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import certificates
import numpy as np
import pytest
from certificates import NOW, changed, check, leaves, pair
from execspec_fast import ActionSample, load_spec
from execspec_fast.certificates import wire
from execspec_fast.certificates.certificate import Certificate, certify, siblings_of
from execspec_fast.certificates.verification import NOT_COMPARED, PLACES
from execspec_fast.certificates.wire import VerifyCode
from execspec_fast.controller import GIVEN, at_rate
from execspec_fast.controllers import CONTROLLERS
from registry import action, openvla

FILE = ("controller", "sha256")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return certificates.checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("options", "parts", "least"),
    [
        ({"limits": (-1.0, 1.0)}, None, 150),
        ({"controller": "libero"}, {"controller", "deployment", "motion", "unit", "read"}, 100),
    ],
    ids=["limits", "controller"],
)
def test_every_field_counts_even_where_the_digest_is_made_anew(checkpoint, options, parts, least):
    """On a controller, those fields that are not there without one."""
    certificate, *specs = pair(checkpoint, **options)
    seen = 0
    for path, value in leaves(certificate.contents):
        if parts and (parts.isdisjoint(path) or path[:4] == ("comparisons", 0, "deployment", "agreement")):
            continue
        if path[0] in NOT_COMPARED or (path[-1] in PLACES and path[-2] in ("intended", "executed")):
            continue
        contents = json.loads(json.dumps(certificate.contents))
        place = contents
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = changed(value)
        if place[path[-1]] == value:
            continue
        found = check(wire.encode(contents), *specs)
        pointer = "".join(f"/{step}" for step in path)
        assert found.code in (VerifyCode.DIFFERS, VerifyCode.UNREADABLE, VerifyCode.MISSING), pointer
        seen += 1
        asked = path[0] in ("policy", "limits", "against", "sample") or path in (("controller", "name"), FILE)
        if not asked:  # else it is taken from there again, and the answer is another one
            assert found.code == VerifyCode.UNREADABLE or pointer in {d.pointer for d in found.differences}, pointer
    assert seen > least


def test_every_byte_of_a_source_counts(tmp_path):
    checkpoint = openvla(tmp_path / "c", {"goal": action(), "wide": action(1.5, 0.1)})
    names = f"{checkpoint}#goal", f"{checkpoint}#wide"
    certificate = certify(*map(load_spec, names), now=NOW)
    file = checkpoint / "dataset_statistics.json"
    data = file.read_bytes()
    assert check(certificate, *names).ok
    digits = 0
    for at, byte in enumerate(data):
        if at % (3 if chr(byte).isdigit() else 17):
            continue
        file.write_bytes(data[:at] + (b"1" if byte != ord("1") else b"2") + data[at + 1 :])
        found = check(certificate, *names)
        assert found.code in (VerifyCode.DIFFERS, VerifyCode.MISSING), (at, found)
        if found.code == VerifyCode.DIFFERS:
            assert "/intended/sources/stats/sha256" in {d.pointer for d in found.differences}
            digits += chr(byte).isdigit()
    assert digits > 100
    file.unlink()
    assert check(certificate, *names).code == VerifyCode.MISSING


def test_a_difference_says_by_how_much(checkpoint):
    certificate, goal, wide = pair(checkpoint)
    found = check(certificate, goal, load_spec(checkpoint, "near"))
    assert found.code == VerifyCode.DIFFERS
    assert "/comparisons/0/executed/key" in found.message
    by = {d.pointer: d for d in found.differences}["/comparisons/0/channels/0/scale"]
    assert by.certified == pytest.approx(1.5)
    assert by.absolute == pytest.approx(0.499)
    assert by.relative == pytest.approx(0.499 / 1.5)
    assert "by 0.499 (33.3 %)" in str(by)
    assert check(certificate, wide, goal).code == VerifyCode.DIFFERS
    assert check(certificate, replace(goal, path="/elsewhere"), wide).ok


def test_a_controller_of_the_table_is_taken_again_by_its_name(checkpoint):
    certificate, *specs = pair(checkpoint, controller="libero")
    assert check(certificate, *specs).ok
    assert check(certificate, *specs, controller="libero").ok
    other = check(certificate, *specs, controller="robosuite-1.4-osc_pose")
    assert other.code == VerifyCode.DIFFERS
    assert other.differences[0].pointer.startswith("/controller/")  # it explains the rest
    assert "/comparisons/0/deployment/client" in {d.pointer for d in other.differences}
    slow = certify(*specs, now=NOW, controller=at_rate(CONTROLLERS["libero"], 8.0, GIVEN))
    assert check(slow, *specs).ok
    assert {d.pointer for d in check(slow, *specs, controller="libero").differences} >= {"/controller/rate/value"}
    plain, *_ = pair(checkpoint)
    refused = check(plain, *specs, controller="libero")
    assert (refused.code, "certify anew with libero" in refused.message) == (VerifyCode.MISSING, True)


def test_a_controller_s_file_is_asked_for_again_and_every_digit_of_it_counts(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limits = {
        "input_max": 1,
        "input_min": -1,
        "output_max": [0.05] * 3 + [0.5] * 3,
        "output_min": [-0.05] * 3 + [-0.5] * 3,
    }
    osc = {"type": "OSC_POSE", **limits, "control_delta": True}
    file = tmp_path / "osc.json"
    file.write_text(json.dumps(osc))
    certificate, *specs = pair(checkpoint, controller=file)
    stated = certificate.contents["controller"]
    assert stated["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    missing = check(certificate, *specs)
    assert (missing.code, stated["sha256"] in missing.message) == (VerifyCode.MISSING, True)
    assert check(certificate, *specs, controller=file).ok
    file.write_text(json.dumps(osc, indent=1))
    assert [d.pointer for d in check(certificate, *specs, controller=file).differences] == ["/controller/sha256"]
    file.write_text(json.dumps({**osc, "output_max": [0.05] * 2 + [0.051] + [0.5] * 3}))
    found = {d.pointer for d in check(certificate, *specs, controller=file).differences}
    assert {"/controller/output_max/2", "/comparisons/0/channels/2/mean_abs"} <= found
    file.unlink()
    assert check(certificate, *specs, controller=file).code == VerifyCode.MISSING


def test_a_lost_or_new_sibling_is_named(checkpoint):
    goal = load_spec(checkpoint, "goal")
    certificate = certify(goal, now=NOW)
    assert check(certificate, goal).ok
    assert check(certificate, goal, *siblings_of(goal)).ok
    lost = {d.pointer: d for d in check(certificate, goal, siblings_of(goal)[0]).differences}["/comparisons"]
    assert (lost.certified, lost.found) == (["near", "wide"], ["near"])
    file = checkpoint / "dataset_statistics.json"
    keys = json.loads(file.read_text())
    file.write_text(json.dumps(keys | {"new": {"action": action(1.2), "num_transitions": 9}}))
    found = {d.pointer: d for d in check(certificate, f"{checkpoint}#goal").differences}
    assert found["/comparisons"].found == ["near", "new", "wide"]
    assert "/intended/sources/stats/sha256" in found


def test_recorded_actions_are_asked_for_again(checkpoint):
    actions = np.random.default_rng(0).uniform(-1, 1, (50, 7))
    certificate, *specs = pair(checkpoint, sample=ActionSample(actions, "fifty demos"))
    assert certificate.contents["comparisons"][0]["mean_l2"] is not None
    missing = check(certificate, *specs)
    assert missing.code == VerifyCode.MISSING
    assert "fifty demos" in missing.message
    assert check(certificate, *specs, sample=ActionSample(actions, "fifty demos")).ok
    actions[7, 3] = np.nextafter(actions[7, 3], 2)
    other = check(certificate, *specs, sample=ActionSample(actions, "fifty demos"))
    assert "/sample/sha256" in {d.pointer for d in other.differences}


# outcomes


def edited(certificate: Certificate, **fields: Any) -> bytes:
    return wire.encode({**certificate.contents, **fields})


def test_each_outcome_has_its_own_code_and_words(checkpoint, tmp_path):
    certificate, *specs = pair(checkpoint)
    file = tmp_path / "c.json"
    file.write_bytes(certificate.to_json())
    other = {"name": "execspec", "version": "99.0.0"}
    outcomes = {
        VerifyCode.OK: (check(file, *specs), "as certified: inequivalent"),
        VerifyCode.DIFFERS: (check(file, *specs[::-1]), "fields are not as certified"),
        VerifyCode.MISSING: (check(tmp_path / "none.json", *specs), "none.json"),
        VerifyCode.EXPIRED: (check(file, *specs, now=NOW + timedelta(days=180)), "expired at 2026-07-01T03:04:05Z"),
        VerifyCode.OTHER_TOOL: (check(edited(certificate, tool=other), *specs), "99.0.0"),
        VerifyCode.EDITED: (check(file.read_bytes().replace(b"0.1", b"0.2", 1), *specs), "edited"),
        VerifyCode.UNREADABLE: (check(b"{}\n", *specs), "not a certificate"),
    }
    assert set(outcomes) == set(VerifyCode)
    assert len({int(code) for code in VerifyCode}) == 7
    for code, (found, words) in outcomes.items():
        assert found.code == code, found
        assert words in found.message
        assert found.to_dict()["outcome"] == code.name.lower()
    assert 2 not in set(VerifyCode), "that is wrong usage"


def test_dates(checkpoint):
    certificate, *specs = pair(checkpoint, valid_days=1)
    assert check(certificate, *specs, now=NOW + timedelta(hours=23)).ok
    assert check(certificate, *specs, now=NOW + timedelta(days=1)).code == VerifyCode.EXPIRED
    early = check(certificate, *specs, now=NOW - timedelta(seconds=1))
    assert early.code == VerifyCode.EXPIRED
    assert "not valid before" in early.message
    late = check(certificate, *specs[::-1], now=NOW + timedelta(days=2))
    assert late.code == VerifyCode.DIFFERS
    assert "also expired" in late.message


def test_specs_that_do_not_load_are_missing(checkpoint):
    certificate, *_ = pair(checkpoint)
    assert check(certificate, f"{checkpoint}#goal", f"{checkpoint}#wide").ok
    assert "gaol" in check(certificate, f"{checkpoint}#gaol", f"{checkpoint}#wide").message
    assert check(certificate, f"{checkpoint}#gaol", f"{checkpoint}#wide").code == VerifyCode.MISSING
    assert check(certificate, f"{checkpoint}#goal").code == VerifyCode.MISSING
    assert check(certificate).code == VerifyCode.MISSING


def test_a_newer_schema_is_not_guessed_at(checkpoint):
    certificate, *specs = pair(checkpoint)
    found = check(edited(certificate, schema_version=wire.SCHEMA_VERSION + 1), *specs)
    assert found.code == VerifyCode.UNREADABLE
    assert "newer" in found.message
    assert "/signature" not in check(edited(certificate, signature="x"), *specs).message
    assert "not part of schema" in check(edited(certificate, signature="x"), *specs).message
    without = {name: x for name, x in certificate.contents.items() if name != "policy"}
    assert "'policy' is missing" in check(wire.encode(without), *specs).message
