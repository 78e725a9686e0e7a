"""GR00T datasets, which starVLA takes over: LeRobot's `meta/stats.json`, with `modality.json`, `relative_stats.json`.

`modality.json` names slices of the features: `{"action": {group: {"start", "end", "original_key"}}}`. The whole
`action` is one key; groups cut from other features (`action.joints`) are alternatives to each other, each its own key.
`relative_stats.json` has, by group, figures of the action minus the chunk's first state, one row per time step; its
keys are `relative_action.GROUP`. A dataset names neither version nor mode, so the profile is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..conventions import UNKNOWN, Conventions, Fact, declared, infer_gripper, inferred
from ..errors import Finding, FormatError, MissingStatsError
from .figures import assumed, make_stats, mapping, read_stats, record, unreadable, value
from .gr00t import N1, N16
from .gr00t_groups import grippers, possible, sliced_names
from .lerobot_dataset import GROOT, Info, conventions_of, read_info
from .published import Checkpoint, FileRecord, Published, sources
from .strict_json import escape
from .tree import File, Folder

STARVLA = ("starvla-min_max", "starvla-q99", "starvla-mean_std")
ACTION = "action"
FINGERPRINTS = "__fingerprints__"
"""Hashes beside the figures, of what they were computed from."""

_STATS, _RELATIVE = re.compile(r"(?:meta/)?stats\.json"), re.compile(r"(?:meta/)?relative_stats\.json")
_MODALITY = re.compile(r"(?:meta/)?[^/]*modality\.json")

Slots = Mapping[str, tuple[str, int, int]]  # group to feature, start and end


def read(folder: Folder) -> Checkpoint | None:
    """What a GR00T dataset in this folder publishes; None if there is none."""
    names = [name for name in folder.files if any(p.fullmatch(name) for p in (_STATS, _RELATIVE, _MODALITY))]
    if not names:
        return None
    ecosystem, profiles = ("starvla", STARVLA) if "starvla" in folder.location.lower() else ("gr00t", (*N16, *N1))
    info = read_info(folder)
    keys: list[Published] = []
    findings: list[Finding] = []
    records: list[FileRecord] = []
    documents: dict[str, Any] = {}
    for name in names:
        try:
            documents[name] = folder.files[name].json()
        except FormatError as error:
            records.append(unreadable(folder.files[name], ecosystem, error))
            findings.append(_broken(folder, error))
    slots = {group: slot for name, doc in documents.items() if _MODALITY.fullmatch(name) for group, slot in _slots(doc)}
    if not slots and not _is_groot(folder, documents):
        return None
    slices = next((folder.files[name].source(f"/{ACTION}") for name in documents if _MODALITY.fullmatch(name)), None)
    beside = sources(dataset=info.source, slices=slices)
    for name, document in documents.items():
        file = folder.files[name]
        records.append(record(file, ecosystem))
        try:
            if _STATS.fullmatch(name):
                found = _absolute(file, document, slots, info, profiles)
                keys += [replace(key, sources={**key.sources, **beside}) for key in found]
            elif _RELATIVE.fullmatch(name):
                keys += _relative(file, document)
        except (FormatError, MissingStatsError) as error:
            findings.append(_broken(folder, error))
    if info.file:
        records.append(record(info.file, ecosystem))
    records += _beside(folder, ecosystem)
    return Checkpoint(
        folder.path,
        ecosystem,
        tuple(keys),
        findings=(*findings, *assumed(folder, keys, "which un-normalizer a policy of this dataset runs")),
        files=tuple(records),
        repo=folder.repo,
        revision=folder.revision,
    )


def _is_groot(folder: Folder, documents: Mapping[str, Any]) -> bool:
    return any(GROOT.fullmatch(name) for name in folder.files) or any(
        value(document, FINGERPRINTS) is not None for document in documents.values()
    )


def _slots(document: object) -> Iterator[tuple[str, tuple[str, int, int]]]:
    for group, slot in mapping(document, ACTION).items():
        match slot:
            case {"start": int(start), "end": int(end)} if 0 <= start < end:
                yield group, (str(slot.get("original_key") or ACTION), start, end)


def _absolute(file: File, document: object, slots: Slots, info: Info, profiles: tuple[str, ...]) -> list[Published]:
    keys = []
    if isinstance(value(document, ACTION), dict):
        stats = read_stats(file, f"/{ACTION}", value(document, ACTION))
        cut = {group: (start, end) for group, (feature, start, end) in slots.items() if feature == ACTION}
        keys.append(_publish(file, ACTION, f"/{ACTION}", stats, sliced_names(cut, stats.dim), info, profiles))
    for group, (feature, start, end) in slots.items():
        block = value(document, feature)
        if feature == ACTION or not isinstance(block, dict):
            continue
        place = f"/{escape(feature)}"
        stats = read_stats(file, place, block)
        if end > stats.dim:
            raise file.error(f"group {group!r} ends at channel {end} of {stats.dim}", place)
        figures = {name: stats[name][..., start:end] for name in stats}
        names = sliced_names({group: (0, end - start)}, end - start)
        stats = make_stats(file.path, place, figures)
        keys.append(_publish(file, group, place, stats, names, info, profiles))
    return keys


def _publish(
    file: File, key: str, place: str, stats: Any, names: Fact[tuple[str, ...]], info: Info, profiles: tuple[str, ...]
) -> Published:
    fitting = possible(profiles, stats)
    own = conventions_of(stats, info)
    shown = names if names.value is not None else own.names
    gripper = grippers(names.value or (), names.why)
    return Published(
        key,
        stats,
        inferred(fitting[0], "a dataset records no mode; min and max is the default") if fitting else UNKNOWN,
        fitting[1:],
        conventions=Conventions(
            gripper=infer_gripper(stats) if gripper is UNKNOWN else gripper,
            rate=own.rate,
            controller=own.controller,
            names=shown,
        ),
        sources={"stats": file.source(place)},
    )


def _relative(file: File, document: object) -> list[Published]:
    keys = []
    for group, block in document.items() if isinstance(document, dict) else ():
        if isinstance(block, dict) and group != FINGERPRINTS:
            place = f"/{escape(group)}"
            stats = read_stats(file, place, block)
            names = sliced_names({group: (0, stats.dim)}, stats.dim)
            keys.append(
                Published(
                    f"relative_action.{group}",
                    stats,
                    inferred(N16[0], "relative groups are scaled by min and max, per time step"),
                    conventions=Conventions(
                        representation=declared("relative", file.path),
                        gripper=grippers(names.value or (), file.path),
                        horizon=declared(stats.shape[0], file.path) if len(stats.shape) > 1 else UNKNOWN,
                        names=names,
                    ),
                    sources={"stats": file.source(place)},
                )
            )
    return keys


def _beside(folder: Folder, ecosystem: str) -> Iterator[FileRecord]:
    for name, file in folder.files.items():
        if name.endswith("episodes_stats.jsonl"):
            why = "figures of single episodes; the loader reads stats.json"
            yield FileRecord(file.path, "not metadata", ecosystem, file.size, detail=why)


def _broken(folder: Folder, error: FormatError | MissingStatsError) -> Finding:
    place = f"{error.file}#{error.pointer}" if isinstance(error, FormatError) else ""
    message = f"the statistics cannot be read: {error}"
    return Finding("S1", "error", folder.path, place, message, fix="Recompute the statistics.")
