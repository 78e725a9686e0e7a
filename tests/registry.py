"""Small registries in native layouts, with figures of made-up robots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

HALF = np.array([0.9, 0.8, 0.7, 0.3, 0.25, 0.2])


def action(scale: float = 1.0, shift: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Figures of a 7-channel action whose last channel is a gripper, 0 or 1."""
    low, high = -scale * HALF + shift, scale * HALF + shift
    arm = {
        "mean": (low + high) / 2,
        "std": (high - low) / 5,
        "min": low * 1.2 - 0.01,
        "max": high * 1.2 + 0.01,
        "q01": low,
        "q99": high,
    }
    gripper = {"mean": 0.5, "std": 0.5, "min": 0.0, "max": 1.0, "q01": 0.0, "q99": 1.0}
    figures: dict[str, Any] = {name: [*values.tolist(), gripper[name]] for name, values in arm.items()}
    return {**figures, "mask": [True] * 6 + [False], **changes}


def openvla(folder: Path, keys: dict[str, dict[str, Any]], file: str = "dataset_statistics.json") -> Path:
    """A checkpoint that publishes these action blocks by key."""
    folder.mkdir(parents=True, exist_ok=True)
    table = {key: {"action": block, "num_transitions": 1000} for key, block in keys.items()}
    (folder / file).write_text(json.dumps({"norm_stats": table} if file == "config.json" else table))
    return folder
