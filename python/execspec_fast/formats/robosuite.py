"""robosuite controller configs: `controllers/config/*.json` (1.0 to 1.4) and composite files (1.5).

1.4 says `control_delta`, 1.5 renames it `input_type` and adds `input_ref_frame`; a composite file nests one config
per body part. Source: robosuite 1.4.0 `controllers/base_controller.py`, `osc.py`; 1.5.2 `controllers/parts`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..controller import Controller
from ..controllers import PANDA_GRIPPER, TWO_FINGER
from ..conventions import UNKNOWN, Fact, declared, inferred
from ..errors import FormatError
from .figures import numbers
from .tree import File

UNITS = {
    "OSC_POSE": ("m", "m", "m", "rad", "rad", "rad"),
    "OSC_POSITION": ("m", "m", "m"),
    "JOINT_POSITION": ("rad",),
    "JOINT_VELOCITY": ("rad/s",),
    "JOINT_TORQUE": ("N m",),
}
"""Unit of each output channel; the joint controllers repeat theirs."""

LIMITS = ("input_min", "input_max", "output_min", "output_max")


def is_controller(document: object) -> bool:
    """Whether a JSON document is a controller config or a composite of them."""
    return any(True for _ in _parts(document, ""))


def read_controller(file: File, part: str = "") -> Controller:
    """The controller of a file, or of one `part` of a composite file (default: `arms/right`, which robosuite
    gives to a robot with a single arm).

    Raises:
        FormatError: no controller of that name, or one without a linear scale (IK).
    """
    parts = dict(_parts(file.json(), ""))
    if not parts:
        raise FormatError("no robosuite controller config: no `type` and no `body_parts`", file=file.path)
    wanted = part or ("" if "" in parts else "arms/right")
    if wanted not in parts:
        listed = ", ".join(name or "(the file itself)" for name in parts)
        raise FormatError(f"no part {wanted!r}; the file configures: {listed}", file=file.path)
    return _controller(file, wanted, parts[wanted])


def _parts(node: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Configs by body part; a document that is one config is part ``."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get("type"), str) and (node["type"] in UNITS or node["type"] == "IK_POSE"):
        yield path, node
        return
    below = node if path else node.get("body_parts")
    if isinstance(below, dict):
        for name, part in below.items():
            yield from _parts(part, f"{path}/{name}" if path else name)


def _controller(file: File, part: str, config: dict[str, Any]) -> Controller:
    pointer = f"/body_parts/{part}" if part else ""
    kind = config["type"]
    missing = [name for name in LIMITS if name not in config]
    if kind not in UNITS or missing:
        what = ", ".join(missing) or "linear scale"
        raise FormatError(f"{kind} has no {what}: drift stays in action units", file=file.path, pointer=pointer)
    values = {name: numbers(file.error, f"{pointer}/{name}", config[name]) for name in LIMITS}
    dim = len(UNITS[kind]) if kind.startswith("OSC") else max(len(value) for value in values.values())
    if any(value.shape not in ((1,), (dim,)) for value in values.values()):
        lengths = ", ".join(f"{name} {value.shape}" for name, value in values.items())
        raise file.error(f"limits of different lengths: {lengths}; {kind} takes {dim}", pointer)
    full: dict[str, Any] = {name: np.broadcast_to(value, (dim,)) for name, value in values.items()}
    if not (full["input_max"] > full["input_min"]).all():
        raise file.error("input_max must exceed input_min on every channel", pointer)
    unit = UNITS[kind] if len(UNITS[kind]) == dim else UNITS[kind] * dim
    where = f"{file.path}#{pointer}"
    delta = _delta(where, kind, config)
    passes = delta.value is False and unit[0] in ("m", "rad")
    if passes:
        full = {name: np.full(dim, -np.inf if name.endswith("min") else np.inf) for name in LIMITS}
    controller = Controller(
        name=kind,
        part=part,
        **full,
        unit=unit,
        source=where,
        beyond=inferred("pass", "robosuite neither clips nor scales an absolute position")
        if passes
        else inferred("clip", "robosuite's scale_action clips to the input range"),
        delta=delta,
        reference=inferred("achieved", "robosuite adds deltas to the achieved state") if delta.value else UNKNOWN,
        frame=_frame(where, kind, config),
        rotation=inferred("axis_angle", "robosuite's OSC_POSE reads an axis-angle vector")
        if kind == "OSC_POSE"
        else UNKNOWN,
        gripper=inferred(TWO_FINGER, f"as {PANDA_GRIPPER}"),
    )
    if not np.isfinite(controller.scale).all():
        raise file.error("output range over input range is no finite scale", pointer)
    return controller


def _delta(where: str, kind: str, config: dict[str, Any]) -> Fact[bool]:
    if isinstance(config.get("input_type"), str):
        return declared(config["input_type"] == "delta", f"{where}/input_type")
    if isinstance(config.get("control_delta"), bool):
        return declared(config["control_delta"], f"{where}/control_delta")
    if kind in ("JOINT_VELOCITY", "JOINT_TORQUE"):
        return inferred(False, f"{kind} is sent targets")
    return inferred(True, f"robosuite's default for {kind}")


def _frame(where: str, kind: str, config: dict[str, Any]) -> Fact[str]:
    if not kind.startswith("OSC"):
        return UNKNOWN
    if isinstance(config.get("input_ref_frame"), str):
        return declared(config["input_ref_frame"], f"{where}/input_ref_frame")
    if "input_type" in config:
        return inferred("base", "robosuite 1.5's default")
    if "control_delta" in config:
        return inferred("world", "robosuite up to 1.4 adds deltas along world axes")
    return UNKNOWN
