"""LeRobot's processor pipelines: `policy_postprocessor.json`, `policy_preprocessor.json` and their state files.

    {"name": …, "steps": [{"registry_name": "unnormalizer_processor", "state_file": "….safetensors",
                           "config": {"eps": 1e-08, "features": {…}, "norm_map": {"ACTION": "MEAN_STD"}}}]}

A state file holds `<feature>.<figure>` tensors, split at the last dot, which LeRobot loads as float32 whatever their
dtype. The step's index, and with it the name of the state file, differs from pipeline to pipeline.
Source: lerobot 0.4.4 `processor/pipeline.py`, `processor/normalize_processor.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import FormatError
from ..stats import FloatArray
from .figures import numbers
from .published import Source
from .safetensors import read_header, read_tensors
from .strict_json import escape
from .tree import File, Folder

POST, PRE = "policy_postprocessor", "policy_preprocessor"
SCALING = {POST: "unnormalizer_processor", PRE: "normalizer_processor"}
"""Registered name of the step that scales the action."""

_CLASSES = {"UnnormalizerProcessorStep": SCALING[POST], "NormalizerProcessorStep": SCALING[PRE]}
_STATE = re.compile(r"(policy_(?:post|pre)processor)_step_\d+_(?:un)?normalizer_processor\.safetensors")


@dataclass(frozen=True)
class Block:
    """The statistics of one feature.

    Attributes:
        values: figure to float64 values, at least one channel wide; names as published.
        source: where they were read.
        float32: whether LeRobot holds them as float32 (a state file) or as written (in the pipeline itself).
    """

    values: Mapping[str, FloatArray]
    source: Source
    float32: bool


@dataclass(frozen=True)
class Entry:
    """One step as the pipeline lists it: its place, registered name, `config`, name of its state file or None."""

    file: File
    pointer: str
    name: str
    config: Mapping[str, Any]
    state: str | None

    @property
    def place(self) -> str:
        return f"{self.file.path}#{self.pointer}"


@dataclass(frozen=True)
class Step:
    """The step that scales the action, with the statistics it would be loaded with.

    Attributes:
        place: where it is listed, `FILE#/steps/3`; of a state file without a pipeline, that file.
        norm_map: feature type to mode; None if no pipeline says so.
        features: declared features, name to `{"type", "shape"}`.
        eps: the step's epsilon, None for LeRobot's own.
        blocks: by feature; empty if the step names no statistics.
        problem: why the statistics it names could not be read, else empty.
    """

    place: str
    norm_map: Mapping[str, Any] | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    eps: float | None = None
    blocks: Mapping[str, Block] = field(default_factory=dict)
    problem: str = ""

    @property
    def mode(self) -> str | None:
        """What happens to the action; LeRobot takes a missing entry for IDENTITY. None if no pipeline says so."""
        return None if self.norm_map is None else str(self.norm_map.get("ACTION", "IDENTITY"))


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: the files it was read from, its steps, and the one that scales the action (None if there is none).

    A state file whose pipeline is missing makes a pipeline without entries.
    """

    files: tuple[File, ...]
    entries: tuple[Entry, ...]
    step: Step | None


def read_pipeline(folder: Folder, name: str) -> Pipeline | None:
    """The pipeline of that name; None if the folder has nothing of it.

    Raises:
        FormatError: the pipeline's JSON does not parse or is none. An unreadable state file is the step's `problem`.
    """
    file = folder.files.get(f"{name}.json")
    if file is None:
        state = next((path for path in folder.files if (m := _STATE.fullmatch(path)) and m[1] == name), None)
        if state is None:
            return None
        step, files = _stored(folder, state, Step(folder.files[state].path))
        return Pipeline(files, (), step)
    entries = _entries(file)
    scaling = next((entry for entry in entries if entry.name == SCALING[name]), None)
    if scaling is None:
        return Pipeline((file,), entries, None)
    step, files = _step(folder, scaling)
    return Pipeline((file, *files), entries, step)


def _entries(file: File) -> tuple[Entry, ...]:
    document = file.json()
    steps = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        raise file.error("a pipeline is an object with a list of `steps`", "")
    return tuple(_entry(file, f"/steps/{n}", step) for n, step in enumerate(steps))


def _entry(file: File, pointer: str, step: object) -> Entry:
    if isinstance(step, dict):
        name = step.get("registry_name") or step.get("class")
        config, state = step.get("config", {}), step.get("state_file")
        if isinstance(name, str) and isinstance(config, dict) and isinstance(state, str | None):
            name = name.rpartition(".")[2]
            return Entry(file, pointer, _CLASSES.get(name, name), config, state)
    raise file.error("a step is a `registry_name` or `class`, a `config` and perhaps a `state_file`", pointer)


def _step(folder: Folder, entry: Entry) -> tuple[Step, tuple[File, ...]]:
    """The scaling step, and the further files it was read from."""
    file, inside = entry.file, f"{entry.pointer}/config"
    norm_map, features = entry.config.get("norm_map", {}), entry.config.get("features", {})
    if not isinstance(norm_map, dict) or not isinstance(features, dict):
        raise file.error("`norm_map` and `features` must be objects", inside)
    eps = entry.config.get("eps")
    if eps is not None and (type(eps) not in (int, float) or eps < 0):
        raise file.error(f"eps is {eps!r}, not a number from 0", f"{inside}/eps")
    step = Step(entry.place, norm_map, features, None if eps is None else float(eps))
    if entry.config.get("stats"):  # given to the constructor, where it wins over the state file
        return replace(step, blocks=_inline(file, f"{inside}/stats", entry.config["stats"])), ()
    return _stored(folder, entry.state, step) if entry.state is not None else (step, ())


def _inline(file: File, pointer: str, stats: object) -> dict[str, Block]:
    if not isinstance(stats, dict) or not all(isinstance(block, dict) for block in stats.values()):
        raise file.error("`stats` must hold one object per feature", pointer)
    blocks = {}
    for feature, block in stats.items():
        place = f"{pointer}/{escape(feature)}"
        values = {name: numbers(file.error, f"{place}/{escape(name)}", value) for name, value in block.items()}
        blocks[feature] = Block(values, file.source(place), float32=False)
    return blocks


def _stored(folder: Folder, state: str, step: Step) -> tuple[Step, tuple[File, ...]]:
    """The step with the tensors of its state file, and that file."""
    file = folder.files.get(state)
    if file is None:
        return replace(step, problem=f"state file {state!r} is not in the folder"), ()
    figures: dict[str, dict[str, FloatArray]] = {}
    try:
        for name, values in read_tensors(file, read_header(file)).items():
            feature, _, figure = name.rpartition(".")
            figures.setdefault(feature, {})[figure] = as_float32(values)
    except FormatError as error:
        return replace(step, problem=str(error)), ()
    blocks = {feature: Block(values, file.source(feature), float32=True) for feature, values in figures.items()}
    return replace(step, blocks=blocks), (file,)


def as_float32(values: FloatArray) -> FloatArray:
    """Stored values as LeRobot holds them, whatever dtype the file has: float32, at least one channel wide."""
    with np.errstate(over="ignore"):
        return np.atleast_1d(values.astype(np.float32).astype(np.float64))
