"""Whose un-normalizer runs on figures in OpenVLA's layout, by name and by file."""

from __future__ import annotations

from pathlib import Path

import pytest
from execspec_fast.registry import load_spec
from openvla_files import action, checkpoint, found


@pytest.mark.parametrize(
    ("folder", "extra", "profile", "alternatives"),
    [
        ("openvla-7b", "", "openvla", ("openvla-oft",)),
        ("soft-robot", "", "openvla", ("openvla-oft",)),
        ("oft/mine/alone", "", "openvla", ("openvla-oft",)),
        ("my-oft-run/step-5000", "", "openvla-oft", ("openvla",)),
        ("openvla-7b-oft-finetuned-libero-10", "", "openvla-oft", ("openvla",)),
        ("run1", "action_head--150000_checkpoint.pt", "openvla-oft", ("openvla",)),
        ("run1", "proprio_projector--150000_checkpoint.pt", "openvla-oft", ("openvla",)),
        ("run1", "lora_adapter/adapter_config.json", "openvla-oft", ("openvla",)),
        ("oft-aloha-fold", "", "openvla-oft-minmax", ("openvla-oft",)),
        ("oft-aloha-and-libero", "", "openvla-oft", ("openvla",)),
        ("openvla-aloha", "", "openvla", ("openvla-oft",)),
    ],
)
def test_profile_is_inferred_by_a_rule_in_words(
    tmp_path: Path, folder: str, extra: str, profile: str, alternatives: tuple[str, ...]
) -> None:
    files = {"dataset_statistics.json": {"k": action()}} | ({extra: "{}"} if extra else {})
    result = found(tmp_path / folder, files)
    (key,) = result.keys
    assert (key.profile.value, key.profile.status, key.alternatives) == (profile, "inferred", alternatives)
    assert result.ecosystem == profile.removesuffix("-minmax")
    assert profile == "openvla" or (extra or folder.split("/")[0]) in key.profile.why


def test_fine_tuned_checkpoint_that_lost_its_side_file(tmp_path: Path) -> None:
    files = {"config.json": {"norm_stats": {"bridge": action()}}, "action_head--1_checkpoint.pt": "x"}
    (finding,) = found(tmp_path, files).findings
    assert (finding.code, finding.severity) == ("S1", "warning")
    assert "dataset_statistics.json" in finding.message


def test_decoder_that_does_not_use_the_mask(tmp_path: Path) -> None:
    entries = {"norm_stats.json": {"k": action(), "all": action(mask=[True] * 3)}}
    (finding,) = found(tmp_path / "nora", entries).findings
    assert (finding.code, finding.severity, finding.evidence["keys"]) == ("T4", "note", {"k": [2]})
    assert found(tmp_path / "mantis", entries).findings == ()


SEVEN = {"mean": [0.0] * 7, "std": [1.0] * 7, "min": [-2.0] * 7, "max": [2.0] * 7, "q01": [-1.0] * 7, "q99": [1.0] * 7}


@pytest.mark.parametrize(
    ("folder", "profile", "alternatives"),
    [
        ("CogACT-Base", "cogact", ("openvla",)),
        ("nora-long", "nora", ("openvla",)),
        ("robovlms/eval", "robovlms", ("openvla",)),
        ("spatialvla-4b", "spatialvla", ("openvla",)),
        ("starVLA/run", "starvla-min_max", ("starvla-q99", "starvla-mean_std", "starvla-client")),
        ("norabel", "openvla", ("openvla-oft",)),
    ],
)
def test_a_fork_is_told_by_its_name(tmp_path: Path, folder: str, profile: str, alternatives: tuple[str, ...]) -> None:
    entry = {"action": {**SEVEN, "mask": [True] * 6 + [False]}}
    root = tmp_path / folder
    root.mkdir(parents=True)
    (key,) = found(root, {"dataset_statistics.json": {"bridge": entry}}).keys
    assert (key.profile.value, key.profile.status, key.alternatives) == (profile, "inferred", alternatives)
    for name in alternatives:
        assert load_spec(root, profile=name).profile == name


def test_a_file_of_another_stack_is_told_by_its_state(tmp_path: Path) -> None:
    entry = {"action": {**SEVEN, "mask": [True] * 7}, "num_transitions": 7}
    for other, profile in (("state", "starvla-min_max"), ("proprio", "openvla")):
        result = found(tmp_path / other, {"dataset_statistics.json": {"gr1": {**entry, other: SEVEN}}})
        assert result.keys[0].profile.value == profile


def test_one_dataset_without_a_key_is_not_nora_s(tmp_path: Path) -> None:
    """wall-x: `norm_stats` holds groups, and no keys."""
    assert (
        checkpoint(tmp_path, {"norm_stats.json": {"norm_stats": {"action": SEVEN, "observation.state": SEVEN}}}) is None
    )


def test_spatialvla_keeps_its_figures_in_the_processor(tmp_path: Path) -> None:
    processor = {"processor_class": "SpatialVLAProcessor", "statistics": {"bridge": action(), "action": action()}}
    result = found(tmp_path, {"processor_config.json": processor})
    assert (result.ecosystem, [key.key for key in result.keys]) == ("spatialvla", ["bridge", "action"])
    assert str(result.keys[0].sources["stats"]) == "processor_config.json#/statistics/bridge/action"


def test_one_dataset_per_file_is_robovlms_unless_it_is_a_cache(tmp_path: Path) -> None:
    for name, profile in (("bridge", "robovlms"), ("0" * 64, "openvla")):
        folder = tmp_path / profile[:4]
        folder.mkdir()
        result = found(folder, {f"dataset_statistics_{name}.json": action()})
        assert [key.profile.value for key in result.keys] == [profile]
