"""LeRobot folders as LeRobot and the safetensors package write them, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from execspec_fast.formats import lerobot
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Folder, Tree
from safetensors.numpy import save_file

Figures = Mapping[str, npt.ArrayLike]

ACTION = {"mean": [0.1, -0.2, 0.5], "std": [0.3, 0.4, 0.2], "min": [-1, -2, 0], "max": [1, 2, 1], "count": [500]}
STATE = {"mean": [0.0] * 8, "std": [1.0] * 8}
NAMES = {
    "post": ("policy_postprocessor", "unnormalizer_processor"),
    "pre": ("policy_preprocessor", "normalizer_processor"),
}
MEAN_STD = {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}


def tensors(root: Path, name: str, blocks: Mapping[str, Figures], dtype: npt.DTypeLike = np.float32) -> None:
    values = {f"{f}.{figure}": np.asarray(v, dtype) for f, block in blocks.items() for figure, v in block.items()}
    save_file(values, root / name)


def pipeline(
    root: Path,
    which: str,
    blocks: Mapping[str, Figures] | None,
    norm_map: Mapping[str, str] = MEAN_STD,
    index: int = 0,
    **config: Any,
) -> None:
    """One pipeline as LeRobot 0.4.4 saves it; `blocks` None names no state file."""
    name, registered = NAMES[which]
    features = {"action": {"type": "ACTION", "shape": [3]}, "observation.state": {"type": "STATE", "shape": [8]}}
    step: dict[str, Any] = {
        "registry_name": registered,
        "config": {"eps": 1e-8, "features": features, "norm_map": dict(norm_map), **config},
    }
    if blocks is not None:
        step["state_file"] = f"{name}_step_{index}_{registered}.safetensors"
        tensors(root, step["state_file"], blocks)
    other = {"registry_name": "device_processor", "config": {"device": "cpu", "float_dtype": None}}
    (root / f"{name}.json").write_text(json.dumps({"name": name, "steps": [*[other] * index, step, other]}))


def policy(root: Path, action: Figures = ACTION, **rest: Any) -> None:
    """A healthy pair of pipelines."""
    pipeline(root, "post", {"action": action}, **rest)
    pipeline(root, "pre", {"action": action, "observation.state": STATE}, index=3, **rest)


def folder_of(root: Path) -> Folder:
    (folder,) = Tree(root).folders
    return folder


def found(root: Path) -> Checkpoint:
    checkpoint = lerobot.read(folder_of(root))
    assert checkpoint is not None
    return checkpoint


def codes(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    return sorted((finding.code, finding.severity) for finding in checkpoint.findings)
