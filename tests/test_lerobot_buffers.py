"""LeRobot up to 0.3: action statistics among the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from execspec_fast.formats import lerobot
from lerobot_files import ACTION, codes, folder_of, found, policy
from safetensors.numpy import save_file


def weights(root: Path, names: Mapping[str, npt.ArrayLike], dtype: npt.DTypeLike = np.float32) -> None:
    values = {name: np.asarray(value, dtype) for name, value in names.items()}
    save_file({**values, "model.encoder.weight": np.zeros((64, 64), np.float32)}, root / "model.safetensors")


@pytest.mark.parametrize("wrapper", ["", "model.", "_orig_mod.", "model._orig_mod."])
@pytest.mark.parametrize("dot", [".", "_"])
def test_buffers(tmp_path: Path, wrapper: str, dot: str) -> None:
    stem = f"{wrapper}unnormalize_outputs.buffer_action{dot}"
    weights(tmp_path, {f"{stem}mean": ACTION["mean"], f"{stem}std": ACTION["std"]})
    checkpoint = found(tmp_path)
    (key,) = checkpoint.keys
    assert (key.key, key.profile.value, key.profile.status) == ("action", "lerobot-0.3-mean_std", "declared")
    assert key.profile.why == f"model.safetensors#{stem}mean"
    assert (list(key.stats), key.stats.float32) == (["mean", "std"], True)
    assert not checkpoint.findings
    assert [(record.path, record.status) for record in checkpoint.files] == [("model.safetensors", "read")]


def test_buffers_of_the_other_mode_and_of_both(tmp_path: Path) -> None:
    stem = "unnormalize_outputs.buffer_action."
    weights(tmp_path, {f"{stem}min": ACTION["min"], f"{stem}max": ACTION["max"]})
    assert found(tmp_path).keys[0].profile.value == "lerobot-0.3-min_max"
    weights(tmp_path, {f"{stem}{figure}": ACTION[figure] for figure in ("mean", "std", "min", "max")})
    (key,) = found(tmp_path).keys
    assert (key.profile.status, key.alternatives) == ("inferred", ("lerobot-0.3-min_max",))


def test_buffers_per_dataset_are_keys(tmp_path: Path) -> None:
    names = {
        f"model.unnormalize_outputs.{dataset}.buffer_action.{figure}": np.full(3, value)
        for dataset, value in (("so100", 26.4), ("so100-blue", 14.1))
        for figure in ("mean", "std")
    }
    weights(tmp_path, names)
    keys = {key.key: float(key.stats["std"][0]) for key in found(tmp_path).keys}
    assert keys == {"so100": float(np.float32(26.4)), "so100-blue": float(np.float32(14.1))}


def test_a_buffer_that_was_never_set_is_published_as_it_is(tmp_path: Path) -> None:
    stem = "unnormalize_outputs.buffer_action."
    weights(tmp_path, {f"{stem}mean": np.full(3, np.inf), f"{stem}std": np.full(3, np.inf)})
    assert np.isposinf(found(tmp_path).keys[0].stats["mean"]).all()


def test_buffers_that_do_not_fit_each_other(tmp_path: Path) -> None:
    stem = "unnormalize_outputs.buffer_action."
    weights(tmp_path, {f"{stem}mean": np.zeros(3), f"{stem}std": np.ones(2)})
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "error")])
    assert checkpoint.findings[0].pointer == f"model.safetensors#{stem}mean"
    assert [record.status for record in checkpoint.files] == ["unreadable"]


def test_weights_that_were_not_fetched_are_nobodys(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8\n")
    assert lerobot.read(folder_of(tmp_path)) is None


def test_training_by_other_numbers(tmp_path: Path) -> None:
    trained = {
        f"normalize_targets.buffer_action.{figure}": np.asarray(ACTION[figure]) + 1 for figure in ("mean", "std")
    }
    executed = {f"unnormalize_outputs.buffer_action.{figure}": ACTION[figure] for figure in ("mean", "std")}
    weights(tmp_path, {**trained, **executed})
    assert codes(found(tmp_path)) == [("P2", "error")]


def test_pipelines_win_over_buffers(tmp_path: Path) -> None:
    policy(tmp_path)
    stem = "unnormalize_outputs.buffer_action."
    weights(tmp_path, {f"{stem}mean": ACTION["mean"], f"{stem}std": ACTION["std"]})
    checkpoint = found(tmp_path)
    assert [key.profile.value for key in checkpoint.keys] == ["lerobot-mean_std"]
    assert [key.profile.value for key in checkpoint.shadowed] == ["lerobot-0.3-mean_std"]
    assert not checkpoint.findings
    weights(tmp_path, {f"{stem}mean": [9.0, 9.0, 9.0], f"{stem}std": ACTION["std"]})
    assert codes(found(tmp_path)) == [("P2", "warning")]


@pytest.mark.parametrize(("mode", "expected"), [("MEAN_STD", []), ("MIN_MAX", [("P2", "warning")])])
def test_buffers_of_another_mode_than_the_settings_name(
    tmp_path: Path, mode: str, expected: list[tuple[str, str]]
) -> None:
    stem = "unnormalize_outputs.buffer_action."
    weights(tmp_path, {f"{stem}mean": ACTION["mean"], f"{stem}std": ACTION["std"]})
    settings = {"normalization_mapping": {"ACTION": mode}, "output_features": {"action": {"shape": [3]}}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert codes(found(tmp_path)) == expected
