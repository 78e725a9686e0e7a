"""openpi: `norm_stats.json`, written by `openpi.shared.normalize.save`.

    {"norm_stats": {"state": {"mean", "std", "q01", "q99"}, "actions": {...}}}

Forks drop the wrapper, add groups (`coarse_actions`), or name the groups by robot (`libero`). The key is the asset
id, that is the folder of the file below `assets/`, or below the checkpoint where it lies outside; `.` is the
checkpoint's own folder, and also what `asset_id` would have to be for openpi to load that file. A loose file
(`iter00_norm.json`) is named by its stem. Whether z-score or quantiles run is not in the file: the model decides
(pi0 z-score, pi0-FAST and pi0.5 quantiles), so the profile is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conventions import Conventions, Fact, infer_gripper, inferred
from ..errors import Finding, FormatError
from ..stats import NormStats
from .figures import assumed, describe, disagreement, read_stats, record, unreadable
from .published import Checkpoint, FileRecord, Published
from .strict_json import escape
from .tree import Folder

ECOSYSTEM = "openpi"
ZSCORE, QUANTILE = "openpi-zscore", "openpi-quantile"

_FILE = re.compile(r"(?:.*/)?norm_stats\.json|[^/]*norm[^/]*\.json")
_QUANTILE_MODEL = re.compile(r"(?<![a-z0-9])pi[_-]?0[._-]?(?:5|fast)(?![0-9])")
_ZSCORE_MODEL = re.compile(r"(?<![a-z0-9])pi[_-]?0(?![a-z0-9])")

Groups = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class _Table:
    """One file: its blocks of figures by name, the pointer to the object that holds them, and the keys they make."""

    path: str
    place: str
    groups: Groups
    keys: tuple[Published, ...]
    broken: tuple[Finding, ...] = ()


def read(folder: Folder) -> Checkpoint | None:
    """What openpi's files in this folder publish; None if there are none."""
    tables: list[_Table] = []
    records: list[FileRecord] = []
    for path in filter(_FILE.fullmatch, folder.files):
        try:
            table = _read_table(folder, path)
        except FormatError as error:
            records.append(unreadable(folder.files[path], ECOSYSTEM, error))
            tables.append(_Table(path, "", {}, (), (_broken(folder, error),)))
            continue
        if table:
            tables.append(table)
            records.append(record(folder.files[path], ECOSYSTEM))
    if not records:
        return None
    best = min((_rank(table.path) for table in tables), default=0)
    loaded = [table for table in tables if _rank(table.path) == best]
    keys = tuple(key for table in loaded for key in table.keys)
    shadowed = tuple(key for table in tables if table not in loaded for key in table.keys)
    return Checkpoint(
        path=folder.path,
        ecosystem=ECOSYSTEM,
        keys=keys,
        shadowed=shadowed,
        findings=(
            *(finding for table in tables for finding in table.broken),
            *_copies(folder, keys, shadowed),
            *assumed(folder, keys, "whether z-score or quantiles run"),
            *_padding(folder, keys),
            *_unread_groups(folder, loaded),
        ),
        files=tuple(records),
        repo=folder.repo,
        revision=folder.revision,
    )


def _read_table(folder: Folder, path: str) -> _Table | None:
    """The keys of one file; None if it holds something else, or is no JSON and may be anybody's."""
    file = folder.files[path]
    try:
        pointer, members = _members(file.json())
    except FormatError:
        if path.startswith("assets/"):
            raise
        return None
    groups = {name: group for name, group in members.items() if isinstance(group, dict) and not _lacks(group)}
    if not _is_openpi(path, pointer, members, groups):
        return None
    place = f"{file.path}#{pointer}"
    if "actions" in groups or ("actions" not in members and groups.keys() - {"state"}):
        keys = [_publish(folder, path, pointer, *block) for block in _actions(_asset_id(path), groups)]
        return _Table(path, place, groups, tuple(keys))
    return _Table(path, place, groups, (), (_without_action(folder, path, place, members),))


def _without_action(folder: Folder, path: str, place: str, members: Mapping[str, Any]) -> Finding:
    """S1: nothing that un-normalizes the action. S7: `actions` without what openpi needs of every group."""
    group = members.get("actions")
    if isinstance(group, dict):
        message = f"'actions' has no list of {' and of '.join(_lacks(group))}, without which openpi does not load it"
    else:
        stored = ", ".join(map(repr, members)) or "nothing"
        message = f"no statistics under 'actions'; stored is {stored}"
    return Finding(
        "S7" if isinstance(group, dict) else "S1",
        "error",
        f"{folder.path}#{_asset_id(path)}",
        f"{place}/actions" if "actions" in members else place,
        message,
        {"stored": list(members)},
        "Fetch the file the policy was trained with, or recompute it.",
    )


def _broken(folder: Folder, error: FormatError) -> Finding:
    return Finding(
        "S1",
        "error",
        folder.path,
        f"{error.file}#{error.pointer}",
        f"the statistics cannot be read: {error}",
        fix="Fetch or recompute this file; the other assets are not affected.",
    )


def _rank(path: str) -> int:
    """Which files count: those below `assets/`, which openpi loads; else those of the folder itself; else the rest."""
    return 0 if path.startswith("assets/") else 2 if "/" in path else 1


def _asset_id(path: str) -> str:
    parent, _, name = path.rpartition("/")
    if name != "norm_stats.json":
        return name.removesuffix(".json")
    return parent.removeprefix("assets").strip("/") or "."


def _members(document: object) -> tuple[str, Mapping[str, Any]]:
    """The object that holds the groups, and the pointer to it."""
    if not isinstance(document, dict):
        return "", {}
    inner = document.get("norm_stats")
    return ("/norm_stats", inner) if isinstance(inner, dict) else ("", document)


def _lacks(group: Mapping[str, Any]) -> list[str]:
    """Figures without which openpi loads no group."""
    return [name for name in ("mean", "std") if not isinstance(group.get(name), list)]


def _is_openpi(path: str, pointer: str, members: Mapping[str, Any], groups: Groups) -> bool:
    """Whether a file is openpi's: by its place, or by what it holds."""
    if path.startswith("assets/") or "actions" in groups:
        return True
    if "action" in groups:
        return False  # wall-x writes the same file with the names of LeRobot's features
    return bool(pointer) and (not members or bool(groups) or "actions" in members)


def _actions(asset: str, groups: Groups) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, group and figures of every block that un-normalizes an action.

    That is `actions`, or where there is none, every group but the state, each under its own name.
    """
    if "actions" in groups:
        yield asset, "actions", groups["actions"]
        return
    for name, group in groups.items():
        if name != "state":
            yield name if asset == "." else f"{asset}/{name}", name, group


def _publish(folder: Folder, path: str, pointer: str, key: str, group: str, figures: dict[str, Any]) -> Published:
    file, place = folder.files[path], f"{pointer}/{escape(group)}"
    stats = read_stats(file, place, figures, estimator="histogram")
    profile = _profile(f"{folder.location}/{path}", stats)
    possible = (QUANTILE, ZSCORE) if _has_quantiles(stats) else (ZSCORE,)
    return Published(
        key=key,
        stats=stats,
        profile=profile,
        alternatives=tuple(name for name in possible if name != profile.value),
        conventions=Conventions(gripper=infer_gripper(stats)),
        sources={"stats": file.source(place)},
    )


def _has_quantiles(stats: NormStats) -> bool:
    return "q01" in stats and "q99" in stats


def _profile(path: str, stats: NormStats) -> Fact[str]:
    for word in reversed(path.lower().split("/")):
        if found := _QUANTILE_MODEL.search(word):
            return inferred(QUANTILE, f"{found[0]!r} in the path; openpi runs quantiles for pi0.5 and pi0-FAST")
        if found := _ZSCORE_MODEL.search(word):
            return inferred(ZSCORE, f"{found[0]!r} in the path; openpi runs z-score for pi0")
    if not _has_quantiles(stats):
        return inferred(ZSCORE, "no quantiles are published")
    return inferred(QUANTILE, "quantiles are published; pi0 would use z-score")


def _copies(folder: Folder, keys: Sequence[Published], shadowed: Sequence[Published]) -> Iterator[Finding]:
    """P2: a second `norm_stats.json` that equals none of those that are loaded, against the one it is closest to."""
    for copy in shadowed:
        differences = [(disagreement(copy.stats, each.stats), each) for each in keys]
        differing = [(evidence, each) for evidence, each in differences if evidence]
        if not keys or len(differing) < len(keys) or not copy.sources["stats"].file.endswith("norm_stats.json"):
            continue
        evidence, closest = min(differing, key=lambda case: case[0].get("difference", np.inf))
        yield Finding(
            "P2",
            "warning",
            f"{folder.path}#{closest.key}",
            str(copy.sources["stats"]),
            f"a second copy, which is not loaded, disagrees with {closest.sources['stats']}: {describe(evidence)}",
            evidence,
            "Keep the file the policy was trained with and delete the other.",
        )


def _unread_groups(folder: Folder, tables: Sequence[_Table]) -> Iterator[Finding]:
    for table in tables:
        others = [name for name in table.groups if name not in ("state", "actions")]
        if "actions" in table.groups and others:
            yield Finding(
                "K4",
                "note",
                folder.path,
                table.place,
                f"more groups than openpi un-normalizes: {', '.join(map(repr, others))}; only 'actions' is audited",
                {"groups": others},
                "None needed if no head of the policy emits them.",
            )


def _padding(folder: Folder, keys: Sequence[Published]) -> Iterator[Finding]:
    """S6: trailing channels whose every figure is zero are taken for padding to the model's fixed width."""
    for published in keys:
        stats = published.stats
        used = stats.dim - int(stats.padding.sum())
        if 0 < used < stats.dim:
            yield Finding(
                "S6",
                "note",
                f"{folder.path}#{published.key}",
                str(published.sources["stats"]),
                f"every figure of channels {used} to {stats.dim - 1} is zero: taken for padding, {used} in use",
                {"width": stats.dim, "used": used},
                "None needed if the robot has that many channels.",
            )
