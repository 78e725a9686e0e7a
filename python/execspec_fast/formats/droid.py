"""DROID's robot model for Polymetis: `config/panda/franka_panda.yaml`, which limits absolute joint positions.

The file is flat YAML: one `key: value` per line, values numbers, words, quoted strings or one-line lists of numbers.
No more of YAML is read, so that a file that is more than that is refused and not misread.
Source: droid-dataset/droid config/panda/franka_panda.yaml.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..controller import Controller
from ..conventions import declared, inferred
from ..errors import FormatError
from ..stats import FloatArray
from .tree import File

LIMITS = ("joint_limits_low", "joint_limits_high")
_LINE = re.compile(r"(\w+):[ \t]+(\S.*)")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def is_robot_model(file: File) -> bool:
    """Whether a YAML file is such a robot model, by its first lines."""
    return file.name.endswith((".yaml", ".yml")) and b"robot_description_path:" in file.head(4096)


def read_controller(file: File) -> Controller:
    """The joint position controller that the model configures: absolute targets in rad within the joint limits.

    What happens to a target beyond them is not in the file, and unknown.

    Raises:
        FormatError: not flat YAML, or no joint limits; with the line.
    """
    entries = _entries(file)
    low, high = (_numbers(file, entries, name) for name in LIMITS)
    dofs = entries.get("num_dofs", (low.size, 0))[0]
    if low.size != high.size or low.size != dofs or not low.size:
        raise FormatError(f"{low.size} lower and {high.size} upper joint limits for {dofs} joints", file=file.path)
    if not (high > low).all():
        joint = int(np.argmin(high > low))
        raise FormatError(f"joint {joint}: upper limit {high[joint]} does not exceed {low[joint]}", file=file.path)
    return Controller(
        name="polymetis-joint_position",
        input_min=low,
        input_max=high,
        output_min=low,
        output_max=high,
        unit=("rad",) * low.size,
        source=f"{file.path}#{LIMITS[0]}",
        delta=inferred(False, "Polymetis's joint limits are of absolute positions"),
        remarks=(
            declared("joint limits only: rate, gripper and what happens at a limit are not in the file", file.path),
        ),
    )


def _entries(file: File) -> dict[str, tuple[Any, int]]:
    """Value and line, by key."""
    try:
        lines = file.read().decode().splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 at byte {error.start}", file=file.path) from None
    entries: dict[str, tuple[Any, int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None or match[1] in entries:
            reason = f"{match[1]!r} occurs twice" if match else "expected `key: value` on one line"
            raise FormatError(reason, file=file.path, line=number, column=1)
        entries[match[1]] = _value(match[2]), number
    return entries


def _value(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        items = [_value(item.strip()) for item in text[1:-1].split(",")] if text[1:-1].strip() else []
        return items if all(isinstance(item, int | float) for item in items) else text
    if _NUMBER.fullmatch(text):
        return float(text)
    return text.strip("\"'")


def _numbers(file: File, entries: dict[str, tuple[Any, int]], name: str) -> FloatArray:
    value, line = entries.get(name, (None, 0))
    if not isinstance(value, list) or not np.isfinite(value).all():
        reason = f"no {name}" if value is None else f"{name} is no one-line list of finite numbers"
        raise FormatError(reason, file=file.path, line=line, column=int(line > 0))
    return np.array(value, np.float64)
