"""The same answer every way: over processes, from the cache, and anew for whatever it depends on."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from audits import audit, deploy
from execspec_fast.auditing import batch, cache
from execspec_fast.cli.report import as_json
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import UNKNOWN
from execspec_fast.formats.tree import Tree
from registry import action, openvla


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def several(tmp_path):
    for n in range(5):
        openvla(tmp_path / f"c{n}", {"goal": action(1 + n / 10), "spatial": action(2.0)})
    deploy(tmp_path, checkpoint="c1", key="goal", max_drift=0.5)
    return tmp_path


def test_processes_change_nothing(several, monkeypatch):
    one = audit(several).to_dict()
    monkeypatch.setattr(batch, "CHUNK", 2)
    assert audit(several, jobs=2).to_dict() == one


def test_the_cache_changes_nothing_but_the_work(several, monkeypatch):
    first = as_json(audit(several, cache=True).to_dict())
    monkeypatch.setattr(batch, "inspect", None)
    assert as_json(audit(several, cache=True).to_dict()) == first


@pytest.mark.parametrize("change", ["content", "place", "actions", "controller", "deployment", "tool"])
def test_whatever_an_answer_depends_on_is_a_miss(several, change, monkeypatch):
    audit(several, cache=True)
    inspected = []
    inspect = batch.inspect
    monkeypatch.setattr(batch, "inspect", lambda folder, *rest: inspected.append(folder.path) or inspect(folder, *rest))
    actions = controller = None
    expected = ["c1"]
    if change == "content":
        openvla(several / "c1", {"goal": action(3.0), "spatial": action(2.0)})
    elif change == "place":
        shutil.move(several / "c1", several / "moved")
        deploy(several, checkpoint="moved", key="goal", max_drift=0.5)
        expected = ["moved"]
    elif change == "actions":
        actions, expected = np.zeros((3, 7)), ["c0", "c1", "c2", "c3", "c4"]
    elif change == "controller":  # which reads the gripper in another way, and no scale
        audit(several, controller="robosuite-1.4-osc_pose", cache=True)
        inspected.clear()
        unknown = replace(CONTROLLERS["robosuite-1.4-osc_pose"], gripper=UNKNOWN)
        controller, expected = unknown, ["c0", "c1", "c2", "c3", "c4"]
    elif change == "deployment":
        deploy(several, checkpoint="c1", key="goal", max_drift=0.6)
    else:
        monkeypatch.setattr(cache, "tool_digest", lambda: "newer")
        expected = ["c0", "c1", "c2", "c3", "c4"]
    audit(several, actions, controller=controller, cache=True)
    assert [path for path in inspected if path != "."] == expected


@pytest.mark.parametrize("damage", [b"no database", b"SQLite format 3\x00" + b"\xff" * 5000, b""])
def test_a_damaged_cache_is_a_miss_and_recovers(several, damage, monkeypatch):
    first = audit(several, cache=True).to_dict()
    cache.default_path().write_bytes(damage)
    assert audit(several, cache=True).to_dict() == first
    assert audit(several, cache=True).to_dict() == first
    monkeypatch.setattr(batch, "inspect", None)
    assert audit(several, cache=True).to_dict() == first


def test_a_cache_that_cannot_be_written_is_no_error(several, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/self")
    assert audit(several, cache=True).to_dict() == audit(several).to_dict()


def test_large_files_are_told_apart_without_reading_them(tmp_path, monkeypatch):
    weights = tmp_path / "model.bin"
    monkeypatch.setattr(cache, "HASHED", 50)
    monkeypatch.setattr("execspec_fast.formats.tree.File.read", None)
    keys = set()
    for content in (b"\0" * 100, b"\1" * 101):
        weights.write_bytes(content)
        keys |= {cache.key_of(Tree(tmp_path).folders[0], []) for _ in range(2)}
    assert len(keys) == 2
