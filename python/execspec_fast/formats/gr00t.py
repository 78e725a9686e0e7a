"""GR00T checkpoints: N1.6 and N1.7 `statistics.json` with `processor_config.json`, N1 and N1.5 `metadata.json`.

    statistics.json       {tag: {"state", "action": {group: figures}, "relative_action": {group: figures per step}}}
    processor_config.json {"processor_kwargs": {"modality_configs", "use_percentiles", "use_relative_action", …}}
    embodiment_id.json    {tag: index of the projector}
    experiment_cfg/dataset_statistics.json  what the training run saved, in the layout of statistics.json; not loaded
    experiment_cfg/metadata.json  {tag: {"statistics": {"action": {group: figures}}, "modalities": {"action": …}}}

The key is the embodiment tag, which selects figures and projector weights at once. In N1.6 the processor declares the
order of the groups and how each is scaled: percentiles never apply to relative groups, whose min and max have one row
per time step. In N1 order and modes are in a Python `data_config` that no file records.
Source: NVIDIA/Isaac-GR00T `gr00t/data/state_action/state_action_processor.py`, `gr00t/data/transform/state_action.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..conventions import UNKNOWN, Conventions, Fact, declared, inferred
from ..errors import Finding, FormatError, MissingStatsError
from .figures import describe, disagreement, mapping, record, unreadable, value
from .gr00t_groups import (
    Group,
    channel_names,
    grippers,
    join,
    possible,
    read_group,
    read_groups,
    representation,
)
from .published import Checkpoint, FileRecord, Published, Source, sources
from .strict_json import escape
from .tree import File, Folder

ECOSYSTEM = "gr00t"
STATISTICS, PROCESSOR, PROJECTORS = "statistics.json", "processor_config.json", "embodiment_id.json"
METADATA = ("experiment_cfg/metadata.json", "metadata.json")
SAVED = ("experiment_cfg/dataset_statistics.json", "dataset_statistics.json")
N1 = ("gr00t-n1-min_max", "gr00t-n1-q99", "gr00t-n1-mean_std")
N16 = ("gr00t-n1.6-min_max", "gr00t-n1.6-percentiles", "gr00t-n1.6-mean_std")
ROTATIONS = {"XYZ_ROT6D": "rot6d_rows", "XYZ_ROTVEC": "axis_angle"}


def read(folder: Folder) -> Checkpoint | None:
    """What a GR00T checkpoint in this folder publishes; None if there is none."""
    keys: list[Published] = []
    shadowed: list[Published] = []
    findings: list[Finding] = []
    records: list[FileRecord] = []
    documents: dict[str, Any] = {}
    for name in (STATISTICS, PROCESSOR, PROJECTORS, *METADATA, *SAVED):
        if name in folder.files:
            try:
                documents[name] = folder.files[name].json()
            except FormatError as error:
                if name not in (METADATA[1], SAVED[1], PROCESSOR):  # these names are anybody's
                    records.append(unreadable(folder.files[name], ECOSYSTEM, error))
                    findings.append(_broken(folder, "", error))
    processor = documents.get(PROCESSOR)
    if not str(value(processor, "processor_class")).startswith("Gr00t"):
        processor = None
    if processor is not None:
        records.append(record(folder.files[PROCESSOR], ECOSYSTEM))
    settings = None if processor is None else folder.files[PROCESSOR].source("/processor_kwargs")
    if isinstance(documents.get(PROJECTORS), dict):
        records.append(record(folder.files[PROJECTORS], ECOSYSTEM))
    for name in (STATISTICS, *METADATA, *SAVED):
        tags = _tags(documents.get(name), "modalities" if name in METADATA else "action")
        if not tags:
            continue
        file = folder.files[name]
        records.append(record(file, ECOSYSTEM))
        found = shadowed if name in SAVED and keys else keys
        for tag in tags:
            try:
                document = documents[name][tag]
                n1 = name in METADATA
                found.append(_n1(file, tag, document) if n1 else _n16(file, tag, document, processor, settings))
            except (FormatError, MissingStatsError) as error:
                findings.append(_broken(folder, tag, error))
    if not records:
        return None
    return Checkpoint(
        folder.path,
        ECOSYSTEM,
        tuple(keys),
        tuple(shadowed),
        findings=(
            *findings,
            *_unnamed(folder, keys),
            *_projectors(folder, keys, documents.get(PROJECTORS)),
            *_copies(folder, keys, shadowed),
        ),
        files=tuple(records),
        repo=folder.repo,
        revision=folder.revision,
    )


def _tags(document: object, mark: str) -> list[str]:
    """The embodiment tags of a document in this layout; empty for another layout."""
    if not isinstance(document, dict):
        return []
    groups = {tag: mapping(entry, mark).values() for tag, entry in document.items()}
    return [tag for tag, found in groups.items() if any(isinstance(group, dict) for group in found)]


def _n16(file: File, tag: str, entry: dict[str, Any], processor: object, source: Source | None) -> Published:
    """One tag of `statistics.json`, put together as the processor does it."""
    settings = mapping(processor, "processor_kwargs")
    config = mapping(settings, "modality_configs", tag, "action")
    place, where = f"/{escape(tag)}", f"{PROCESSOR}#/processor_kwargs"
    order = _list(config, "modality_keys") or list(entry["action"])
    configs = _list(config, "action_configs") or [None] * len(order)
    spread = "percentiles" if settings.get("use_percentiles") else "min_max"
    moments = _list(config, "mean_std_embedding_keys")
    if len(configs) != len(order):
        raise FormatError(f"{len(configs)} action_configs for {len(order)} groups", file=PROCESSOR, pointer=place)
    groups: list[Group] = []
    for name, settled in zip(order, configs, strict=True):
        kind = str(value(settled, "rep") or "").lower()
        relative = kind == "relative" and bool(settings.get("use_relative_action"))
        part = "relative_action" if relative else "action"
        mode = "mean_std" if name in moments else "min_max" if relative else spread
        block = mapping(entry, part).get(name) if isinstance(name, str) else None
        if block is None:
            raise file.error(f"the processor reads group {name!r} of {part!r}, and it is not published", place)
        emitted = "relative" if relative else "delta" if kind == "delta" else ""  # relative in name only stays as it is
        groups.append(read_group(file, f"{place}/{part}/{escape(name)}", name, block, mode, emitted))
    stats = join(file, f"{place}/action", groups)
    if not config:
        rule = "no processor says how; min and max is the default, and file order that of the groups"
        profile: Fact[str] = inferred(N16[0], rule)
    elif stats.modes:
        profile = declared("gr00t-n1.6", f"{where}: {', '.join(f'{group.name} {group.mode}' for group in groups)}")
    else:
        profile = declared(f"gr00t-n1.6-{groups[0].mode}", where)
    names, horizon = channel_names(groups), _list(config, "delta_indices")
    formats = {ROTATIONS.get(str(value(c, "format"))) for c in configs if str(value(c, "type")).upper() == "EEF"}
    rotation = next(iter(formats)) if len(formats) == 1 else None
    return Published(
        tag,
        stats,
        profile,
        () if config else possible(N16[1:], stats),
        conventions=Conventions(
            representation=representation(groups, where),
            rotation=declared(rotation, where) if rotation else UNKNOWN,
            horizon=declared(len(horizon), where) if horizon else UNKNOWN,
            gripper=grippers(names, where if config else file.path),
            names=declared(names, where) if config else inferred(names, "groups in file order"),
        ),
        sources=sources(stats=file.source(f"{place}/action"), profile=source),
    )


def _list(config: Mapping[str, Any], name: str) -> list[Any]:
    """A setting that is a list; empty where it is null or absent. `FormatError` for anything else."""
    found = config.get(name)
    if found is None or isinstance(found, list):
        return found or []
    raise FormatError(f"expected a list, found {found!r:.40}", file=PROCESSOR, pointer=f"/{name}")


def _n1(file: File, tag: str, entry: dict[str, Any]) -> Published:
    """One tag of `metadata.json`."""
    place = f"/{escape(tag)}/statistics/action"
    modalities = mapping(entry, "modalities", "action")
    groups = [
        replace(group, representation="relative" if value(modalities, group.name, "absolute") is False else "")
        for group in read_groups(file, place, value(entry, "statistics", "action"))
    ]
    stats = join(file, place, groups)
    rotations = {str(kind) for name in modalities if (kind := value(modalities, name, "rotation_type"))}
    where, names = f"{file.path}#/{escape(tag)}/modalities/action", channel_names(groups)
    rotation = next(iter(rotations)) if len(rotations) == 1 else None
    fitting = possible(N1, stats)
    return Published(
        tag,
        stats,
        inferred(fitting[0], "the mode of each group is in a Python data_config; most use min and max")
        if fitting
        else UNKNOWN,
        fitting[1:],
        conventions=Conventions(
            representation=representation(groups, where),
            rotation=declared(rotation, where) if rotation else UNKNOWN,
            gripper=grippers(names, where),
            names=inferred(names, "groups in file order; action_concat_order is in a Python data_config"),
        ),
        sources={"stats": file.source(place)},
    )


def _unnamed(folder: Folder, keys: list[Published]) -> Iterator[Finding]:
    guessed = [key for key in keys if key.profile.status == "inferred"]
    if guessed:
        first = guessed[0]
        yield Finding(
            "T1",
            "note",
            folder.path,
            str(first.sources["stats"]),
            f"how groups are scaled and in which order is not recorded; {first.profile.value} in file order "
            f"is assumed for all: {first.profile.why}. A group may also be binary, or have its rotation converted",
            {"profile": first.profile.value, "alternatives": list(first.alternatives)},
            "Compare with the data_config that serves the policy, and name the profile as PATH#KEY@PROFILE.",
        )


def _projectors(folder: Folder, keys: list[Published], projectors: object) -> Iterator[Finding]:
    """K1: a tag with figures, for which the model has no projector."""
    if isinstance(projectors, dict):
        for key in keys:
            if key.key not in projectors:
                yield Finding(
                    "K1",
                    "warning",
                    f"{folder.path}#{key.key}",
                    folder.files[PROJECTORS].path,
                    f"embodiment tag {key.key!r} has figures and no projector: the tag selects both",
                    {"projectors": sorted(projectors)},
                    f"Use a tag of {PROJECTORS}.",
                )


def _copies(folder: Folder, keys: list[Published], shadowed: list[Published]) -> Iterator[Finding]:
    """P2: what the training run saved is not what the processor reads."""
    loaded = {key.key: key for key in keys}
    for copy in shadowed:
        key = loaded.get(copy.key)
        evidence = disagreement(copy.stats, key.stats) if key else None
        if key and evidence:
            yield Finding(
                "P2",
                "warning",
                f"{folder.path}#{key.key}",
                str(copy.sources["stats"]),
                f"the training run saved other statistics than {key.sources['stats']}: {describe(evidence)}",
                evidence,
                "Find out which of the two the policy was trained with.",
            )


def _broken(folder: Folder, tag: str, error: FormatError | MissingStatsError) -> Finding:
    place = f"{error.file}#{error.pointer}" if isinstance(error, FormatError) else ""
    fix = "Fetch or recompute the statistics of this embodiment; other tags are not affected."
    return Finding("S1", "error", f"{folder.path}#{tag}" if tag else folder.path, place, str(error), fix=fix)
