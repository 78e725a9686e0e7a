"""A registry of small checkpoints for timing `execspec audit`: `python bench/registry_generator.py OUT --files 10000`.

OpenVLA, openpi and LeRobot layouts in equal shares of checkpoints, seeded, with figures of plausible robots:
quantiles inside the range, mean inside the quantiles, a two-valued gripper last.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROBOTS = {  # half-width of an action channel: controller input, metres and radians per step, degrees
    "libero": [0.93, 0.93, 0.93, 0.3, 0.3, 0.35],
    "bridge": [0.03, 0.04, 0.04, 0.08, 0.08, 0.2],
    "fractal": [0.2, 0.15, 0.2, 0.5, 0.4, 0.45],
    "so101": [60, 95, 80, 70, 90],
}

Figures = dict[str, np.ndarray]


def figures(rng: np.random.Generator) -> Figures:
    """One key, shape `(D,)` each; the last channel is the gripper, 0 or 1."""
    half = np.array(ROBOTS[str(rng.choice(list(ROBOTS)))]) * rng.uniform(0.7, 1.3)
    mean = half * rng.normal(0, 0.1, half.size)
    std = half * rng.uniform(0.25, 0.45, half.size)
    reach = half * rng.uniform(1.0, 1.5, (2, half.size))
    share = rng.uniform(0.3, 0.7)  # of steps with an open gripper
    low, high = mean - half, mean + half
    body = {"mean": mean, "std": std, "min": mean - reach[0], "max": mean + reach[1], "q01": low, "q99": high}
    gripper = {"mean": share, "std": np.sqrt(share * (1 - share)), "min": 0.0, "max": 1.0, "q01": 0.0, "q99": 1.0}
    return {name: np.append(body[name], gripper[name]) for name in body}


def lists(stats: Figures, names: str) -> dict[str, list[float]]:
    return {name: stats[name].tolist() for name in names.split()}


def openvla(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, bytes]]:
    keys = {}
    for n in range(rng.integers(1, 7)):
        stats = figures(rng)
        mask = [True] * (len(stats["mean"]) - 1) + [False]
        action = {**lists(stats, "mean std min max q01 q99"), "mask": mask}
        keys[f"{folder.name}_task_{n}"] = {"action": action, "num_transitions": int(rng.integers(10_000, 4_000_000))}
    yield folder / "config.json", json.dumps({"model_type": "openvla", "norm_stats": keys}).encode()


def openpi(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, bytes]]:
    groups = {"actions": lists(figures(rng), "mean std q01 q99")}
    yield folder / "assets/lab/robot/norm_stats.json", json.dumps({"norm_stats": groups}).encode()


def lerobot(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, bytes]]:
    stats = {f"action.{name}": value.astype("<f4") for name, value in figures(rng).items()}
    state = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    features = {"action": {"type": "ACTION", "shape": [len(stats["action.mean"])]}}
    mode = str(rng.choice(["MEAN_STD", "MIN_MAX", "QUANTILES"]))
    config = {"eps": 1e-8, "features": features, "norm_map": {"ACTION": mode}}
    step = {"registry_name": "unnormalizer_processor", "config": config, "state_file": state}
    yield folder / "policy_postprocessor.json", json.dumps({"name": "policy_postprocessor", "steps": [step]}).encode()
    yield folder / state, safetensors(stats)


def safetensors(tensors: Figures) -> bytes:
    """Little-endian length of the header, the header as JSON, the tensors one after the other."""
    ends = np.cumsum([0, *(tensor.nbytes for tensor in tensors.values())]).tolist()
    header = {
        name: {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
        for (name, tensor), start, end in zip(tensors.items(), ends, ends[1:], strict=False)
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensor.tobytes() for tensor in tensors.values())


ECOSYSTEMS: dict[str, Callable[[Path, np.random.Generator], Iterator[tuple[Path, bytes]]]] = {
    "openvla": openvla,
    "pi05": openpi,
    "lerobot": lerobot,
}


def generate(out: Path, files: int, seed: int = 0) -> tuple[int, int]:
    """Write checkpoints until there are at least `files` files; returns how many files and checkpoints."""
    rng = np.random.default_rng(seed)
    written = checkpoints = 0
    while written < files:
        name = list(ECOSYSTEMS)[checkpoints % len(ECOSYSTEMS)]
        folder = out / f"lab-{checkpoints % 40:02d}" / f"{name}-{checkpoints:05d}"
        for path, content in ECOSYSTEMS[name](folder, rng):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written += 1
        checkpoints += 1
    return written, checkpoints


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to create; must not exist")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True)
    written, checkpoints = generate(options.out, options.files, options.seed)
    print(f"{written} files of {checkpoints} checkpoints in {options.out}")
