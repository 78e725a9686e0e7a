"""`execspec.toml`: where it is found, what it says, and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from execspec_fast.auditing.config import Config, load_config
from execspec_fast.errors import FormatError

ENTRY = """
[[deployment]]
name = "goal-arm"
checkpoint = "ckpt"
key = "libero_goal"
"""

FULL = """
[[deployment]]
name = "goal-arm"
checkpoint = "../ckpt"
key = "libero_goal"
profile = "openvla"
controller = "osc.json"
rate = 20
max_drift = 0.05
digest = "00ff00ff00ff"
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty current folder, so that no configuration of the machine is found."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_every_field(tmp_path, elsewhere):
    file = write(tmp_path / "conf/execspec.toml", FULL)
    write(tmp_path / "conf/osc.json", "{}")
    (one,) = load_config(tmp_path, file).deployments
    assert one.name == "goal-arm"
    assert one.checkpoint.resolve() == tmp_path / "ckpt"  # relative to the file, not to the current folder
    assert one.controller == str(tmp_path / "conf/osc.json")
    assert (one.key, one.profile, one.digest) == ("libero_goal", "openvla", "00ff00ff00ff")
    assert (one.rate, one.max_drift) == (20.0, 0.05)
    assert isinstance(one.rate, float)


def test_a_limit_by_unit(tmp_path):
    file = write(tmp_path / "execspec.toml", ENTRY + "max_drift = {mm = 5, gripper = 0.1}")
    assert load_config(tmp_path, file).deployments[0].max_drift == {"mm": 5.0, "gripper": 0.1}


def test_a_controller_is_a_part_of_a_file_or_a_name(tmp_path, elsewhere):
    file = write(tmp_path / "execspec.toml", ENTRY + 'controller = "libero"')
    write(elsewhere / "libero", "{}")  # where the tool is run is not where the file is
    assert load_config(tmp_path, file).deployments[0].controller == "libero"
    write(tmp_path / "two.json", "{}")
    write(file, ENTRY + 'controller = "two.json::arms/left"')
    assert load_config(tmp_path, file).deployments[0].controller == f"{tmp_path}/two.json::arms/left"


def test_what_is_not_said_is_none(tmp_path):
    (one,) = load_config(tmp_path, write(tmp_path / "any-name.toml", ENTRY)).deployments
    assert (one.profile, one.controller, one.rate, one.max_drift, one.digest) == (None,) * 5


def test_the_target_comes_before_the_current_folder(tmp_path, elsewhere):
    target = tmp_path / "target"
    target.mkdir()
    assert load_config(target) == Config()
    here = write(elsewhere / "pyproject.toml", ENTRY.replace("[[deployment", "[[tool.execspec.deployment"))
    assert load_config(target).file.resolve() == here
    write(target / "pyproject.toml", "[project]\nname = 'robot'\n")  # not ours: passed over
    assert load_config(target).file.resolve() == here
    there = write(target / "execspec.toml", ENTRY)
    assert load_config(target).file == there
    assert load_config(write(target / "norm.json", "{}")).file == there


def test_paths_of_the_current_folder_are_absolute(tmp_path, elsewhere):
    write(elsewhere / "execspec.toml", ENTRY)
    assert load_config(tmp_path).deployments[0].checkpoint == elsewhere / "ckpt"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            ENTRY + "max_drfit = 1",
            r"at \[\[deployment\]\] 1 \('goal-arm'\): unknown field 'max_drfit'; .*max_drift'\?",
        ),
        (ENTRY + "colour = 1", r"unknown field 'colour'; known: name, checkpoint, key, profile"),
        ("[[deployments]]", r"unknown field 'deployments'; did you mean 'deployment'\?"),
        ("[deployment]\nname = 'x'", r"written \[\[deployment\]\]"),
        ("deployment = [1]", r"written \[\[deployment\]\]"),
        (ENTRY.replace("key", "#"), r"\('goal-arm'\): field 'key' is missing"),
        (ENTRY + ENTRY, r"2 \('goal-arm'\): the name 'goal-arm' is taken by \[\[deployment\]\] 1"),
        (ENTRY + "rate = 0", r"rate must be a positive number \(Hz\), got 0"),
        (ENTRY + "rate = true", r"rate must be a positive number \(Hz\), got True"),
        (ENTRY + "max_drift = -0.1", r"max_drift must be a number >= 0, or a table .*, got -0\.1"),
        (
            ENTRY + "max_drift = nan",
            r"max_drift must be a number .* by unit \(mm, deg, .*, got nan",
        ),
        (ENTRY + "max_drift = '5 mm'", r"max_drift must be a number >= 0, or a table .*, got '5 mm'"),
        (ENTRY + "max_drift = {m = 5}", r"by unit \(mm, deg, .*gripper\), got \{'m': 5\}"),
        (ENTRY + "max_drift = {}", r"max_drift must be a number >= 0, or a table"),
        (ENTRY + "max_drift = {mm = -1}", r"max_drift must be a number >= 0, or a table"),
        (ENTRY + "profile = 1", r"profile must be a non-empty string, got 1"),
        (ENTRY + "digest = ''", r"digest must be a non-empty string, got ''"),
        (ENTRY + "digest = 'sha256:00ff'", r"first 12 of the 64 hexadecimal digits .*, got 'sha256:00ff'"),
        (ENTRY + "digest = '00ff00ff00f'", r"digest must be at least the first 12"),
        ("name = [", r"no valid TOML: .*at "),
        ("x = " + "[" * 100_000, r"no valid TOML"),
        ("name = '\udcff'", r"no valid TOML: 'utf-8' codec"),
    ],
)
def test_mistakes_are_named(tmp_path, content, message):
    file = tmp_path / "execspec.toml"
    file.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(FormatError, match=rf"execspec\.toml.*{message}"):
        load_config(tmp_path)


def test_an_explicit_file_must_be_there_and_be_ours(tmp_path, elsewhere):
    with pytest.raises(FormatError, match=r"typo\.toml: cannot be read: No such file"):
        load_config(tmp_path, tmp_path / "typo.toml")
    with pytest.raises(FormatError, match=r"no \[tool\.execspec\] table"):
        load_config(tmp_path, write(tmp_path / "pyproject.toml", "[tool.ruff]\n"))
    with pytest.raises(FormatError, match=r"\[tool\.execspec\] must be a table"):
        load_config(tmp_path, write(tmp_path / "pyproject.toml", "[tool]\nexecspec = 1\n"))
    with pytest.raises(FormatError, match=r"no \[tool\.execspec\] table"):
        load_config(tmp_path, write(tmp_path / "pyproject.toml", "tool = 1\n"))
