"""Stacks with one small JSON file, and those with their un-normalizer among the weights."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats import small_stacks, tensor_stats
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree
from execspec_fast.registry import load_spec, open_registry
from safetensors.numpy import save_file

U = np.array([[1.0, -0.5], [0.25, 2.0]])
MEAN, STD, LOW, HIGH = np.array([0.1, 0.2]), np.array([0.5, 2.0]), np.array([-1.0, 0.0]), np.array([1.0, 4.0])
ACT = {"action_mean": MEAN.tolist(), "action_std": STD.tolist(), "qpos_mean": [0.0], "qpos_std": [1.0]}
BOUNDS = {"action_min": LOW.tolist(), "action_max": HIGH.tolist()}


def write(folder: Path, document: Any, name: str = "dataset_stats.json") -> Path:
    (folder / name).write_text(json.dumps(document))
    return folder


def read(folder: Path) -> Checkpoint | None:
    (only,) = Tree(folder).folders
    return small_stacks.read(only) or tensor_stats.read(only)


@pytest.mark.parametrize(
    ("document", "profile", "want"),
    [
        (ACT, "act", U * STD + MEAN),
        (ACT | BOUNDS, "tinyvla", (U + 1) / 2 * (HIGH - LOW) + LOW),
        ({"out_ori_act": {"min": [-1, 0], "max": [1, 4]}}, "vla0", U * (HIGH - LOW) + LOW),
        ({"state": {}, "action": {"mean": MEAN.tolist(), "std": STD.tolist()}}, "go1", U * STD + MEAN),
        ({"actions": {"scale": [STD.tolist()], "offset": [MEAN.tolist()]}}, "robomimic", U * STD + MEAN),
        ({"kuka": {f"state_{name}": [0.0, 1.0] for name in ("mean", "std", "min", "max")}}, "rdt", U),
    ],
)
def test_each_layout_runs_its_own_formula(tmp_path: Path, document: Any, profile: str, want: np.ndarray) -> None:
    spec = load_spec(write(tmp_path, document))
    assert (spec.profile, spec.ecosystem) == (profile, profile)
    assert spec.unnormalize(U) == pytest.approx(want, rel=1e-15)


def test_the_other_head_is_an_alternative(tmp_path: Path) -> None:
    found = read(write(tmp_path, ACT | BOUNDS))
    assert found
    assert found.keys[0].alternatives == ("act",)
    assert [finding.code for finding in found.findings] == ["T1"]
    assert load_spec(tmp_path, profile="act").unnormalize(U) == pytest.approx(U * STD + MEAN)


def test_dexvla_copies_its_pickle_to_norm_stats(tmp_path: Path) -> None:
    extra = {"example_qpos": [[0.0, 0.0]], "episode_lens": [13, 11]}
    spec = load_spec(write(tmp_path, ACT | BOUNDS | extra, "norm_stats.json"))
    assert (spec.key, spec.profile, spec.alternatives) == ("action", "tinyvla", ("act",))


def test_wall_x_writes_openpi_s_file_with_names_of_its_own(tmp_path: Path) -> None:
    group = {"mean": MEAN.tolist(), "std": STD.tolist(), "q01": LOW.tolist(), "q99": HIGH.tolist()}
    write(tmp_path, {"norm_stats": {"action": group, "observation.state": group}}, "norm_stats.json")
    (spec,) = open_registry(tmp_path).specs
    assert (spec.ecosystem, spec.key, spec.profile) == ("wall-x", "action", "wall-x-q99")
    assert spec.unnormalize(U) == pytest.approx((U + 1) / 2 * (HIGH - LOW) + LOW, rel=1e-15)


@pytest.mark.parametrize(("config", "codes"), [({"norm": False}, ["K3"]), ({"norm": True}, []), ({}, [])])
def test_go1_un_normalizes_where_its_configuration_says_so(tmp_path: Path, config: Any, codes: list[str]) -> None:
    write(tmp_path, config, "config.json")
    found = read(write(tmp_path, {"state": {}, "action": {"mean": [0.0], "std": [1.0]}}, "data_stats.json"))
    assert found
    assert [finding.code for finding in found.findings] == codes


def test_rdt_is_said_to_do_nothing_and_its_client_to_scale_the_grippers(tmp_path: Path) -> None:
    figures = {f"state_{name}": [0.0] * 128 for name in ("mean", "std", "min", "max")}
    write(tmp_path, {"a": {"dataset_name": "kuka", **figures}, "jaco": figures}, "dataset_stat.json")
    found = read(tmp_path)
    assert found
    assert [key.key for key in found.keys] == ["kuka", "jaco"]
    assert [finding.code for finding in found.findings] == ["T1", "K3"]
    agilex = load_spec(tmp_path, key="kuka", profile="rdt-agilex")
    assert agilex.gripper == (10, 60)
    a = agilex.unnormalize(np.ones(128))
    assert (a[10], a[60], np.delete(a, [10, 60]).tolist()) == (13.9231, 11.8997, [1.0] * 126)


@pytest.mark.parametrize("document", [{}, [], {"action_mean": [0.0]}, {"action": {"mean": [0.0], "std": [1.0]}}, 3])
def test_other_documents_are_left_to_others(tmp_path: Path, document: Any) -> None:
    assert read(write(tmp_path, document)) is None


def test_figures_that_do_not_parse_are_an_error_with_the_place(tmp_path: Path) -> None:
    found = read(write(tmp_path, ACT | {"action_std": [1.0, "x"]}))
    assert found
    assert not found.keys
    assert "/action_std" in found.findings[0].message


# Among the weights

F32 = np.float32
TENSORS = {
    "diffusion-policy": {
        "model.weight": np.zeros((2, 2), F32),
        "normalizer.params_dict.obs.scale": np.ones(3, F32),
        "normalizer.params_dict.action.scale": np.array([3.0, 0.1], F32),
        "normalizer.params_dict.action.offset": np.array([0.7, -0.2], F32),
        "normalizer.params_dict.action.input_stats.min": np.array([-1.0, -2.0], F32),
        "normalizer.params_dict.action.input_stats.max": np.array([1.0, 2.0], F32),
    },
    "robomimic": {
        "action_normalization_stats.actions.scale": np.array([[3.0, 0.1]], F32),
        "action_normalization_stats.actions.offset": np.array([[0.7, -0.2]], F32),
    },
    "wall-x": {
        "model.normalizer_action.min.x2_normal": np.array([0.7, -0.2], F32),
        "model.normalizer_action.delta.x2_normal": np.array([3.0, 0.1], F32),
    },
}
LITERAL = {
    "diffusion-policy": lambda u: (u - F32([0.7, -0.2])) / F32([3.0, 0.1]),
    "robomimic": lambda u: u * F32([3.0, 0.1]) + F32([0.7, -0.2]),
    "wall-x": lambda u: (u + 1) / 2 * F32([3.0, 0.1]) + F32([0.7, -0.2]),
}


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
@pytest.mark.parametrize("profile", TENSORS)
def test_tensors_run_the_literal_formula(tmp_path: Path, profile: str, suffix: str) -> None:
    file = tmp_path / f"model.{suffix}"
    if suffix == "npz":
        np.savez(file, **TENSORS[profile])
    else:
        save_file(TENSORS[profile], file)
    spec = load_spec(tmp_path)
    assert (spec.profile, spec.profile_fact.status, spec.ecosystem) == (profile, "declared", profile)
    assert spec.key == {"diffusion-policy": "action", "robomimic": "actions", "wall-x": "x2_normal"}[profile]
    u = U.astype(F32)
    assert spec.unnormalize(u).tolist() == LITERAL[profile](u).tolist()


def test_a_normalizer_of_no_dict_is_the_action_s(tmp_path: Path) -> None:
    save_file(
        {f"normalizer.params_dict._default.{n}": np.ones(2, F32) for n in ("scale", "offset")},
        tmp_path / "m.safetensors",
    )
    assert load_spec(tmp_path).key == "action"


def test_a_normalizer_saved_alone_that_does_nothing_is_told(tmp_path: Path) -> None:
    """Diffusion Policy's is the identity for robomimic's relative actions."""
    tensors = {"scale": np.ones(2, F32), "offset": np.zeros(2, F32), "input_stats.min": np.array([-0.5, -1.0], F32)}
    save_file({f"params_dict.action.{name}": values for name, values in tensors.items()}, tmp_path / "m.safetensors")
    found = read(tmp_path)
    assert found
    assert [(finding.code, finding.evidence["channels"]) for finding in found.findings] == [("K3", [0, 1])]
    tensors["scale"] = np.array([1.0, 2.0], F32)  # the gripper and a rotation may well be left as they are
    save_file({f"params_dict.action.{name}": values for name, values in tensors.items()}, tmp_path / "m.safetensors")
    assert (found := read(tmp_path))
    assert not found.findings


def test_wall_x_s_channels_without_statistics_are_told(tmp_path: Path) -> None:
    tensors = {"min": np.array([0.7, 0.0], F32), "delta": np.array([1.0, 1.0], F32)}
    save_file({f"normalizer_action.{name}.x2": values for name, values in tensors.items()}, tmp_path / "m.safetensors")
    assert (found := read(tmp_path))
    assert [(finding.code, finding.evidence["channels"]) for finding in found.findings] == [("S2", [1])]


def test_a_scale_of_zero_is_refused_with_its_channel(tmp_path: Path) -> None:
    tensors = dict(TENSORS["diffusion-policy"], **{"normalizer.params_dict.action.scale": np.array([1.0, 0.0], F32)})
    save_file(tensors, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"channel 1: cannot divide by scale = 0\.0"):
        load_spec(tmp_path)


def test_hostile_archives_are_no_weights(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    np.save(bomb, np.array([{"a": 1}], object), allow_pickle=True)
    names = list(TENSORS["robomimic"])
    for content in (bomb.getvalue(), b"", b"x", b"\x93NUMPY" + bytes(2**17)):
        file = tmp_path / "model.npz"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(f"{name}.npy", content)
        found = read(tmp_path)
        assert found
        assert not found.keys
        assert found.findings[0].severity == "error"
    file.write_bytes(b"PK\x03\x04 not an archive")
    assert read(tmp_path) is None


def test_real_files(shared_registry: Path) -> None:
    act = load_spec(shared_registry / "act" / "act-itakura")
    assert (act.profile, act.dim) == ("act", 8)
    vla0 = load_spec(shared_registry / "vla0" / "vla0-sglang")
    assert vla0.unnormalize(np.array([0.5] * 7))[0] == 0.0
    (only,) = Tree(shared_registry / "rdt" / "rdt-1b").folders
    found = small_stacks.read(only)
    assert found
    assert len(found.keys) == 52
    assert {key.stats.dim for key in found.keys} == {89, 128}
