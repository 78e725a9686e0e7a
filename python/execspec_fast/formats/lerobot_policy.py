"""The parts of a LeRobot policy folder, and the keys they publish.

The key is `action`, the feature LeRobot looks up. From 0.4 the post-processor pipeline un-normalizes, up to 0.3 buffers
inside the weights do; where both are there, the pipeline counts. `config.json` holds the policy's settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ..conventions import UNKNOWN, Conventions, Fact, declared, infer_gripper, inferred
from ..errors import FormatError
from ..stats import FIGURES, NormStats
from .figures import declared_at, make_stats, record, unreadable
from .lerobot_buffers import Buffers, read_buffers
from .lerobot_pipelines import POST, PRE, Block, Pipeline, Step, read_pipeline
from .published import FileRecord, Published, Source, sources
from .safetensors import TensorInfo, read_header
from .tree import File, Folder

ECOSYSTEM = "lerobot"
ACTION = "action"
CONFIG, WEIGHTS = "config.json", "model.safetensors"

MODES = {
    "MEAN_STD": ("lerobot-mean_std", ("mean", "std")),
    "MIN_MAX": ("lerobot-min_max", ("min", "max")),
    "QUANTILES": ("lerobot-quantiles", ("q01", "q99")),
    "QUANTILE10": ("lerobot-quantile10", ("q10", "q90")),
    "IDENTITY": ("lerobot-identity", ()),
}
"""LeRobot's `NormalizationMode`: the profile, and the figures it reads."""

_ACTION_BLOCK = re.compile(r"(?:.*[._/])?actions?", re.IGNORECASE)

T = TypeVar("T")


def fitting(stats: NormStats) -> tuple[str, ...]:
    """Profiles of LeRobot that these figures can serve, the default of most policies first."""
    return tuple(profile for profile, figures in MODES.values() if figures and all(name in stats for name in figures))


@dataclass(frozen=True)
class Policy:
    """What one folder holds of a LeRobot policy.

    Attributes:
        settings: `config.json`, None if it is absent or another library's.
        post, pre: the pipelines, None if absent or broken.
        buffers: action buffers inside the weights.
        weights: whether the weights are there and their header is readable.
        broken: why a pipeline, or the buffers, cannot be read.
        records: one per file read.
    """

    folder: Folder
    settings: Mapping[str, Any] | None
    post: Pipeline | None
    pre: Pipeline | None
    buffers: tuple[Buffers, ...]
    weights: bool
    broken: tuple[FormatError, ...]
    records: tuple[FileRecord, ...]

    def setting(self, kind: type[T], *names: str) -> Fact[T]:
        """A value of `config.json` by the names on the way to it; unknown if it is absent or of another type."""
        if self.settings is None:
            return UNKNOWN
        fact = declared_at(self.folder.files[CONFIG], self.settings, *names)
        return fact if type(fact.value) is kind else UNKNOWN

    def sources(self, stats: Source) -> dict[str, Source]:
        """The place of a key's figures, and the files that say how and on what they are used."""
        config = None if self.settings is None else self.folder.files[CONFIG].source("")
        return sources(stats=stats, profile=_listed(self.post), preprocessor=_listed(self.pre), config=config)

    @property
    def width(self) -> Fact[int]:
        """Channels of the action, as the pipeline's features or else the settings declare them."""
        shape = self.setting(list, "output_features", ACTION, "shape")
        if self.post and self.post.step:
            feature = self.post.step.features.get(ACTION)
            if isinstance(feature, dict) and isinstance(feature.get("shape"), list):
                shape = declared(feature["shape"], f"{self.post.step.place}/config/features/{ACTION}/shape")
        match shape.value:
            case [int(width)]:
                return declared(width, shape.why)
        return UNKNOWN

    @property
    def conventions(self) -> Conventions:
        """What the files say of every key alike."""
        horizons = [self.setting(int, name) for name in ("chunk_size", "horizon")]
        horizon = next((fact for fact in horizons if fact.value), UNKNOWN)
        return Conventions(representation=self._representation(), horizon=horizon)

    def _representation(self) -> Fact[str]:
        for pipeline, name in ((self.pre, "relative_actions_processor"), (self.post, "absolute_actions_processor")):
            for entry in pipeline.entries if pipeline else ():
                if entry.name == name and entry.config.get("enabled") is not False:
                    return declared("relative", entry.place)
        return UNKNOWN


def open_policy(folder: Folder) -> Policy | None:
    """The parts of a LeRobot policy in this folder; None if there are none."""
    records, broken, pipelines = [], [], {}
    settings = _settings(folder)
    if settings is not None:
        records.append(record(folder.files[CONFIG], ECOSYSTEM))
    for name in (POST, PRE):
        try:
            pipelines[name] = pipeline = read_pipeline(folder, name)
        except FormatError as error:
            broken.append(error)
            records.append(unreadable(folder.files[f"{name}.json"], ECOSYSTEM, error))
            continue
        if pipeline:
            records += [record(file, ECOSYSTEM) for file in pipeline.files]
    buffers: tuple[Buffers, ...] = ()
    weights = folder.files.get(WEIGHTS)
    header = _header(weights)
    if weights and header:
        try:
            buffers = read_buffers(weights, header)
        except FormatError as error:
            broken.append(error)
            records.append(unreadable(weights, ECOSYSTEM, error))
        if buffers:
            records.append(record(weights, ECOSYSTEM))
    if not records:
        return None
    return Policy(
        folder,
        settings,
        pipelines.get(POST),
        pipelines.get(PRE),
        buffers,
        header is not None,
        tuple(broken),
        tuple(records),
    )


def _listed(pipeline: Pipeline | None) -> Source | None:
    """The file that lists the steps; None for a state file alone."""
    return pipeline.files[0].source("") if pipeline and pipeline.entries else None


def _header(weights: File | None) -> Mapping[str, TensorInfo] | None:
    """Tensors of the weights; None if they are absent, not fetched or cut short, which the record of the file says."""
    try:
        return read_header(weights) if weights else None
    except FormatError:
        return None


def _settings(folder: Folder) -> Mapping[str, Any] | None:
    try:
        document = folder.files[CONFIG].json() if CONFIG in folder.files else None
    except FormatError:
        return None
    ours = isinstance(document, dict) and {"normalization_mapping", "output_features"} & set(document)
    return document if ours else None


def keys_of(policy: Policy) -> tuple[tuple[Published, ...], tuple[Published, ...]]:
    """Keys that LeRobot un-normalizes with, and those that are published and not used.

    Blocks whose figures do not fit each other are in neither.
    """
    keys: list[Published] = []
    unused: list[Published] = []
    step = policy.post.step if policy.post else None
    if step and step.mode in (None, *MODES):
        for name in action_blocks(step):
            if isinstance(stats := stats_of(step.blocks[name]), NormStats):
                (keys if name == ACTION else unused).append(_published(policy, step, name, stats))
    for buffers in policy.buffers:
        conventions = replace(policy.conventions, gripper=infer_gripper(buffers.stats))
        (unused if policy.post else keys).append(
            Published(
                key=buffers.key,
                stats=buffers.stats,
                profile=buffers.profile,
                alternatives=buffers.alternatives,
                conventions=conventions,
                sources=policy.sources(buffers.source),
            )
        )
    return tuple(keys), tuple(unused)


def action_blocks(step: Step) -> list[str]:
    """Names of a step's blocks that hold statistics of an action: `action`, and those LeRobot does not look up."""
    return [name for name in step.blocks if _ACTION_BLOCK.fullmatch(name)]


def stats_of(block: Block) -> NormStats | FormatError:
    """The figures of a block; the error if they make no statistics."""
    file, pointer = block.source.file, block.source.pointer
    figures = {name: block.values[name] for name in FIGURES if name in block.values}
    if not figures:
        return FormatError(f"no figure LeRobot reads, only {', '.join(block.values)}", file=file, pointer=pointer)
    counts = block.values.get("count", np.empty(0))
    count = int(counts.flat[0]) if counts.size == 1 and 0 <= counts.flat[0] < 2**53 else None
    try:
        return make_stats(file, pointer, figures, count=count, float32=block.float32)
    except FormatError as error:
        return error


def _published(policy: Policy, step: Step, name: str, stats: NormStats) -> Published:
    profile = _profile(policy, step, stats)
    others = fitting(stats) if step.norm_map is None else ()
    return Published(
        key=name,
        stats=stats,
        profile=profile,
        alternatives=tuple(other for other in others if other != profile.value),
        eps=step.eps,
        conventions=replace(policy.conventions, gripper=infer_gripper(stats)),
        sources=policy.sources(step.blocks[name].source),
    )


def _profile(policy: Policy, step: Step, stats: NormStats) -> Fact[str]:
    if step.norm_map is None:
        setting = policy.setting(str, "normalization_mapping", "ACTION")
        if setting.value in MODES:
            return inferred(MODES[setting.value][0], f"{setting.why}; the pipeline that declares it is missing")
        candidates = fitting(stats)
        return (
            inferred(candidates[0], "the mode is not recorded; most policies use this one") if candidates else UNKNOWN
        )
    if "ACTION" not in step.norm_map:
        return inferred(MODES["IDENTITY"][0], "norm_map has no ACTION, which LeRobot takes for IDENTITY")
    return declared(MODES[str(step.mode)][0], f"{step.place}/config/norm_map/ACTION")
