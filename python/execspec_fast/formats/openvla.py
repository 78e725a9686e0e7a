"""OpenVLA statistics: `{key: {"action": {q01, q99, mask, …}, "num_transitions": n}}`, and what forks make of them.

The loader of openvla/openvla (`experiments/robot/openvla_utils.py`) lets a local `dataset_statistics.json` replace
the `norm_stats` of `config.json`. Nora and Mantis publish the same layout as `norm_stats.json`, RoboVLMs one dataset
per file, without a key: `dataset_statistics_<name>.json`, SpatialVLA as `statistics` in `processor_config.json`. The
forks share the layout and not the un-normalizer; their checkpoints do not say so. That OpenVLA or OpenVLA-OFT runs is
inferred without a word to the user: the two differ by 1e-8 of a range.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..conventions import Conventions, Fact, infer_gripper
from ..errors import Finding, FormatError, MissingStatsError
from ..stats import FIGURES
from .figures import describe, disagreement, is_grouped, is_unkeyed, mask_of, read_stats, record
from .octo import is_octo
from .openvla_forks import OFT_FILES, PROCESSOR, ecosystem_of, possible, whose
from .published import Checkpoint, FileRecord, Published
from .strict_json import escape
from .tree import File, Folder

SIDE, CONFIG, KEYED, LOOSE = "dataset_statistics.json", "config.json", "norm_stats.json", "dataset_statistics_"
PRECEDENCE = {SIDE: 0, CONFIG: 1, KEYED: 2, PROCESSOR: 3}
"""Which file replaces which; one dataset per file comes last."""


@dataclass(frozen=True)
class _Table:
    """One file in this layout: its keys, in file order; none if it does not parse."""

    name: str
    keys: tuple[Published, ...]
    findings: tuple[Finding, ...]
    records: tuple[FileRecord, ...] = ()

    @property
    def precedence(self) -> int:
        return PRECEDENCE.get(self.name, len(PRECEDENCE))


def read(folder: Folder) -> Checkpoint | None:
    """What the folder publishes in OpenVLA's layout; None if nothing in it has that layout."""
    candidates = [name for name in folder.files if name in PRECEDENCE or re.fullmatch(LOOSE + r"[^/]+\.json", name)]
    if not candidates:
        return None
    profile, alternatives = whose(folder)
    tables = [table for name in candidates if (table := _read_table(folder, name, profile, alternatives))]
    tables = [table for table in tables if table.keys or table.findings or table.name == SIDE] or tables
    if not tables:
        return None
    first = min(table.precedence for table in tables)
    used = [table for table in tables if table.precedence == first]
    lost = [table for table in tables if table.precedence > first]
    findings = [finding for table in tables for finding in table.findings]
    records = tuple(one for table in tables for one in table.records)
    return Checkpoint(
        path=folder.path,
        ecosystem=ecosystem_of(profile) if records else "",
        keys=tuple(key for table in used for key in table.keys),
        shadowed=tuple(key for table in lost for key in table.keys),
        findings=(
            *findings,
            *_keyless(folder, used[0]),
            *_conflicts(folder, used[0], lost),
            *_fork(folder, used, profile),
        ),
        files=records,
        repo=folder.repo,
        revision=folder.revision,
    )


def _read_table(folder: Folder, name: str, profile: Fact[str], alternatives: tuple[str, ...]) -> _Table | None:
    """The keys of one file, none if it should have some and has no action; None if it holds something else."""
    file = folder.files[name]
    try:
        entries = _entries(folder, name, file.json())
    except FormatError as error:
        return _broken(folder, name, error) if _holds_statistics(file) else None
    if entries is None:
        return None
    keys, findings = [], []
    for key, (pointer, entry) in entries.items():
        target = f"{folder.path}#{key}"
        try:
            keys.append(_published(file, key, pointer, entry, profile, alternatives))
        except (FormatError, MissingStatsError) as error:
            code, at = ("S6", error.pointer) if isinstance(error, FormatError) else ("S1", pointer)
            fix = "Repair or recompute the statistics of this key; the other keys are not affected."
            findings.append(Finding(code, "error", target, f"{file.path}#{at}", str(error), fix=fix))
            continue
        unread = sorted(figure for figure in entry["action"] if figure not in (*FIGURES, "mask"))
        if unread:
            message = f"the action block has {', '.join(map(repr, unread))}, which no un-normalizer reads"
            fix = "Compare with the names that are read: " + ", ".join(FIGURES) + "."
            findings.append(Finding("K4", "note", target, f"{file.path}#{pointer}/action", message, fix=fix))
    return _Table(name, tuple(keys), tuple(findings), (record(file, ecosystem_of(profile)),))


def _holds_statistics(file: File) -> bool:
    """Whether a file that does not parse must have held statistics: by its name, or by a word in it."""
    word = {CONFIG: b'"norm_stats"', PROCESSOR: b'"statistics"'}.get(file.name, b"")
    try:
        return word in file.read()
    except FormatError:
        return False


def _keyless(folder: Folder, used: _Table) -> Iterator[Finding]:
    """S1: the file that the loader reads parses, and has no action under any key."""
    if not used.keys and not used.findings:
        yield Finding(
            "S1",
            "error",
            folder.path,
            folder.files[used.name].path,
            f"no action statistics: {used.name} has no key with an `action` block, and the loader reads no other file",
            fix=f"Fetch or recompute {used.name}; no key of this checkpoint resolves without it.",
        )


def _broken(folder: Folder, name: str, error: FormatError) -> _Table:
    finding = Finding(
        "S1",
        "error",
        folder.path,
        f"{error.file}#{error.pointer}",
        f"the statistics cannot be read: {error}",
        fix=f"Fetch or recompute {name}; without it no key of this checkpoint is certain.",
    )
    return _Table(name, (), (finding,))


def _entries(folder: Folder, name: str, document: Any) -> Mapping[str, tuple[str, Any]] | None:
    """Key to JSON pointer and entry; empty if OpenVLA would look here and find no action; None for another layout."""
    pointer = ""
    nothing: dict[str, tuple[str, Any]] | None = {} if _is_looked_into(name, document) else None
    if name == CONFIG or (name == KEYED and isinstance(document, dict) and "norm_stats" in document):
        pointer = "/norm_stats"
        document = document.get("norm_stats") if isinstance(document, dict) else None
    elif name == PROCESSOR:
        pointer = "/statistics"
        document = document.get("statistics") if isinstance(document, dict) else None
    if not isinstance(document, dict):
        return nothing
    if name not in (CONFIG, PROCESSOR, KEYED) and is_unkeyed(document):
        entries = {name.removeprefix(LOOSE).removesuffix(".json"): (pointer, document)}
    else:
        entries = {key: (f"{pointer}/{escape(key)}", entry) for key, entry in document.items()}
    blocks = [entry.get("action") for _, entry in entries.values() if isinstance(entry, dict)]
    if any(map(is_grouped, blocks)):
        return None
    others = [is_octo(folder, block) for block in blocks if isinstance(block, dict)]
    if not others:
        return nothing
    return None if all(others) else entries


def _is_looked_into(name: str, document: Any) -> bool:
    """Whether a loader takes its keys from this file even if it holds none."""
    if name != CONFIG or not isinstance(document, dict):
        return name == SIDE
    architectures = document.get("architectures")
    named = "OpenVLAForActionPrediction" in architectures if isinstance(architectures, list) else False
    return named or document.get("model_type") == "openvla" or isinstance(document.get("norm_stats"), list | dict)


def _published(
    file: File, key: str, pointer: str, entry: Any, profile: Fact[str], alternatives: tuple[str, ...]
) -> Published:
    block = entry.get("action") if isinstance(entry, dict) else None
    if not isinstance(block, dict):
        raise file.error("the key has no `action` block", pointer)
    count = entry.get("num_transitions")
    if count is not None and (type(count) is not int or count < 0):
        raise file.error(f"expected a number of transitions, found {count!r}", f"{pointer}/num_transitions")
    inside = f"{pointer}/action"
    stats = read_stats(
        file,
        inside,
        block,
        mask=mask_of(file, f"{inside}/mask", block["mask"]) if "mask" in block else None,
        count=count,
        estimator="np.quantile" if count is not None else None,
    )
    places = {"stats": inside, "mask": f"{inside}/mask", "count": f"{pointer}/num_transitions"}
    present = {"stats": True, "mask": stats.mask is not None, "count": count is not None}
    return Published(
        key,
        stats,
        profile,
        possible(alternatives, stats),
        conventions=Conventions(gripper=infer_gripper(stats)),
        sources={name: file.source(place) for name, place in places.items() if present[name]},
    )


def _conflicts(folder: Folder, used: _Table, lost: list[_Table]) -> Iterator[Finding]:
    """What the files that are not read say of the same keys, and the keys that only they have."""
    keys = {published.key: published for published in used.keys}
    for table in lost:
        pointer = folder.files[table.name].path
        for other in table.keys:
            evidence = _difference(keys[other.key], other) if other.key in keys else None
            if evidence:
                yield Finding(
                    "P2",
                    "warning",
                    f"{folder.path}#{other.key}",
                    str(other.sources["stats"]),
                    f"{table.name} and {used.name} disagree, and the loader reads {used.name}: {_in_words(evidence)}",
                    evidence,
                    f"Find out which of the two the policy was trained with, and remove the key from {table.name}.",
                )
        more = [other.key for other in table.keys if other.key not in keys]
        if more:
            yield Finding(
                "P2",
                "note",
                folder.path,
                pointer,
                f"{table.name} has {len(more)} more keys, which a loader uses if it does not find {used.name}",
                {"keys": more},
                f"Keep {used.name} with the weights wherever they are copied.",
            )


def _difference(used: Published, other: Published) -> dict[str, Any] | None:
    evidence = disagreement(used.stats, other.stats)
    if evidence:
        return evidence
    masks = [None if p.stats.mask is None else p.stats.mask.tolist() for p in (used, other)]
    return {"masks": masks} if masks[0] != masks[1] else None


def _in_words(evidence: Mapping[str, Any]) -> str:
    return "mask {} against {}".format(*evidence["masks"]) if "masks" in evidence else describe(evidence)


def _fork(folder: Folder, used: list[_Table], profile: Fact[str]) -> Iterator[Finding]:
    """What a fork of OpenVLA does with these files that OpenVLA does not."""
    if used[0].name == CONFIG and any(OFT_FILES.fullmatch(name) for name in folder.files):
        yield Finding(
            "S1",
            "warning",
            folder.path,
            folder.files[CONFIG].path,
            f"a fine-tuned checkpoint without {SIDE}: the keys of {CONFIG} are those of its base model",
            fix=f"Fetch {SIDE} of the fine-tuning run; it is saved beside the weights.",
        )
    masked = {key.key: channels for table in used for key in table.keys if (channels := _masked(key))}
    if profile.value == "nora" and masked:
        yield Finding(
            "T4",
            "note",
            folder.path,
            folder.files[used[0].name].path,
            f"Nora's decoder does not use the mask: it scales the masked channels too, on {len(masked)} keys",
            {"keys": masked},
            "Compare the gripper that this checkpoint emits with what the robot expects; closed, 0, decodes to 0.5.",
        )


def _masked(published: Published) -> list[int]:
    mask = published.stats.mask
    return [] if mask is None else [d for d, on in enumerate(mask) if not on]
