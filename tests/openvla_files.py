"""Folders in OpenVLA's layout, and what its reader makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from execspec_fast.formats.openvla import read
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree

MASK = [True, True, False]


def action(shift: float = 0.0, mask: Any = MASK, **more: Any) -> dict[str, Any]:
    figures = {
        "mean": [0.0, 0.1, 0.5],
        "std": [0.2, 0.3, 0.4],
        "min": [-1.0, -2.0, 0.0],
        "max": [1.0, 2.0, 1.0],
        "q01": [-0.5 + shift, -1.0, 0.0],
        "q99": [0.5, 1.0, 1.0],
        "mask": mask,
    }
    return {"action": figures | more, "proprio": {"mean": [0.0]}, "num_transitions": 1000, "num_trajectories": 10}


def without(entry: dict[str, Any], *figures: str) -> dict[str, Any]:
    return entry | {"action": {name: value for name, value in entry["action"].items() if name not in figures}}


def checkpoint(folder: Path, files: Mapping[str, Any]) -> Checkpoint | None:
    """What the reader makes of a folder with these files: JSON, or text as it is."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    (one,) = Tree(folder).folders
    return read(one)


def found(folder: Path, files: Mapping[str, Any]) -> Checkpoint:
    result = checkpoint(folder, files)
    assert result is not None
    return result
