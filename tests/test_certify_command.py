"""`execspec certify` and `execspec verify`: what they write, and an exit code for every outcome."""

from __future__ import annotations

import json

import numpy as np
import pytest
from execspec_fast.cli.main import main
from registry import action, openvla


@pytest.fixture
def ckpt(tmp_path):
    return openvla(tmp_path / "ckpt", {"goal": action(), "spatial": action(2.0)})


@pytest.fixture
def issued(ckpt, tmp_path):
    file = tmp_path / "goal.cert.json"
    assert main(["certify", f"{ckpt}#goal", "--output", str(file)]) == 0
    return file


def test_a_certificate_verifies(ckpt, issued, capsys):
    contents = json.loads(issued.read_bytes())
    assert contents["verdict"]["name"] == "inequivalent"
    assert [one["executed"]["key"] for one in contents["comparisons"]] == ["spatial"]
    assert main(["verify", str(issued), f"{ckpt}#goal"]) == 0
    assert capsys.readouterr().out.startswith("OK: as certified")


def test_every_outcome_has_its_exit_code(ckpt, issued, tmp_path, capsys):
    assert main(["verify", str(issued), f"{ckpt}#spatial"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("DIFFERS")
    assert "/intended/key: certified 'goal', found 'spatial'" in out
    assert "--format json lists all" in out
    assert main(["verify", str(tmp_path / "nothing.json"), f"{ckpt}#goal"]) == 2
    assert main(["verify", str(issued), f"{ckpt}#other"]) == 3
    edited = tmp_path / "edited.json"
    edited.write_bytes(issued.read_bytes().replace(b"inequivalent", b"equivalent  ", 1))
    assert main(["verify", str(edited), f"{ckpt}#goal"]) == 7
    edited.write_bytes(b"{}")
    assert main(["verify", str(edited), f"{ckpt}#goal"]) == 8


def test_a_pair_over_recorded_actions_in_markdown(ckpt, tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.zeros((3, 7)))
    arguments = [f"{ckpt}#goal", f"{ckpt}#spatial", "--actions", str(tmp_path / "a.npy")]
    assert main(["certify", *arguments, "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert "neither closed-loop behaviour nor hardware safety" in out
    file = tmp_path / "pair.json"
    assert main(["certify", *arguments, "--output", str(file)]) == 0
    assert main(["verify", str(file), *arguments[:2]]) == 3  # the actions are needed again
    assert main(["verify", str(file), *arguments]) == 0


def test_actions_need_the_specification_they_run_with(issued, capsys):
    assert main(["verify", str(issued), "--actions", "a.npy"]) == 2
    assert "name it after the certificate" in capsys.readouterr().err
