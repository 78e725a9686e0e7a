"""DROID's robot model: the joint limits of a flat YAML file, and nothing that is more than flat YAML."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from execspec_fast.errors import FormatError
from execspec_fast.formats.droid import is_robot_model, read_controller
from execspec_fast.formats.tree import File, Tree
from hypothesis import given
from hypothesis import strategies as st

MODEL = """\
# @package _group_
robot_description_path: "franka_panda/panda_arm.urdf"
num_dofs: 2
ee_link_name: panda_link8

joint_limits_low: [-2.5, -1.]
joint_limits_high: [2.5, .5e1]
"""


def file_of(folder: Path, text: str) -> File:
    (folder / "panda.yaml").write_text(text)
    (file,) = Tree(folder / "panda.yaml").files
    return file


def test_joint_limits_bound_absolute_targets(tmp_path: Path) -> None:
    file = file_of(tmp_path, MODEL)
    assert is_robot_model(file)
    joints = read_controller(file)
    assert (joints.input_min.tolist(), joints.input_max.tolist()) == ([-2.5, -1.0], [2.5, 5.0])
    assert (joints.scale.tolist(), joints.offset.tolist(), joints.unit) == ([1, 1], [0, 0], ("rad", "rad"))
    assert (joints.delta.value, joints.delta.status) == (False, "inferred")
    assert joints.beyond.status == joints.rate.status == joints.gripper.status == "unknown"
    assert joints.source == "panda.yaml#joint_limits_low"


@pytest.mark.parametrize(
    ("old", "new", "says", "line"),
    [
        ("joint_limits_low: [-2.5, -1.]\n", "", "no joint_limits_low", 0),
        ("[-2.5, -1.]", "[-2.5, x]", "joint_limits_low is no one-line list of finite numbers", 6),
        ("[-2.5, -1.]", "[-2.5, 1e999]", "joint_limits_low is no one-line list of finite numbers", 6),
        ("[-2.5, -1.]", "[-2.5, -1., 0]", "3 lower and 2 upper joint limits for 2.0 joints", 0),
        ("num_dofs: 2", "num_dofs: 7", "2 lower and 2 upper joint limits for 7.0 joints", 0),
        ("[-2.5, -1.]", "[-2.5, 5.0]", "joint 1: upper limit 5.0 does not exceed 5.0", 0),
        ("num_dofs: 2", "robot:\n  num_dofs: 2", "expected `key: value` on one line", 3),
        ("num_dofs: 2", "num_dofs: 2\nnum_dofs: 2", "'num_dofs' occurs twice", 4),
    ],
)
def test_what_is_more_or_less_than_that_is_refused(tmp_path: Path, old: str, new: str, says: str, line: int) -> None:
    with pytest.raises(FormatError, match=says) as raised:
        read_controller(file_of(tmp_path, MODEL.replace(old, new)))
    assert (raised.value.file, raised.value.line) == ("panda.yaml", line)


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "panda.yaml").write_bytes(b"robot_description_path: \xff")
    with pytest.raises(FormatError, match="not UTF-8 at byte 24"):
        read_controller(Tree(tmp_path / "panda.yaml").files[0])


@given(text=st.lists(st.sampled_from([*MODEL.splitlines(), "a: [", "b: ]", "joint_limits_low: []", ":", "c: 1e400"])))
def test_no_file_crashes_it(tmp_path_factory: pytest.TempPathFactory, text: list[str]) -> None:
    with suppress(FormatError):
        limits = read_controller(file_of(tmp_path_factory.mktemp("hostile"), "\n".join(text)))
        assert np.isfinite(limits.input_max).all()


def test_the_real_panda(shared_registry: Path) -> None:
    (file,) = (f for f in Tree(shared_registry / "controllers").files if is_robot_model(f))
    panda = read_controller(file)
    assert panda.input_min.tolist() == [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
    assert panda.input_max[3] == -0.0698
