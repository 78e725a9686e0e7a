"""LeRobot datasets: statistics, descriptions, and episodes that are pooled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats import lerobot, lerobot_dataset
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree
from hostile import says_it_in_words, values
from hypothesis import given, settings
from hypothesis import strategies as st
from lerobot_files import ACTION, STATE, codes, folder_of

INFO = {
    "codebase_version": "v3.0",
    "robot_type": "so101_follower",
    "total_episodes": 4,
    "fps": 30,
    "features": {"action": {"dtype": "float32", "shape": [3], "names": ["pan.pos", "lift.pos", "Gripper.pos"]}},
}


def dataset(root: Path, files: Mapping[str, object]) -> Checkpoint | None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content if isinstance(content, str) else json.dumps(content))
    return lerobot_dataset.read(folder_of(root))


def dataset_found(root: Path, files: Mapping[str, object]) -> Checkpoint:
    checkpoint = dataset(root, files)
    assert checkpoint is not None
    return checkpoint


def test_a_dataset(tmp_path: Path) -> None:
    quantiles = {"q01": [-0.9, -1.5, 0], "q99": [0.9, 1.5, 1]}
    files = {"meta/info.json": INFO, "meta/stats.json": {"action": {**ACTION, **quantiles}, "observation.state": STATE}}
    checkpoint = dataset_found(tmp_path, files)
    (key,) = checkpoint.keys
    assert not checkpoint.findings
    assert (key.key, key.profile.value, key.profile.status) == ("action", "lerobot-mean_std", "inferred")
    assert key.alternatives == ("lerobot-min_max", "lerobot-quantiles")
    assert (key.stats.count, key.stats.estimator, key.stats.float32) == (500, "merged", False)
    conventions = key.conventions
    assert (conventions.names.value, conventions.rate.value) == (("pan.pos", "lift.pos", "Gripper.pos"), 30.0)
    assert (conventions.gripper.value, conventions.gripper.status) == ((2,), "declared")
    assert conventions.controller.value == "so101_follower"
    assert str(key.sources["stats"]) == "meta/stats.json#/action"


@pytest.mark.parametrize(
    "names", [{"motors": ["a", "b", "gripper"]}, [["a", "b", "gripper"]], {"x": ["a"], "y": ["b", "gripper"]}]
)
def test_layouts_of_channel_names(tmp_path: Path, names: object) -> None:
    info = {**INFO, "features": {"action": {"shape": [3], "names": names}}}
    checkpoint = dataset_found(tmp_path, {"meta/info.json": info, "meta/stats.json": {"action": ACTION}})
    assert checkpoint.keys[0].conventions.names.value == ("a", "b", "gripper")


def test_names_and_shape_that_do_not_fit(tmp_path: Path) -> None:
    info = {**INFO, "features": {"action": {"shape": [4], "names": ["a", "b"]}}}
    checkpoint = dataset_found(tmp_path, {"meta/info.json": info, "meta/stats.json": {"action": ACTION}})
    assert codes(checkpoint) == [("S6", "error"), ("S6", "error")]
    assert checkpoint.keys[0].conventions.names.status == "unknown"


def episode(n: int, block: Mapping[str, Any]) -> str:
    return json.dumps({"episode_index": n, "stats": {"action": block, "observation.state": STATE}})


@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=5), min_size=1, max_size=5), st.floats(-1e4, 1e4))
def test_episodes_pool_to_the_statistics_of_all_their_data(
    tmp_path_factory: pytest.TempPathFactory, episodes: list[list[float]], offset: float
) -> None:
    arrays = [np.array([[x + offset, -x] for x in values]) for values in episodes]
    lines = [
        episode(n, {f: getattr(np, f)(a, axis=0).tolist() for f in ("mean", "std", "min", "max")} | {"count": [len(a)]})
        for n, a in enumerate(arrays)
    ]
    files = {"meta/info.json": {**INFO, "codebase_version": "v2.1"}, "meta/episodes_stats.jsonl": "\n".join(lines)}
    (key,) = dataset_found(tmp_path_factory.mktemp("dataset"), files).keys
    whole = np.concatenate(arrays)
    assert key.stats.count == len(whole)
    for figure in ("mean", "std", "min", "max"):
        expected = getattr(np, figure)(whole, axis=0)
        np.testing.assert_allclose(key.stats[figure], expected, rtol=1e-9, atol=1e-9 * (1 + abs(offset)))


def test_quantiles_of_episodes_are_not_pooled(tmp_path: Path) -> None:
    lines = [episode(n, {**ACTION, "q01": [-0.9, -1.5, 0]}) for n in range(2)]
    checkpoint = dataset_found(tmp_path, {"meta/episodes_stats.jsonl": "\n".join(lines)})
    (key,) = checkpoint.keys
    assert set(key.stats) == {"mean", "std", "min", "max"}
    assert key.stats.count == 1000
    assert [(f.code, f.severity, f.evidence["figures"]) for f in checkpoint.findings] == [("S5", "note", ["q01"])]


def test_episodes_without_the_action_are_counted(tmp_path: Path) -> None:
    lines = [episode(0, ACTION), json.dumps({"episode_index": 1, "stats": {"observation.state": STATE}})]
    checkpoint = dataset_found(tmp_path, {"meta/info.json": INFO, "meta/episodes_stats.jsonl": "\n".join(lines)})
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity, finding.evidence["episodes"]) == ("S1", "warning", [1])


def test_statistics_in_meta_are_a_datasets_without_its_description(tmp_path: Path) -> None:
    checkpoint = dataset_found(tmp_path, {"meta/stats.json": {"action": ACTION}})
    assert [key.key for key in checkpoint.keys] == ["action"]
    assert codes(checkpoint) == [("S1", "warning")]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_the_version_says_which_file_counts(tmp_path: Path, version: str) -> None:
    stats = {"action": {**ACTION, "mean": [7.0, 7.0, 7.0]}, "observation.state": STATE}
    files = {
        "meta/info.json": {**INFO, "codebase_version": version},
        "meta/stats.json": stats,
        "meta/episodes_stats.jsonl": episode(0, ACTION),
    }
    checkpoint = dataset_found(tmp_path, files)
    assert checkpoint.keys[0].stats["mean"].tolist() == (ACTION["mean"] if version == "v2.1" else [7.0] * 3)
    assert [key.key for key in checkpoint.shadowed] == ["stats" if version == "v2.1" else "episodes_stats"]
    assert ("P2", "warning") in codes(checkpoint)


@pytest.mark.parametrize(
    "line",
    [
        episode(0, {**ACTION, "count": [0]}),
        episode(0, {**ACTION, "count": [1, 2]}),
        episode(0, {**ACTION, "std": [1]}),
        episode(0, {name: ACTION[name] for name in ("mean", "std", "min", "max")}),
        episode(0, {**ACTION, "mean": "x"}),
        episode(0, ACTION) + "\n" + episode(1, {name: values[:1] for name, values in ACTION.items()}),
        '{"episode_index": 0}',
        '{"episode_index": 0,',
        "7",
    ],
)
def test_broken_episodes(tmp_path: Path, line: str) -> None:
    checkpoint = dataset_found(tmp_path, {"meta/info.json": INFO, "meta/episodes_stats.jsonl": line})
    assert not checkpoint.keys
    assert ("S1", "error") in codes(checkpoint)
    record = next(record for record in checkpoint.files if record.path == "meta/episodes_stats.jsonl")
    assert record.status == "unreadable"


@pytest.mark.parametrize("block", [{}, {"mean": {"a": 1}}, {"mean": [1, 2], "std": [1]}, {"mean": [1], "count": "x"}])
def test_broken_stats(tmp_path: Path, block: object) -> None:
    checkpoint = dataset_found(tmp_path, {"meta/info.json": INFO, "meta/stats.json": {"action": block}})
    assert not checkpoint.keys
    assert ("S1", "error") in codes(checkpoint)


def test_a_loose_copy(tmp_path: Path) -> None:
    (key,) = dataset_found(tmp_path, {"remote_stats.json": {"action": ACTION, "observation.state": STATE}}).keys
    assert (key.key, key.stats.estimator, key.conventions.rate.status) == ("action", None, "unknown")


@pytest.mark.parametrize(
    "files",
    [
        {"meta/stats.json": {"action": ACTION, "observation.state": STATE}, "meta/modality.json": {}},
        {"meta/stats.json": {"action": ACTION, "observation.state": STATE, "__fingerprints__": {"action": "sha256:0"}}},
        {"bridge_stats.json": {"action": ACTION, "proprio": STATE, "num_transitions": 3}},
        {"bridge_stats.json": {"action_mean": [1], "action_std": [1]}},
        {"stats.json": "{"},
    ],
)
def test_statistics_of_others_are_left_to_them(tmp_path: Path, files: dict[str, object]) -> None:
    assert dataset(tmp_path, files) is None


def test_a_dataset_without_statistics(tmp_path: Path) -> None:
    checkpoint = dataset_found(tmp_path, {"meta/info.json": INFO})
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "warning")])


WORDS = ["action", "observation.state", "mean", "std", "count", "names", "shape", "stats"]
FIELDS = ["features", "fps", "robot_type", "total_episodes", "codebase_version"]


@settings(max_examples=40)
@given(values(WORDS), values(WORDS), st.dictionaries(st.sampled_from(FIELDS), values(WORDS), max_size=2))
def test_no_dataset_crashes_it(
    tmp_path_factory: pytest.TempPathFactory, block: Any, line: Any, info: dict[str, Any]
) -> None:
    files = {
        "meta/info.json": {**INFO, **info},
        "meta/stats.json": {"action": block, "observation.state": block},
        "meta/episodes_stats.jsonl": f"{json.dumps(line)}\n{episode(1, {**ACTION, 'mean': block})}",
        "remote_stats.json": {"action": line, "observation.state": block},
    }
    assert says_it_in_words(dataset(tmp_path_factory.mktemp("hostile"), files))


def test_real_datasets(shared_registry: Path) -> None:
    checkpoints = {f.path: c for f in Tree(shared_registry).folders if (c := lerobot_dataset.read(f))}
    seen = {path: (c.keys[0].stats.dim, c.keys[0].stats.count, codes(c)) for path, c in checkpoints.items()}
    assert seen == {
        "lerobot/g1-policy-train": (26, 35965, []),
        "lerobot/record-test-so101": (6, 1492, []),
        "lerobot/so101-thesis": (6, None, []),
    }


def test_a_dataset_and_the_state_file_made_from_it_agree(shared_registry: Path) -> None:
    folders = {folder.path: folder for folder in Tree(shared_registry / "lerobot").folders}
    made = lerobot.read(folders["record-test-so101/derived"])
    data = lerobot_dataset.read(folders["record-test-so101"])
    assert made is not None
    assert data is not None
    for name in made.keys[0].stats:
        assert made.keys[0].stats[name].tolist() == data.keys[0].stats[name].astype(np.float32).tolist()
