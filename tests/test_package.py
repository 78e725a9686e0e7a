"""The package as installed: one version, types, and the names it promises."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import execspec_fast
import pytest
from execspec_fast import _core
from execspec_fast.agreement import FIXES
from execspec_fast.auditing.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = """
    open_registry load_spec ExecSpec Unnormalizer mismatch ActionSample load_actions drift drift_matrix audit
    Guard Watch WatchLimits Fault Verdict
    ExecSpecError UnknownKeyError AmbiguousKeyError ShapeMismatchError Finding
"""


def test_the_version_is_written_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert execspec_fast.__version__ == _core.__version__ == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text().replace("[", "").replace("]", "")


def test_the_installed_files_are_the_ones_tested():
    here = Path(execspec_fast.__file__)
    if here.is_relative_to(ROOT / "python"):
        pytest.skip("run from the source folder, not installed")
    installed = importlib.metadata.distribution("execspec-fast")
    assert installed.version == execspec_fast.__version__
    assert installed.locate_file("execspec_fast/__init__.py") == here


def test_types_ship_with_it():
    folder = Path(execspec_fast.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_core.pyi").is_file()


def test_every_public_name_is_there():
    assert len(set(execspec_fast.__all__)) == len(execspec_fast.__all__)
    assert not [name for name in execspec_fast.__all__ if not hasattr(execspec_fast, name)]
    assert set(CONTRACT.split()) <= set(execspec_fast.__all__)


def test_readme_names_every_rule():
    codes = {
        line.split("|")[1].strip() for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| ")
    }
    assert {*RULES, "C0", *FIXES} <= codes


def blocks(language: str) -> list[str]:
    """The fenced blocks of README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_readme_examples_run_and_print_what_it_shows(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for example in blocks("python"):
        exec(example, names)  # the README's own code, each on what those before it made
    assert names["M"].shape == (len(names["specs"]), len(names["specs"]), 7)
    printed = capsys.readouterr().out
    assert printed.startswith("0.")
    _, survey, _, guard, watch = blocks("text")
    assert survey in printed
    assert printed.endswith(guard + watch)


def test_readme_shows_what_the_audit_prints():
    command = [sys.executable, "-m", "execspec_fast", "audit", "examples/registry", "--no-cache"]
    env = {**os.environ, "COLUMNS": "120", "PYTHONUTF8": "1"}
    printed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=True).stdout
    assert blocks("text")[0] == printed, "paste the output of `execspec audit examples/registry` into README.md"
