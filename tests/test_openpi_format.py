"""openpi's `norm_stats.json`: which file makes which key, which profile, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.auditing.rules import diagnose
from execspec_fast.formats.openpi import read
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree
from hostile import says_it_in_words, values
from hypothesis import given
from hypothesis import strategies as st

ACTIONS = {"mean": [0.1, -0.2, 0.5], "std": [0.3, 0.4, 0.2], "q01": [-0.5, -1.0, 0.0], "q99": [0.6, 0.9, 1.0]}
STATE = {"mean": [0.0] * 8, "std": [1.0] * 8, "q01": [-1.0] * 8, "q99": [1.0] * 8}


def wrapped(**groups: Any) -> dict[str, Any]:
    return {"norm_stats": {"state": STATE, **groups}}


BOTH = wrapped(actions=ACTIONS)


def write(root: Path, files: dict[str, Any]) -> Checkpoint | None:
    """What the reader finds in a folder `root` of these JSON files (text is written as it is)."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content if isinstance(content, str) else json.dumps(content))
    (folder,) = Tree(root).folders
    return read(folder)


def found(root: Path, files: dict[str, Any]) -> Checkpoint:
    checkpoint = write(root, files)
    assert checkpoint is not None
    return checkpoint


def codes(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    return sorted((finding.code, finding.severity) for finding in checkpoint.findings)


def test_an_asset_is_a_key_with_its_figures_and_their_place(tmp_path: Path) -> None:
    path = "assets/physical-intelligence/libero/norm_stats.json"
    checkpoint = found(tmp_path, {path: BOTH})
    (key,) = checkpoint.keys
    assert (key.key, checkpoint.ecosystem) == ("physical-intelligence/libero", "openpi")
    assert {name: key.stats[name].tolist() for name in key.stats} == ACTIONS
    assert (key.stats.mask, key.stats.estimator, key.stats.float32) == (None, "histogram", False)
    assert str(key.sources["stats"]) == f"{path}#/norm_stats/actions"
    assert key.sources["stats"].sha256 == checkpoint.files[0].sha256 != ""
    assert [(record.path, record.status) for record in checkpoint.files] == [(path, "read")]


@pytest.mark.parametrize(
    ("files", "keys"),
    [
        ({"norm_stats.json": BOTH}, ["."]),
        ({"norm_stats.json": {"state": STATE, "actions": ACTIONS}}, ["."]),
        ({"iter00_norm.json": BOTH, "b_norm.json": BOTH}, ["b_norm", "iter00_norm"]),
        ({"norm_stats.json": {"norm_stats": {"libero": ACTIONS}}}, ["libero"]),
        ({"norm_stats.json": wrapped(bridge=ACTIONS, libero=ACTIONS)}, ["bridge", "libero"]),
        ({"assets/x/norm_stats.json": wrapped(left=ACTIONS)}, ["x/left"]),
        ({"assets/a/norm_stats.json": BOTH, "assets/b/c/norm_stats.json": BOTH}, ["a", "b/c"]),
    ],
)
def test_keys(tmp_path: Path, files: dict[str, Any], keys: list[str]) -> None:
    checkpoint = found(tmp_path, files)
    assert [key.key for key in checkpoint.keys] == keys
    assert not checkpoint.shadowed


@pytest.mark.parametrize(
    ("folder", "profile"),
    [
        ("pi05_libero", "openpi-quantile"),
        ("pi0.5-droid", "openpi-quantile"),
        ("pi0_fast_droid", "openpi-quantile"),
        ("my-pi0-fast", "openpi-quantile"),
        ("pi0_base", "openpi-zscore"),
        ("PI0-libero", "openpi-zscore"),
        ("pi0_50k", "openpi-zscore"),
        ("pi05/pi0_base/29999", "openpi-zscore"),  # the name nearest to the file counts
        ("pi0_base/run/assets/pi05", "openpi-quantile"),
        ("happi0", "openpi-quantile"),  # says nothing, and quantiles are there
    ],
)
def test_the_profile_is_inferred_from_the_path(tmp_path: Path, folder: str, profile: str) -> None:
    checkpoint = found(tmp_path / folder, {"norm_stats.json": BOTH})
    (key,) = checkpoint.keys
    assert (key.profile.value, key.profile.status) == (profile, "inferred")
    assert {key.profile.value, *key.alternatives} == {"openpi-quantile", "openpi-zscore"}
    (note,) = checkpoint.findings
    assert (note.code, note.severity, profile in note.message) == ("T1", "note", True)


def test_without_quantiles_only_the_z_score_can_run(tmp_path: Path) -> None:
    moments = {**ACTIONS, "q01": None, "q99": None}
    checkpoint = found(tmp_path / "robot", {"norm_stats.json": wrapped(actions=moments)})
    (key,) = checkpoint.keys
    assert (key.profile.value, key.alternatives, list(key.stats)) == ("openpi-zscore", (), ["mean", "std"])
    assert key.stats.estimator is None
    assert not checkpoint.findings


def test_a_copy_beside_the_assets_is_shadowed_and_compared(tmp_path: Path) -> None:
    other = {**ACTIONS, "q99": [0.6, 0.9, 1.25]}
    files = {
        "assets/a/norm_stats.json": BOTH,
        "assets/far/norm_stats.json": wrapped(actions={**ACTIONS, "mean": [9.0, 9.0, 9.0]}),
        "norm_stats.json": wrapped(actions=other),
    }
    checkpoint = found(tmp_path, files)
    assert [key.key for key in checkpoint.keys] == ["a", "far"]
    assert [key.key for key in checkpoint.shadowed] == ["."]
    (conflict,) = [finding for finding in checkpoint.findings if finding.code == "P2"]
    assert conflict.severity == "warning"
    assert conflict.target.endswith("#a")  # the closest of the assets
    assert dict(conflict.evidence) == {"figure": "q99", "channel": 2, "difference": 0.25, "values": [1.25, 1.0]}


@pytest.mark.parametrize("off", [0.0, 4e-6])
def test_copies_that_agree_to_float32_are_quiet(tmp_path: Path, off: float) -> None:
    other = {**ACTIONS, "q99": [0.6, 0.9, 1.0 + off]}
    files = {"assets/a/norm_stats.json": BOTH, "norm_stats.json": wrapped(actions=other)}
    assert codes(found(tmp_path, files)) == [("T1", "note")]


def test_a_trailing_block_of_zeros_is_padding(tmp_path: Path) -> None:
    padded = {name: [*values[:1], 0.0, *values[1:], 0.0, 0.0] for name, values in ACTIONS.items()}
    padded["mean"][3] = padded["q01"][3] = 0.0  # a live channel may have zeros
    checkpoint = found(tmp_path, {"norm_stats.json": wrapped(actions=padded)})
    (note,) = [finding for finding in checkpoint.findings if finding.code == "S6"]
    assert (note.severity, dict(note.evidence)) == ("note", {"width": 6, "used": 4})
    assert checkpoint.keys[0].stats.dim == 6


def test_a_group_that_openpi_does_not_read_is_named(tmp_path: Path) -> None:
    checkpoint = found(tmp_path, {"norm_stats.json": wrapped(actions=ACTIONS, coarse_actions=ACTIONS)})
    assert [key.key for key in checkpoint.keys] == ["."]
    (note,) = [finding for finding in checkpoint.findings if finding.code == "K4"]
    assert dict(note.evidence) == {"groups": ["coarse_actions"]}


def test_one_broken_asset_leaves_the_others(tmp_path: Path) -> None:
    bad = {**ACTIONS, "std": [0.3, "0.4", 0.2]}
    files = {
        "assets/bad/norm_stats.json": wrapped(actions=bad),
        "assets/empty/norm_stats.json": wrapped(actions={name: [] for name in ACTIONS}),
        "assets/cut/norm_stats.json": '{"norm_stats": {',
        "assets/good/norm_stats.json": BOTH,
        "assets/short/norm_stats.json": wrapped(actions={**ACTIONS, "std": [0.3]}),
    }
    checkpoint = found(tmp_path, files)
    assert [key.key for key in checkpoint.keys] == ["good"]
    assert codes(checkpoint) == [("S1", "error")] * 4 + [("T1", "note")]
    pointers = [finding.pointer for finding in checkpoint.findings if finding.code == "S1"]
    assert pointers[0] == "assets/bad/norm_stats.json#/norm_stats/actions/std"
    assert [record.status for record in checkpoint.files] == ["unreadable"] * 3 + ["read", "unreadable"]
    assert all("norm_stats.json" in record.detail for record in checkpoint.files if record.status == "unreadable")


@pytest.mark.parametrize(
    "content",
    [
        {"bridge_orig": {"action": {**ACTIONS, "mask": [True, True, False]}, "num_transitions": 3}},
        {"norm_stats": {"bridge_orig": {"action": ACTIONS}}},
        {"action": ACTIONS, "observation.state": STATE},
        {"norm_stats": [1, 2]},
        [1, 2],
        '{"norm_stats": ',
    ],
)
def test_files_of_others_are_left_to_them(tmp_path: Path, content: object) -> None:
    assert write(tmp_path, {"norm_stats.json": content}) is None


BLOCKS = st.dictionaries(st.sampled_from(["mean", "std", "q01", "q99"]), values(["mean"]), max_size=4)


@given(
    st.dictionaries(st.sampled_from(["actions", "state", "libero"]), BLOCKS | values(["mean", "actions"]), max_size=3)
)
def test_no_groups_crash_it(tmp_path_factory: pytest.TempPathFactory, groups: dict[str, Any]) -> None:
    files = {"assets/a/norm_stats.json": {"norm_stats": groups}, "norm_stats.json": groups}
    assert says_it_in_words(write(tmp_path_factory.mktemp("hostile"), files))


REAL = {
    "acot-libero": (["."], 7, "K4 T1"),
    "acot-vla": (["."], 32, "K4 P2 S6 T1"),
    "b1k-challenge": (["behavior-1k/2025-challenge-demos"], 32, "P2 S6 T1"),
    "openpi-umi-dual-arm": (["."], 14, "T1"),
    "pi05-humanoid": (["."], 24, "T1"),
    "pi05-libero-finetune": (["."], 7, "T1"),
    "pi05-lora-libero": (["physical-intelligence/libero"], 7, "T1"),
    "robomme": (["."], 8, "T1"),
    "univla-bridge/normalizer_bridge": (["bridge_robot"], 7, "T1"),
    "univla-libero/normalizer_libero": (["libero"], 7, "T1"),
    "vla-so101": (["iter00_norm", "so101_full_episode_delta_seed0_norm"], 6, "T1"),
}


def test_real_checkpoints(shared_registry: Path) -> None:
    checkpoints = {folder.path: read(folder) for folder in Tree(shared_registry / "openpi").folders}
    seen = {
        path: ([key.key for key in c.keys], c.keys[0].stats.dim, " ".join(code for code, _ in codes(c)))
        for path, c in checkpoints.items()
        if c
    }
    assert seen == REAL
    b1k = checkpoints["b1k-challenge"]
    assert b1k is not None
    largest = next(finding.evidence for finding in b1k.findings if finding.code == "P2")
    stats = [key.stats for key in (*b1k.keys, *b1k.shadowed)]
    assert largest["difference"] == max(float(np.abs(stats[0][name] - stats[1][name]).max()) for name in stats[0])


def test_nothing_else_in_the_registry_is_taken_for_openpi(shared_registry: Path) -> None:
    folders = Tree(shared_registry).folders
    assert not [f.path for f in folders if not f.path.startswith("openpi/") and read(f)]


def test_a_model_that_needs_quantiles_is_not_read_as_z_score_without_them(tmp_path: Path) -> None:
    moments = {name: ACTIONS[name] for name in ("mean", "std")}
    checkpoint = found(tmp_path / "pi05", {"norm_stats.json": wrapped(actions=moments)})
    assert [(key.profile.value, key.alternatives) for key in checkpoint.keys] == [
        ("openpi-quantile", ("openpi-zscore",))
    ]
    assert ("S7", "error") in [(finding.code, finding.severity) for finding in diagnose(checkpoint)]


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        ({"norm_stats": {}}, "S1", "/norm_stats"),
        ({}, "S1", ""),
        ([], "S1", ""),
        (wrapped(), "S1", "/norm_stats"),
        (wrapped(actions=None), "S1", "/norm_stats/actions"),
        (wrapped(actions={"mean": [0.0]}), "S7", "/norm_stats/actions"),
        (wrapped(actions={**ACTIONS, "std": None}, coarse_actions=ACTIONS), "S7", "/norm_stats/actions"),
    ],
)
def test_an_asset_without_the_action_is_an_error_and_no_other_group_stands_in(
    tmp_path: Path, content: object, code: str, place: str
) -> None:
    checkpoint = found(tmp_path, {"assets/x/norm_stats.json": content})
    assert (checkpoint.ecosystem, checkpoint.keys) == ("openpi", ())
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity, finding.target) == (code, "error", ".#x")
    assert finding.pointer == f"assets/x/norm_stats.json#{place}"


def test_no_copy_stands_in_for_a_broken_asset(tmp_path: Path) -> None:
    checkpoint = found(tmp_path, {"assets/x/norm_stats.json": "{", "norm_stats.json": BOTH})
    assert (checkpoint.keys, [key.key for key in checkpoint.shadowed]) == ((), ["."])


def test_a_loose_file_without_the_action_is_openpis_by_what_it_holds(tmp_path: Path) -> None:
    assert codes(found(tmp_path, {"norm_stats.json": wrapped()})) == [("S1", "error")]
    assert codes(found(tmp_path, {"norm_stats.json": wrapped(actions={}, arm=ACTIONS)})) == [("S7", "error")]
