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
    assert main(["verify", str(tmp_path / "nothing.json"), f"{ckpt}#goal"]) == 3
    assert "nothing.json: no such file" in capsys.readouterr().out
    for option in ("--actions", "--controller"):
        assert main(["verify", str(issued), f"{ckpt}#goal", option, str(tmp_path / "lost.json")]) == 3
        assert "lost.json" in capsys.readouterr().out
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


def test_a_certificate_on_a_controller(ckpt, tmp_path, capsys):
    file = tmp_path / "libero.cert.json"
    assert main(["certify", f"{ckpt}#goal", "--controller", "libero", "--rate", "10", "--output", str(file)]) == 0
    stated = json.loads(file.read_bytes())
    assert (stated["controller"]["name"], stated["controller"]["rate"]["value"]) == ("libero", 10.0)
    assert "moves 35 to 41 mm per step, 35 to 41 cm/s" in stated["deployment"]["motion"]["text"]
    assert main(["verify", str(file), f"{ckpt}#goal"]) == 0
    capsys.readouterr()
    assert main(["verify", str(file), f"{ckpt}#goal", "--controller", "libero"]) == 1
    assert "/controller/rate/value: certified 10.0, found 20.0, by 10 (100 %)" in capsys.readouterr().out
    assert main(["verify", str(file), f"{ckpt}#goal", "--controller", "widowx"]) == 1
    assert main(["certify", f"{ckpt}#goal", "--controller", "aloha"]) == 2
    assert "aloha takes 12 channels" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["ckpt/execspec.toml", "execspec.toml", "fleet/robots.toml"])
def test_a_deployment_names_the_controller(ckpt, tmp_path, capsys, place):
    """In the checkpoint, one folder above it, or in the file named; a robot that was changed is not as certified."""
    config = tmp_path / place
    config.parent.mkdir(exist_ok=True)
    entry = f'[[deployment]]\nname = "arm"\ncheckpoint = "{ckpt}"\nkey = "goal"\n'
    config.write_text(f'{entry}controller = "libero"\nrate = 10\n')
    named = ["--config", str(config)] if place.startswith("fleet") else []
    file = tmp_path / "c.json"
    assert main(["certify", f"{ckpt}#goal", *named, "--output", str(file)]) == 0
    assert json.loads(file.read_bytes())["controller"]["rate"]["value"] == 10.0
    assert main(["verify", str(file), f"{ckpt}#goal", *named]) == 0
    capsys.readouterr()
    assert main(["drift", f"{ckpt}#goal", f"{ckpt}#spatial", *named]) == 0
    assert "per step of libero" in capsys.readouterr().out
    assert main(["certify", f"{ckpt}#spatial", *named]) == 0  # another key, which nobody deploys
    assert json.loads(capsys.readouterr().out)["controller"] is None
    config.write_text(f'{entry}controller = "robosuite-1.4-osc_pose"\nrate = 10\n')
    assert main(["verify", str(file), f"{ckpt}#goal", *named]) == 1
    assert "/controller/name: certified 'libero', found 'robosuite-1.4-osc_pose'" in capsys.readouterr().out
    both = f'{entry}controller = "libero"\n' + entry.replace("arm", "other") + 'controller = "widowx"\n'
    config.write_text(both)
    assert main(["certify", f"{ckpt}#goal", *named]) == 2
    assert "name one with --controller" in capsys.readouterr().err


def test_a_certificate_without_a_controller_is_verified_without_one(ckpt, issued, tmp_path):
    entry = f'[[deployment]]\nname = "arm"\ncheckpoint = "{ckpt}"\nkey = "goal"\ncontroller = "libero"\n'
    (tmp_path / "execspec.toml").write_text(entry)
    assert main(["verify", str(issued), f"{ckpt}#goal"]) == 0
    assert main(["verify", str(issued), f"{ckpt}#goal", "--controller", "libero"]) == 3
