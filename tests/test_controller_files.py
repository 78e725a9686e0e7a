"""A controller by file or by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.errors import FormatError, UnknownControllerError
from execspec_fast.formats.controller_files import load_controller
from test_droid_format import MODEL
from test_robosuite_format import OSC_15


def test_by_file_part_or_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {"right": OSC_15, "left": {**OSC_15, "output_max": [0.1] * 6, "output_min": [-0.1] * 6}}
    (tmp_path / "basic.json").write_text(json.dumps({"type": "BASIC", "body_parts": {"arms": arms}}))
    (tmp_path / "panda.yaml").write_text(MODEL)
    assert load_controller(tmp_path / "basic.json").part == "arms/right"
    assert load_controller(f"{tmp_path}/basic.json::arms/left").scale[0] == 0.1
    assert load_controller(tmp_path / "panda.yaml").name == "polymetis-joint_position"
    assert load_controller("libero") is CONTROLLERS["libero"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "libero").write_text(json.dumps(OSC_15))
    assert load_controller("libero").name == "OSC_POSE"  # the file


def test_neither_file_nor_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownControllerError, match="as a file or by name"):
        load_controller(tmp_path / "osc_pose.json")
    with pytest.raises(UnknownControllerError):
        load_controller(tmp_path)
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(FormatError, match="no robosuite controller config"):
        load_controller(tmp_path / "notes.json")
