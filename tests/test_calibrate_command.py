"""`execspec guard calibrate`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.cli.main import main
from execspec_fast.guarding.calibration import Calibration, calibrate
from execspec_fast.registry import load_spec
from registry import action, openvla


@pytest.fixture
def ckpt(tmp_path):
    return openvla(tmp_path / "ckpt", {"goal": action()})


@pytest.fixture
def demos(tmp_path):
    rng = np.random.default_rng(0)
    episodes = rng.uniform(-0.5, 0.5, (12, 110, 7))
    np.savez(tmp_path / "demos.npz", **{f"{n:03}_actions": one for n, one in enumerate(episodes)})
    return tmp_path / "demos.npz", episodes


def test_a_calibration_is_written_and_told(ckpt, demos, tmp_path, capsys):
    file = tmp_path / "cal.json"
    assert main(["guard", "calibrate", f"{ckpt}#goal", "--actions", str(demos[0]), "-o", str(file)]) == 0
    made = Calibration.from_json(file.read_bytes())
    expected = calibrate(load_spec(f"{ckpt}#goal"), demos[1], sources=[f"{demos[0]}::actions"])
    assert made == expected
    told = capsys.readouterr().out
    assert f"{made.digest[:12]}" in told
    assert "12, 1,320 steps; the longest has 2 blocks of 50 steps" in told
    assert f"p0        {made.p0:.3g} at most" in told
    assert "a wrong key takes 7 episodes at least" in told
    assert f"written   {file}" in told
    assert len(told.partition("CHANNEL")[2].splitlines()) == 1 + 7


def test_every_file_of_one_episode_counts(ckpt, tmp_path):
    rng, files = np.random.default_rng(0), []
    for n in range(11):
        files.append(str(tmp_path / f"run{n}.npy"))
        np.save(files[-1], rng.uniform(-0.5, 0.5, (30, 7)))
    arguments = ["--block", "10", "--confidence", "0.9", "-o", str(tmp_path / "cal.json")]
    assert main(["guard", "calibrate", f"{ckpt}#goal", "--actions", *files, *arguments]) == 0
    made = Calibration.from_json((tmp_path / "cal.json").read_bytes())
    assert (made.episodes, made.block, made.most_blocks, made.confidence) == (11, 10, 3, 0.9)
    assert made.sources == tuple(files)


def test_too_few_episodes_leave_no_file(ckpt, tmp_path, capsys):
    np.save(tmp_path / "one.npy", np.zeros((60, 7)))
    file = tmp_path / "cal.json"
    arguments = ["guard", "calibrate", f"{ckpt}#goal", "--actions", str(tmp_path / "one.npy"), "-o", str(file)]
    assert main(arguments) == 2
    assert "too few correct episodes, 1" in capsys.readouterr().err
    assert not file.exists()
