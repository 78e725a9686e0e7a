"""Octo statistics: `dataset_statistics.json`, `{dataset: {"action": {mean, std, p01, p99, mask, …}}}`, or one block.

Octo's `sample_actions` is handed the figures of one dataset by the caller; without them it returns normalized actions
and says nothing. It un-normalizes by mean and std unless it is told `bounds`, a word with three meanings: p01 and p99
in Octo, min and max on its branch `main_old` and in OpenVLA. `action_proprio_normalization_type` in its `config.json`
says what it was trained on. A checkpoint of one dataset may publish its block without a name. SimplerEnv's client
un-normalizes itself, without the mask. Source: octo-models/octo `octo/model/octo_model.py`, `octo/data/dataset.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..conventions import Conventions, infer_gripper, inferred
from ..errors import Finding, FormatError, MissingStatsError
from ..stats import NormStats
from .figures import is_grouped, is_unkeyed, mask_of, named, read_stats, record
from .published import Checkpoint, Published, Source, sources
from .strict_json import escape
from .tree import File, Folder

ECOSYSTEM, FILE, ALONE = "octo", "dataset_statistics.json", "action"
NORMAL, SIMPLER = "octo-normal", "octo-simpler"
CONFIG, TYPE = "config.json", "action_proprio_normalization_type"
BOUNDS = {"octo-bounds": ("q01", "q99"), "octo-bounds-minmax": ("min", "max")}
NAMES = {"p01": "q01", "p99": "q99"}


def is_octo(folder: Folder, block: Mapping[str, Any]) -> bool:
    """Octo names its quantiles p01 and p99, reads mean and std by default, and often publishes no mask."""
    if "p01" in block:
        return True
    return "mask" not in block and (not {"min", "q01"} & set(block) or bool(named("octo", folder)))


def read(folder: Folder) -> Checkpoint | None:
    """What Octo's file in this folder publishes; None if there is none."""
    file = folder.files.get(FILE)
    if file is None:
        return None
    try:
        document = file.json()
    except FormatError:
        return None  # whose it is cannot be told
    entries = _entries(document)
    if not any(is_octo(folder, entry["action"]) for entry in entries.values()):
        return None
    keys: list[Published] = []
    findings: list[Finding] = []
    trained = _trained(folder)
    config = folder.files[CONFIG].source("") if trained else None
    for key, entry in entries.items():
        place = "/action" if entry is document else f"/{escape(key)}/action"
        try:
            keys.append(_publish(file, key, place, entry, trained, config))
        except (FormatError, MissingStatsError) as error:
            findings.append(_broken(folder, key, f"{file.path}#{place}", error))
    return Checkpoint(
        folder.path,
        ECOSYSTEM,
        tuple(keys),
        findings=(*findings, *_choice(folder, file, keys), *_renamed(folder, file, entries)),
        files=(record(file, ECOSYSTEM), *([record(folder.files[CONFIG], ECOSYSTEM)] if trained else [])),
        repo=folder.repo,
        revision=folder.revision,
    )


def _entries(document: object) -> dict[str, dict[str, Any]]:
    """Key to the object that holds the action's figures."""
    if not isinstance(document, dict):
        return {}
    if is_unkeyed(document):
        return {ALONE: document}
    return {
        key: entry
        for key, entry in document.items()
        if isinstance(entry, dict) and isinstance(entry.get("action"), dict) and not is_grouped(entry["action"])
    }


def _trained(folder: Folder) -> str:
    """What `config.json` says that actions were normalized by, `normal` or `bounds`; empty where it does not say."""
    config = folder.files.get(CONFIG)
    try:
        pending = [config.json()] if config else []
    except FormatError:
        return ""
    found = set()
    while pending:
        node = pending.pop()
        if isinstance(node, dict) and TYPE in node:
            found.add(str(node[TYPE]).lower().rpartition(".")[2])  # a name, or an enum's `NormalizationType.NORMAL`
        pending += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next(iter(found)) if found in ({"normal"}, {"bounds"}) else ""


def _publish(
    file: File, key: str, place: str, entry: Mapping[str, Any], trained: str, config: Source | None
) -> Published:
    block = {NAMES.get(name, name): value for name, value in entry["action"].items()}
    count = entry.get("num_transitions")
    stats = read_stats(
        file,
        place,
        block,
        mask=mask_of(file, f"{place}/mask", block["mask"]) if "mask" in block else None,
        count=count if type(count) is int and count >= 0 else None,
        estimator="np.quantile",
    )
    fitting = _fitting(stats)
    profile, rule = NORMAL, "Octo un-normalizes by mean and std unless the caller says bounds"
    if trained:
        rule = f"{CONFIG} says that it was trained on {trained}"
        profile = next((name for name in fitting if name in BOUNDS), NORMAL) if trained == "bounds" else NORMAL
    return Published(
        key,
        stats,
        inferred(profile, rule),
        tuple(name for name in fitting if name != profile),
        conventions=Conventions(gripper=infer_gripper(stats)),
        sources=sources(stats=file.source(place), profile=config),
    )


def _fitting(stats: NormStats) -> tuple[str, ...]:
    """The profiles whose figures are published; SimplerEnv's differs where there is a mask."""
    bounds = tuple(name for name, figures in BOUNDS.items() if all(figure in stats for figure in figures))
    masked = stats.mask is not None and not stats.mask.all()
    return (NORMAL, *bounds, *([SIMPLER] if masked else []))


def _choice(folder: Folder, file: File, keys: list[Published]) -> Iterator[Finding]:
    if keys:
        profile, alternatives = keys[0].profile.value, sorted({name for key in keys for name in key.alternatives})
        yield Finding(
            "T1",
            "note",
            folder.path,
            file.path,
            f"no file says how Octo un-normalizes; {profile} is assumed: {keys[0].profile.why}; 'bounds' is p01 and "
            "p99 in Octo, min and max on its branch main_old and in OpenVLA",
            {"profile": profile, "alternatives": alternatives},
            "Name the profile the model was trained for, as PATH#KEY@PROFILE.",
        )
        yield Finding(
            "K3",
            "note",
            folder.path,
            file.path,
            "Octo takes the figures as an argument; a caller that passes none gets normalized actions, unwarned",
            fix="Check that the client passes unnormalization_statistics.",
        )


def _renamed(folder: Folder, file: File, entries: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """K4: quantiles by a name that Octo does not look for."""
    other = [key for key, entry in entries.items() if "q01" in entry["action"] and "p01" not in entry["action"]]
    if other:
        yield Finding(
            "K4",
            "note",
            folder.path,
            file.path,
            f"quantiles are named q01 and q99 on {len(other)} keys; Octo's bounds read p01 and p99, and fail on these",
            {"keys": other},
            "Rename them if bounds are meant to run.",
        )


def _broken(folder: Folder, key: str, place: str, error: Exception) -> Finding:
    code = "S6" if isinstance(error, FormatError) else "S1"
    fix = "Repair or recompute the statistics of this key; the other keys are not affected."
    return Finding(code, "error", f"{folder.path}#{key}", place, str(error), fix=fix)
