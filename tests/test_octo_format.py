"""Octo's `dataset_statistics.json`: whose it is, what runs, and what its words mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats import octo, openvla
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree
from execspec_fast.registry import load_spec

MOMENTS = {"mean": [0.1, 0.2], "std": [0.5, 1.0]}
BLOCK = {**MOMENTS, "min": [-1.0, -1.0], "max": [1.0, 1.0], "p01": [-0.5, 0.0], "p99": [0.5, 1.0]}
OPENVLA = {**MOMENTS, "q01": [-0.5, 0.0], "q99": [0.5, 1.0], "mask": [True, False]}


def read(folder: Path, document: Any) -> Checkpoint | None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_statistics.json").write_text(document if isinstance(document, str) else json.dumps(document))
    (only,) = Tree(folder).folders
    found = octo.read(only)
    assert (openvla.read(only) is None) or found is None  # never both
    return found


def test_keys_figures_and_mask(tmp_path: Path) -> None:
    found = read(tmp_path, {"bridge": {"action": {**BLOCK, "mask": [1, 0]}, "num_transitions": 7}, "proprio": {}})
    assert found
    (key,) = found.keys
    assert (key.key, key.stats.count, key.stats.estimator) == ("bridge", 7, "np.quantile")
    assert key.stats["q99"].tolist() == [0.5, 1.0]
    assert key.stats.mask is not None
    assert key.stats.mask.tolist() == [True, False]
    assert key.conventions.gripper.value == (1,)
    assert (key.profile.value, key.profile.status) == ("octo-normal", "inferred")
    assert key.alternatives == ("octo-bounds", "octo-bounds-minmax", "octo-simpler")
    assert str(key.sources["stats"]).endswith("dataset_statistics.json#/bridge/action")


def test_one_dataset_without_a_name(tmp_path: Path) -> None:
    found = read(tmp_path, {"action": MOMENTS})
    assert found
    assert [key.key for key in found.keys] == ["action"]
    assert found.keys[0].alternatives == ()


GROUPS = {"gr1": {"action": {"arm": MOMENTS}}}  # GR00T's


@pytest.mark.parametrize("document", [{"bridge": {"action": OPENVLA}}, {"action": OPENVLA}, GROUPS, [1], {"a": 1}, "{"])
def test_what_is_not_octo_s(tmp_path: Path, document: Any) -> None:
    assert read(tmp_path, document) is None


def test_a_dataset_called_action_is_a_name(tmp_path: Path) -> None:
    found = read(tmp_path, {"action": {"action": BLOCK}})
    assert found
    assert str(found.keys[0].sources["stats"]).endswith("#/action/action")


def test_the_three_meanings_of_bounds_are_three_robots(tmp_path: Path) -> None:
    read(tmp_path, {"bridge": {"action": BLOCK}})
    at_one = {name: load_spec(tmp_path, profile=name).unnormalize(np.ones(2)).tolist() for name in octo.BOUNDS}
    assert at_one == {"octo-bounds": [0.5, 1.0], "octo-bounds-minmax": [1.0, 1.0]}
    assert load_spec(tmp_path).unnormalize(np.ones(2)) == pytest.approx([0.6, 1.2])


@pytest.mark.parametrize(
    ("said", "profile"),
    [
        (
            {"dataset_kwargs_list": [{"action_proprio_normalization_type": kind} for kind in ("normal", "normal")]},
            "normal",
        ),
        ({"action_proprio_normalization_type": "NormalizationType.BOUNDS"}, "bounds"),
        ({"dataset_kwargs_list": [{"action_proprio_normalization_type": kind} for kind in ("normal", "bounds")]}, ""),
        ({"action_proprio_normalization_type": {}}, ""),
    ],
)
def test_what_octo_was_trained_on_is_in_its_configuration(tmp_path: Path, said: Any, profile: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model": {}, "dataset_kwargs": said}))
    found = read(tmp_path, {"bridge": {"action": BLOCK}})
    assert found
    fact = found.keys[0].profile
    assert (fact.value, fact.status) == (f"octo-{profile or 'normal'}", "inferred")
    assert ("config.json" in fact.why) == bool(profile)
    assert fact.value not in found.keys[0].alternatives
    assert [record.path for record in found.files] == ["dataset_statistics.json", *["config.json"] * bool(profile)]


def test_simplerenv_s_client_scales_the_masked_gripper_too(tmp_path: Path) -> None:
    read(tmp_path, {"bridge": {"action": {**BLOCK, "mask": [True, False]}}})
    assert load_spec(tmp_path).unnormalize(np.ones(2)) == pytest.approx([0.6, 1.0])
    assert load_spec(tmp_path, profile="octo-simpler").unnormalize(np.ones(2)) == pytest.approx([0.6, 1.2])
    found = read(tmp_path, {"bridge": {"action": {**BLOCK, "mask": [True, True]}}})
    assert found
    assert "octo-simpler" not in found.keys[0].alternatives  # a mask of all channels is none


def test_what_a_file_cannot_say_is_said(tmp_path: Path) -> None:
    found = read(tmp_path / "octo-base", {"bridge": {"action": {**MOMENTS, "q01": [0.0, 0.0], "q99": [1.0, 1.0]}}})
    assert found
    codes = {finding.code: finding for finding in found.findings}
    assert set(codes) == {"T1", "K3", "K4"}
    assert "main_old" in codes["T1"].message
    assert codes["T1"].evidence["alternatives"] == ["octo-bounds"]
    assert codes["K4"].evidence == {"keys": ["bridge"]}


def test_a_broken_key_leaves_the_others(tmp_path: Path) -> None:
    broken = {"action": {**BLOCK, "std": ["x", 1.0]}}
    found = read(tmp_path, {"bad": broken, "worse": {"action": {"p01": None}}, "good": {"action": BLOCK}})
    assert found
    assert [key.key for key in found.keys] == ["good"]
    errors = [(f.code, f.target) for f in found.findings if f.severity == "error"]
    assert errors == [("S6", ".#bad"), ("S1", ".#worse")]


def test_real_files(shared_registry: Path) -> None:
    simpler = load_spec(shared_registry / "octo" / "octo-simpler", key="bridge_dataset")
    assert simpler.unnormalize(np.zeros(7))[0] == pytest.approx(0.00021161)
    rokae = load_spec(shared_registry / "octo" / "rokae-waypoint")
    assert (rokae.dim, rokae.profile) == (16, "octo-normal")
