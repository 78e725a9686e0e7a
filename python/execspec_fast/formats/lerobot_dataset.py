"""LeRobot datasets: `meta/stats.json` (v2.0, v3), `meta/episodes_stats.jsonl` (v2.1), `meta/info.json`.

`stats.json` maps each feature to its figures; loose copies of it are read too. Its quantiles were merged over episodes
by averaging them (lerobot 0.4.4 `datasets/compute_stats.py`). A dataset names no mode, so the profile is inferred.
The same files with GR00T's `modality.json` beside them, or with its fingerprints inside, are GR00T's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conventions import UNKNOWN, Conventions, Fact, declared, infer_gripper, inferred
from ..errors import Finding, FormatError, MissingStatsError
from ..stats import NormStats
from .figures import declared_at, describe, disagreement, numbers, read_stats, record, unreadable
from .lerobot_episodes import pool_episodes
from .lerobot_policy import ACTION, ECOSYSTEM, fitting
from .published import Checkpoint, FileRecord, Published, Source, sources
from .tree import File, Folder

_INFO = re.compile(r"(?:meta/)?info\.json")
_STATS = re.compile(r"(?:meta/)?stats\.json")
_EPISODES = re.compile(r"(?:meta/)?episodes_stats\.jsonl")
_LOOSE = re.compile(r"(?!(?:norm_)?stats\.json)[^/]*stats[^/]*\.json")
SHOWN = 3
"""Episodes a message names before it counts the rest; the evidence has all."""

GROOT = re.compile(r"(?:meta/)?(?:modality|relative_stats)\.json|experiment_cfg/.*|processor_config\.json")
"""Beside these, a dataset's files are GR00T's."""


@dataclass(frozen=True)
class Info:
    """`info.json`: what the dataset declares. `file` is None, and nothing is declared, where it is absent."""

    file: File | None
    values: Mapping[str, Any]

    def fact(self, *names: str) -> Fact[Any]:
        """A declared value by the names on the way to it."""
        return declared_at(self.file, self.values, *names) if self.file else UNKNOWN

    @property
    def source(self) -> Source | None:
        """The file; None where it is absent."""
        return self.file.source("") if self.file else None


@dataclass(frozen=True)
class Table:
    """The action's statistics in one file, the figures of its episodes that do not pool, and the episodes without."""

    path: str
    file: File
    pointer: str
    stats: NormStats
    unpooled: tuple[str, ...] = ()
    without: tuple[int, ...] = ()


def read(folder: Folder) -> Checkpoint | None:
    """What a LeRobot dataset in this folder publishes; None if there is none."""
    if any(GROOT.fullmatch(name) for name in folder.files):
        return None
    info = read_info(folder)
    tables: list[Table] = []
    records: list[FileRecord] = [record(info.file, ECOSYSTEM)] if info.file else []
    findings: list[Finding] = []
    for path, file in folder.files.items():
        try:
            found = _read_stats(path, file, info) or _read_episodes(path, file)
        except FormatError as error:
            if not info.file and not path.startswith("meta/"):
                continue  # whose it is cannot be told
            records.append(unreadable(file, ECOSYSTEM, error))
            findings.append(_broken(folder, error))
            continue
        if found:
            tables.append(found)
            records.append(record(file, ECOSYSTEM))
    if not records:
        return None
    best = min((_rank(table, info) for table in tables), default=0)
    used = [table for table in tables if _rank(table, info) == best]
    unused = [table for table in tables if table not in used]
    keys = tuple(_publish(table, info, ACTION if len(used) == 1 else _stem(table)) for table in used)
    findings += [
        *_missing(folder, info, tables),
        *_copies(folder, used, unused),
        *_shapes(folder, info, keys),
        *_unpooled(folder, used),
        *_partial(folder, used),
    ]
    return Checkpoint(
        path=folder.path,
        ecosystem=ECOSYSTEM,
        keys=keys,
        shadowed=tuple(_publish(table, info, _stem(table)) for table in unused),
        findings=tuple(findings),
        files=tuple(records),
        repo=folder.repo,
        revision=folder.revision,
    )


def read_info(folder: Folder) -> Info:
    """The dataset's description; one that declares nothing where there is none."""
    for path, file in folder.files.items():
        if _INFO.fullmatch(path):
            try:
                values = file.json()
            except FormatError:
                continue
            if isinstance(values, dict) and isinstance(values.get("features"), dict):
                return Info(file, values)
    return Info(None, {})


def _read_stats(path: str, file: File, info: Info) -> Table | None:
    """The table of a `stats.json`, or of a loose file with the same content; None if it is something else."""
    in_place = _STATS.fullmatch(path)
    if not in_place and not _LOOSE.fullmatch(path):
        return None
    document = file.json()
    if not isinstance(document, dict) or "__fingerprints__" in document or not isinstance(document.get(ACTION), dict):
        return None
    ours = in_place and (info.file or path.startswith("meta/"))
    if not ours and not any(feature.startswith("observation.") for feature in document):
        return None
    block, pointer = document[ACTION], f"/{ACTION}"
    count = numbers(file.error, f"{pointer}/count", block["count"]) if "count" in block else np.empty(0)
    episodes = info.fact("total_episodes").value
    try:
        stats = read_stats(
            file,
            pointer,
            block,
            count=int(count.flat[0]) if count.size == 1 and 0 <= count.flat[0] < 2**53 else None,
            estimator=None if episodes is None else "histogram" if episodes == 1 else "merged",
        )
    except MissingStatsError as error:
        raise file.error(str(error), pointer) from None
    return Table(path, file, pointer, stats)


def _read_episodes(path: str, file: File) -> Table | None:
    """The pooled table of an `episodes_stats.jsonl`; None if it is something else, or has no action."""
    pooled = pool_episodes(file, ACTION) if _EPISODES.fullmatch(path) else None
    return pooled and Table(path, file, f"/stats/{ACTION}", *pooled)


def _rank(table: Table, info: Info) -> int:
    """Which table counts: of v2.1 the episodes', else `stats.json`; a loose copy only where there is neither."""
    if _LOOSE.fullmatch(table.path):
        return 2
    by_episode = info.fact("codebase_version").value == "v2.1"
    return int(bool(_EPISODES.fullmatch(table.path)) is not by_episode)


def _stem(table: Table) -> str:
    return table.path.rpartition("/")[2].partition(".")[0]


def _publish(table: Table, info: Info, key: str) -> Published:
    candidates = fitting(table.stats)
    why = "a dataset records no mode; most LeRobot policies default to this one"
    if candidates and not candidates[0].endswith("mean_std"):
        why = "a dataset records no mode; no mean and std are published"
    return Published(
        key=key,
        stats=table.stats,
        profile=inferred(candidates[0], why) if candidates else UNKNOWN,
        alternatives=candidates[1:],
        conventions=conventions_of(table.stats, info),
        sources=sources(stats=table.file.source(table.pointer), dataset=info.source),
    )


def _names(info: Info) -> Fact[tuple[str, ...]]:
    """Channel names: a list, a list in a list, or lists by group."""
    fact = info.fact("features", ACTION, "names")
    groups = list(fact.value.values()) if isinstance(fact.value, dict) else [fact.value]
    names = [name for group in groups if isinstance(group, list) for name in group]
    if len(names) == 1 and isinstance(names[0], list):
        names = names[0]
    return declared(tuple(names), fact.why) if names and all(isinstance(name, str) for name in names) else UNKNOWN


def conventions_of(stats: NormStats, info: Info) -> Conventions:
    """What the description of a dataset says of its action."""
    names, rate, robot = _names(info), info.fact("fps"), info.fact("robot_type")
    hertz = rate.value if isinstance(rate.value, (int, float)) and not isinstance(rate.value, bool) else 0
    if names.value is not None and len(names.value) != stats.dim:
        names = UNKNOWN
    grippers = tuple(d for d, name in enumerate(names.value or ()) if "gripper" in name.lower())
    return Conventions(
        gripper=declared(grippers, names.why) if grippers else infer_gripper(stats),
        rate=declared(float(hertz), rate.why) if hertz > 0 else UNKNOWN,
        controller=robot if isinstance(robot.value, str) else UNKNOWN,
        names=names,
    )


def _broken(folder: Folder, error: FormatError) -> Finding:
    place = f"{error.file}#{error.pointer}"
    return Finding(
        "S1", "error", folder.path, place, f"the statistics cannot be read: {error}", fix="Recompute the statistics."
    )


def _missing(folder: Folder, info: Info, tables: Sequence[Table]) -> Iterator[Finding]:
    """S1: a dataset without statistics of an action."""
    if info.file and not tables:
        yield Finding(
            "S1",
            "warning",
            folder.path,
            info.file.path,
            f"no statistics of {ACTION!r} beside the dataset's description",
            {"features": list(info.values["features"])},
            "Fetch meta/stats.json or meta/episodes_stats.jsonl, or recompute the statistics.",
        )
    elif not info.file and any(table.path == "meta/stats.json" for table in tables):
        yield Finding(
            "S1",
            "warning",
            folder.path,
            tables[0].file.path,
            "no meta/info.json beside the statistics: LeRobot does not load this dataset",
            fix="Fetch meta/info.json.",
        )


def _copies(folder: Folder, used: Sequence[Table], unused: Sequence[Table]) -> Iterator[Finding]:
    """P2: two files of one dataset that disagree."""
    for other in unused:
        if len(used) == 1 and (evidence := disagreement(other.stats, used[0].stats)):
            yield Finding(
                "P2",
                "warning",
                f"{folder.path}#{ACTION}",
                f"{other.file.path}#{other.pointer}",
                f"disagrees with {used[0].path}, which LeRobot reads: {describe(evidence)}",
                evidence,
                "Recompute the statistics from the data.",
            )


def _shapes(folder: Folder, info: Info, keys: Sequence[Published]) -> Iterator[Finding]:
    """S6: figures, names and declared shape of the action that do not fit each other."""
    shape, names = info.fact("features", ACTION, "shape"), _names(info)
    for key in keys:
        for what, fact, width in (
            ("shape", shape, shape.value[0] if isinstance(shape.value, list) and len(shape.value) == 1 else None),
            ("names", names, len(names.value) if names.value is not None else None),
        ):
            if width not in (None, key.stats.dim):
                yield Finding(
                    "S6",
                    "error",
                    f"{folder.path}#{key.key}",
                    fact.why,
                    f"statistics of {key.stats.dim} channels, {what} of {width}",
                    {"statistics": key.stats.dim, what: width},
                    "Recompute the statistics from the data.",
                )


def _unpooled(folder: Folder, used: Sequence[Table]) -> Iterator[Finding]:
    for table in used:
        if table.unpooled:
            yield Finding(
                "S5",
                "note",
                f"{folder.path}#{ACTION}",
                f"{table.file.path}#{table.pointer}",
                f"{', '.join(table.unpooled)} of single episodes do not pool to those of the data, and are not read",
                {"figures": list(table.unpooled)},
                "Recompute them over all episodes at once if a mode needs them.",
            )


def _partial(folder: Folder, used: Sequence[Table]) -> Iterator[Finding]:
    """S1: episodes that the pooled figures do not count."""
    for table in used:
        if table.without:
            listed = ", ".join(map(str, table.without[:SHOWN])) + ", …" * (len(table.without) > SHOWN)
            yield Finding(
                "S1",
                "warning",
                f"{folder.path}#{ACTION}",
                table.file.path,
                f"{len(table.without)} episodes have no statistics of {ACTION!r}, and do not count: {listed} (from 0)",
                {"episodes": list(table.without)},
                "Recompute the statistics from the data.",
            )
