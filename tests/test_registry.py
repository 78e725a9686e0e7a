"""The registry, and one specification by name: nothing resolves by guess, and every refusal says what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.errors import (
    AmbiguousKeyError,
    ExecSpecError,
    MissingStatsError,
    TargetNotFoundError,
    UnknownKeyError,
    UnknownProfileError,
)
from execspec_fast.registry import load_spec, open_registry


def entry(width: float = 1.0, **more: Any) -> dict[str, Any]:
    figures = {
        "q01": [-width, -1.0],
        "q99": [width, 1.0],
        "min": [-2.0, -2.0],
        "max": [2.0, 2.0],
        "mask": [True, False],
    }
    return {"action": figures | more, "num_transitions": 5}


def write(folder: Path, document: Any, name: str = "dataset_statistics.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", {"arm": entry(), "base": entry(0.5)})


def test_spec_by_path_key_and_profile(model: Path) -> None:
    spec = load_spec(model, key="arm")
    assert (spec.path, spec.key, spec.profile, spec.ecosystem) == (str(model), "arm", "openvla", "openvla")
    assert spec.unnormalize(np.array([0.5, 0.25])).tolist() == [0.5, 0.25]
    for again in (load_spec(f"{model}#arm"), load_spec(f"{model}#arm", key="arm"), load_spec(f"{model}/#arm")):
        assert again.digest == spec.digest
    other = load_spec(f"{model}#arm@openvla-oft")
    assert (other.profile, other.profile_fact.status) == ("openvla-oft", "declared")
    assert other.digest == load_spec(model, key="arm", profile="openvla-oft").digest != spec.digest


def test_only_key_needs_no_name(tmp_path: Path) -> None:
    model = write(tmp_path / "m", {"arm": entry()})
    assert load_spec(model).key == "arm"
    assert load_spec(f"{model}@openvla-oft").profile == "openvla-oft"


def test_key_is_never_guessed(model: Path) -> None:
    with pytest.raises(AmbiguousKeyError, match="'arm', 'base'"):
        load_spec(model)
    with pytest.raises(UnknownKeyError, match="publishes: 'arm', 'base'") as caught:
        load_spec(f"{model}#hand")
    assert caught.value.keys == ("arm", "base")
    with pytest.raises(UnknownProfileError, match="openvla-oft"):
        load_spec(f"{model}#arm@openvla-ofr")
    with pytest.raises(ExecSpecError, match="two keys"):
        load_spec(f"{model}#arm", key="base")


def test_no_noops_is_suggested_and_not_taken(tmp_path: Path) -> None:
    model = write(tmp_path / "m", {"libero_goal_no_noops": entry(), "libero_10": entry()})
    with pytest.raises(UnknownKeyError, match="'libero_goal_no_noops' is another key"):
        load_spec(model, key="libero_goal")
    with pytest.raises(UnknownKeyError, match="'libero_10' is another key"):
        load_spec(model, key="libero_10_no_noops")


def test_missing_key_says_that_it_is_broken_or_shadowed(model: Path) -> None:
    write(model, {"norm_stats": {"bridge": entry()}}, "config.json")
    write(model, {"arm": entry(), "broken": {"action": {"q01": ["x"]}}})
    with pytest.raises(UnknownKeyError, match="does not read here"):
        load_spec(model, key="bridge")
    with pytest.raises(UnknownKeyError, match=r"the key is there, but .*/broken/action/q01"):
        load_spec(model, key="broken")


def test_names_may_hold_the_separators(tmp_path: Path) -> None:
    odd = write(tmp_path / "run#3@home", {"k@v1": entry(), "k#2@openvla": entry(0.5), "k": entry(0.25)})
    assert load_spec(f"{odd}#k").key == "k"
    assert load_spec(f"{odd}#k@v1").key == "k@v1"
    assert load_spec(f"{odd}#k@v1@openvla-oft").key == "k@v1"
    assert load_spec(f"{odd}#k#2@openvla").key == "k#2@openvla"
    write(tmp_path / "run", {"3@home": entry()})
    assert load_spec(f"{tmp_path}/run#3@home#k").path == str(odd)  # the longest path that exists


def test_checkpoints_below_a_path(tmp_path: Path, model: Path) -> None:
    assert load_spec(f"{tmp_path}#arm").path == f"{tmp_path}/model"
    write(tmp_path / "other", {"arm": entry(0.5)})
    with pytest.raises(AmbiguousKeyError, match="'model#arm@openvla', 'other#arm@openvla'"):
        load_spec(f"{tmp_path}#arm")
    write(tmp_path, {"arm": entry(0.25)})
    assert load_spec(f"{tmp_path}#arm").path == str(tmp_path)  # a checkpoint itself


def test_profile_tells_two_ecosystems_with_one_key_apart(tmp_path: Path) -> None:
    both = write(tmp_path / "both", {".": entry()})
    actions = {"mean": [0.0, 0.0], "std": [1.0, 1.0], "q01": [-1.0, -1.0], "q99": [1.0, 1.0]}
    write(both, {"norm_stats": {"actions": actions}}, "norm_stats.json")
    with pytest.raises(AmbiguousKeyError, match=r"'\.#\.@openvla', '\.#\.@openpi-quantile'"):
        load_spec(f"{both}#.")
    assert load_spec(f"{both}#.@openpi-zscore").ecosystem == "openpi"
    assert load_spec(f"{both}#.@openvla-oft").ecosystem == "openvla"
    with pytest.raises(AmbiguousKeyError):
        load_spec(f"{both}#.@lerobot-min_max")


def test_nothing_there(tmp_path: Path, model: Path) -> None:
    for name in (f"{tmp_path}/nope#arm", "", "#arm", "a\0#b"):
        with pytest.raises(TargetNotFoundError):
            load_spec(name)
    with pytest.raises(TargetNotFoundError):
        open_registry(tmp_path / "nope")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingStatsError, match="no action statistics in 0 files"):
        load_spec(tmp_path / "empty")
    write(tmp_path / "pickled", {}, "dataset_stats.pkl")
    with pytest.raises(MissingStatsError, match="unauditable: pickle"):
        load_spec(tmp_path / "pickled")


def test_registry_lists_specs_problems_and_files(tmp_path: Path, model: Path) -> None:
    bounds = {"action": {"min": [0.0, 0.0], "max": [1.0, 1.0]}}
    huge = entry(1e200)
    steps = {"action": {name: [[0.0, 0.0], [1.0, 1.0]] for name in ("q01", "q99", "min", "max")}}
    write(
        tmp_path / "bad",
        {"ok": entry(), "bounds": bounds, "huge": huge, "steps": steps, "text": {"action": {"q01": "x"}}},
    )
    write(tmp_path / "notes", {"a": 1}, "notes.json")
    registry = open_registry(tmp_path)
    assert [one.path for one in registry.checkpoints] == ["bad", "model"]
    assert [spec.name for spec in registry.specs] == ["bad#ok", "model#arm", "model#base"]
    assert [file.path for file in registry.files] == [
        "bad/dataset_statistics.json",
        "model/dataset_statistics.json",
        "notes/notes.json",
    ]
    problems = {problem.target: problem for problem in registry.problems}
    assert {target: problem.code for target, problem in problems.items()} == {
        "bad#text": "S6",
        "bad#bounds": "S7",
        "bad#huge": "S8",
        "bad#steps": "S6",
    }
    assert all(problem.severity == "error" for problem in problems.values())
    assert problems["bad#bounds"].pointer == "bad/dataset_statistics.json#/bounds/action"
    assert "q01" in problems["bad#bounds"].message


def test_folder_of_two_ecosystems_is_two_checkpoints(tmp_path: Path, model: Path) -> None:
    actions = {"mean": [0.0, 0.0], "std": [1.0, 1.0], "q01": [-1.0, -1.0], "q99": [1.0, 1.0]}
    write(model, {"norm_stats": {"actions": actions}}, "norm_stats.json")
    write(model, {"a": 1}, "other.json")
    registry = open_registry(model)
    assert [(one.path, one.ecosystem) for one in registry.checkpoints] == [(".", "openvla"), (".", "openpi")]
    assert [spec.ecosystem for spec in registry.specs] == ["openvla", "openvla", "openpi"]
    assert [(file.path, file.ecosystem) for file in registry.files] == [
        ("dataset_statistics.json", "openvla"),
        ("norm_stats.json", "openpi"),
        ("other.json", ""),
    ]


def test_select(tmp_path: Path, model: Path) -> None:
    write(tmp_path / "copy-oft", {"arm": entry()})
    write(tmp_path / "copy", {"arm": entry()})
    three = {"action": {"q01": [0.0] * 3, "q99": [1.0] * 3, "min": [0.0] * 3, "max": [1.0] * 3}}
    write(tmp_path / "three", {"arm": three})
    registry = open_registry(tmp_path)
    assert [spec.name for spec in registry.select(dim=3)] == ["three#arm"]
    assert [spec.name for spec in registry.select(ecosystem="openvla-oft")] == ["copy-oft#arm"]
    names = [spec.name for spec in registry.select(dim=2, unique=True)]
    assert names == ["copy#arm", "copy-oft#arm", "model#base"]  # model#arm equals copy#arm
    assert len(registry.select()) == 5


def test_real_registry(shared_registry: Path) -> None:
    registry = open_registry(shared_registry)
    published = sum(len(one.keys) for one in registry.checkpoints)
    cannot_run = {problem.target for problem in registry.problems if problem.code == "S7"}
    assert cannot_run == {f"mantis/mantis-norm-stats#aloha_{name}" for name in ("recognition", "goods", "numbers")}
    assert len(registry.specs) == published - len(cannot_run)
    oft = load_spec(f"{shared_registry}/openvla-oft/openvla-7b-oft-finetuned-libero-10")
    assert (oft.key, oft.profile) == ("libero_10_no_noops", "openvla-oft")
