"""OpenVLA's layout: which file wins, and one bad key spoils no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats.tree import Tree
from openvla_files import MASK, action, checkpoint, found, read, without


def test_config_keys_with_figures_sources_and_conventions(tmp_path: Path) -> None:
    config = {"model_type": "openvla", "norm_stats": {"bridge/orig": action(), "fractal": action(0.25)}}
    result = found(tmp_path, {"config.json": config})
    first, second = result.keys
    assert (result.ecosystem, first.key, second.key) == ("openvla", "bridge/orig", "fractal")
    assert second.stats["q01"].tolist() == [-0.25, -1.0, 0.0]
    assert set(first.stats) == {"mean", "std", "min", "max", "q01", "q99"}
    assert first.stats.mask is not None
    assert first.stats.mask.tolist() == MASK
    assert (first.stats.count, first.stats.estimator) == (1000, "np.quantile")
    assert (first.profile.value, first.profile.status) == ("openvla", "inferred")
    assert first.alternatives == ("openvla-oft",)
    assert (first.conventions.gripper.value, first.conventions.gripper.status) == ((2,), "inferred")
    assert {name: str(place) for name, place in first.sources.items()} == {
        "stats": "config.json#/norm_stats/bridge~1orig/action",
        "mask": "config.json#/norm_stats/bridge~1orig/action/mask",
        "count": "config.json#/norm_stats/bridge~1orig/num_transitions",
    }
    assert [(record.path, record.status) for record in result.files] == [("config.json", "read")]
    assert result.findings == ()


def test_side_file_replaces_the_config_and_says_what_is_lost_with_it(tmp_path: Path) -> None:
    config = {"norm_stats": {"bridge": action(), "kuka": action()}}
    result = found(tmp_path, {"config.json": config, "dataset_statistics.json": {"my_robot": action(0.1)}})
    assert [key.key for key in result.keys] == ["my_robot"]
    assert [key.key for key in result.shadowed] == ["bridge", "kuka"]
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.evidence["keys"]) == ("P2", "note", ["bridge", "kuka"])


def test_same_key_in_both_files_must_agree(tmp_path: Path) -> None:
    config = {"norm_stats": {"same": action(), "shifted": action(), "masked": action()}}
    side = {"same": action(), "shifted": action(0.125), "masked": action(mask=[True, True, True])}
    result = found(tmp_path, {"config.json": config, "dataset_statistics.json": side})
    shifted, masked = result.findings
    assert (shifted.code, shifted.severity, shifted.target) == ("P2", "warning", ".#shifted")
    assert shifted.evidence["figure"] == "q01"
    assert shifted.evidence["channel"] == 0
    assert shifted.evidence["difference"] == 0.125
    assert masked.evidence == {"masks": [[True, True, True], MASK]}


def test_broken_side_file_hides_the_config_all_the_same(tmp_path: Path) -> None:
    """The loader stops at it, or, lenient, reads it: the config's keys are in no case what runs."""
    side = json.dumps({"my_robot": action()}).replace("0.1", "NaN", 1)
    result = found(tmp_path, {"config.json": {"norm_stats": {"bridge": action()}}, "dataset_statistics.json": side})
    assert result.keys == ()
    assert [key.key for key in result.shadowed] == ["bridge"]
    assert (result.findings[0].code, result.findings[0].severity) == ("S1", "error")
    assert "NaN is not a JSON value" in result.findings[0].message
    assert result.findings[0].pointer == "dataset_statistics.json#/my_robot/action/mean/1"
    assert "dataset_statistics.json" not in [record.path for record in result.files]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset_statistics.json", '{"k": 1, "k": 2}'),
        ("dataset_statistics.json", "version https://git-lfs.github.com/spec/v1"),
        ("norm_stats.json", ""),
        ("config.json", '{"norm_stats": {"k": {"action": {"q01": [NaN]}}}}'),
    ],
)
def test_statistics_that_do_not_parse_are_an_error_of_no_ecosystem(tmp_path: Path, name: str, content: str) -> None:
    result = found(tmp_path, {name: content})
    assert (result.ecosystem, result.keys, result.files) == ("", (), ())
    assert [(finding.code, finding.severity) for finding in result.findings] == [("S1", "error")]


@pytest.mark.parametrize(
    ("block", "pointer", "reason"),
    [
        (action(q01=[0.0, 0.0]), "/bad/action", "share one shape"),
        (action(q01=["0", "0", "0"]), "/bad/action/q01", "numbers"),
        (action(q01=[[0.0, 0.0, 0.0], [0.0]]), "/bad/action/q01", "different lengths"),
        (action(mask=["yes", "yes", "no"]), "/bad/action/mask", "mask"),
        (action(mask=[1.0, 1.0, 0.0]), "/bad/action/mask", "mask"),
        (action(mask=[2, 1, 0]), "/bad/action/mask", "mask"),
        (action(mask=[True]), "/bad/action", "mask"),
        (action() | {"num_transitions": "many"}, "/bad/num_transitions", "number of transitions"),
        ({"action": {"mask": MASK}}, "/bad", "no figures"),
        ({"actions": {}}, "/bad", "no `action` block"),
        ([], "/bad", "no `action` block"),
    ],
)
def test_bad_key_is_reported_with_its_place_and_spoils_no_other(
    tmp_path: Path, block: Any, pointer: str, reason: str
) -> None:
    result = found(tmp_path, {"dataset_statistics.json": {"good": action(), "bad": block, "last": action()}})
    assert [key.key for key in result.keys] == ["good", "last"]
    (finding,) = result.findings
    code = "S1" if reason == "no figures" else "S6"
    assert (finding.code, finding.severity, finding.target) == (code, "error", ".#bad")
    assert finding.pointer == f"dataset_statistics.json#{pointer}"
    assert reason in finding.message


def test_mask_may_be_numbers_and_may_be_missing(tmp_path: Path) -> None:
    entries = {"numbers": action(mask=[1, 1, 0]), "none": without(action(), "mask")}
    numbers, none = found(tmp_path, {"norm_stats.json": entries}).keys
    assert numbers.stats.mask is not None
    assert numbers.stats.mask.tolist() == MASK
    assert none.stats.mask is None


def test_key_with_bounds_only_is_published(tmp_path: Path) -> None:
    aloha = {"action": {"max": [1.0, 2.0], "min": [0.0, -2.0]}}
    both, bounds = found(tmp_path, {"norm_stats.json": {"bridge": action(), "aloha": aloha}}).keys
    assert both.key == "bridge"
    assert set(bounds.stats) == {"min", "max"}
    assert (bounds.stats.count, bounds.stats.estimator) == (None, None)
    assert np.array_equal(bounds.stats["min"], [0.0, -2.0])


def test_one_dataset_per_file_is_named_by_the_file(tmp_path: Path) -> None:
    files = {f"dataset_statistics_{name}.json": without(action(), "mask") for name in ("bridge", "google")}
    result = found(tmp_path, files)
    assert [key.key for key in result.keys] == ["bridge", "google"]
    assert str(result.keys[0].sources["stats"]) == "dataset_statistics_bridge.json#/action"
    single = found(tmp_path / "single", {"dataset_statistics.json": action()})
    assert [key.key for key in single.keys] == ["dataset_statistics"]


def test_figure_under_another_name_is_pointed_out(tmp_path: Path) -> None:
    entry = without(action(quantile_01=[0.0, 0.0, 0.0]), "q01")
    (finding,) = found(tmp_path, {"dataset_statistics.json": {"k": entry}}).findings
    assert (finding.code, finding.severity) == ("K4", "note")
    assert "'quantile_01'" in finding.message


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": {"model_type": "llama"}},
        {"config.json": "{"},
        {"config.json": {"norm_stats": None}},
        {"norm_stats.json": {"norm_stats": {"state": {"mean": [0.0]}, "actions": {"mean": [0.0]}}}},
        {"dataset_statistics.json": {"bridge": {"action": {"p01": [0.0], "p99": [1.0], "mask": [True]}}}},  # Octo
        {"dataset_statistics.json": {"bridge": {"action": {"mean": [0.0], "std": [1.0]}}}},  # Octo
        {"dataset_statistics.json": {"action": {"mean": [0.0], "std": [1.0]}}},  # Octo
        {"stats.json": {"k": action()}},
    ],
)
def test_other_layouts_are_left_to_others(tmp_path: Path, files: dict[str, Any]) -> None:
    assert checkpoint(tmp_path, files) is None


def test_config_that_must_not_be_opened_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/etc/passwd")
    assert checkpoint(tmp_path, {}) is None


def test_unkeyed_statistics_without_a_mask_below_octo_are_octos(tmp_path: Path) -> None:
    files = {"dataset_statistics.json": without(action(), "mask")}
    assert checkpoint(tmp_path / "octo-small", files) is None
    assert checkpoint(tmp_path / "small", files) is not None


def test_real_registry(shared_registry: Path) -> None:
    results = {one.path: result for one in Tree(shared_registry).folders if (result := read(one))}
    counts = {path: (result.ecosystem, len(result.keys), len(result.shadowed)) for path, result in results.items()}
    assert counts == {
        "openvla/openvla-7b-config": ("openvla", 25, 0),
        "openvla-oft/openvla-7b-oft-finetuned-libero-10": ("openvla-oft", 1, 25),
        "nora/nora-norm-stats": ("nora", 28, 0),
        "mantis/mantis-norm-stats": ("openvla", 32, 0),
        "robovlms/oxe_dataset_stats": ("robovlms", 2, 0),
    }
    severe = [finding for result in results.values() for finding in result.findings if finding.severity != "note"]
    assert severe == []
    assert all(key.conventions.gripper.value == (6,) for key in results["openvla/openvla-7b-config"].keys)


OPENVLA = {"model_type": "openvla", "architectures": ["OpenVLAForActionPrediction"]}


@pytest.mark.parametrize(
    "config",
    [
        OPENVLA,
        {"model_type": "openvla"},
        {"architectures": ["OpenVLAForActionPrediction"]},
        {**OPENVLA, "norm_stats": None},
        {**OPENVLA, "norm_stats": []},
        {"norm_stats": {}},
        {"norm_stats": {"bridge": {"proprio": {"mean": [0.0]}}}},
    ],
)
def test_config_that_should_hold_statistics_and_holds_none(tmp_path: Path, config: dict[str, Any]) -> None:
    result = found(tmp_path, {"config.json": config})
    assert (result.ecosystem, result.keys) == ("openvla", ())
    (finding,) = result.findings
    assert (finding.code, finding.severity, finding.pointer) == ("S1", "error", "config.json")


def test_config_without_statistics_is_fine_where_another_file_has_them(tmp_path: Path) -> None:
    for name in ("dataset_statistics.json", "norm_stats.json"):
        folder = tmp_path / name
        folder.mkdir()
        result = found(folder, {"config.json": OPENVLA, name: {"bridge": action()}})
        assert [key.key for key in result.keys] == ["bridge"]
        assert result.findings == ()


@pytest.mark.parametrize("side", [{}, [], None, {"bridge": {"proprio": {"mean": [0.0]}}}])
def test_side_file_without_an_action_takes_every_key_away(tmp_path: Path, side: Any) -> None:
    config = {**OPENVLA, "norm_stats": {"bridge": action()}}
    result = found(tmp_path, {"config.json": config, "dataset_statistics.json": side})
    assert (result.keys, [key.key for key in result.shadowed]) == ((), ["bridge"])
    lost, hidden = result.findings
    assert (lost.code, lost.severity, lost.pointer) == ("S1", "error", "dataset_statistics.json")
    assert (hidden.code, hidden.severity) == ("P2", "note")


def test_one_number_is_no_list_of_channels(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"dataset_statistics.json": {"k": action(q01=-1.0)}}).findings
    assert (finding.code, finding.pointer) == ("S6", "dataset_statistics.json#/k/action/q01")
    assert "found one number" in finding.message


def test_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    result = found(tmp_path, {"dataset_statistics.json": "version https://git-lfs.github.com/spec/v1\noid sha256:00\n"})
    assert "lfs pointer" in result.findings[0].message
