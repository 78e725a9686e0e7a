"""Figures out of JSON: what the readers of statistics share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..conventions import UNKNOWN, Fact, declared
from ..errors import Finding, FormatError, ShapeMismatchError
from ..stats import FIGURES, BoolArray, FloatArray, NormStats
from .published import FileRecord, Published
from .strict_json import escape
from .tree import File, Folder

ROUNDING = 1e-5
"""Relative to the largest figure of a channel: copies closer than this differ by a float32 detour, not in meaning."""


def read_stats(
    file: File,
    pointer: str,
    group: Mapping[str, Any],
    *,
    mask: BoolArray | None = None,
    count: int | None = None,
    estimator: str | None = None,
) -> NormStats:
    """The figures of one JSON object, canonical names only; `null` counts as not published.

    The estimator is of the quantiles, and dropped where there are none.

    Raises:
        FormatError: a figure that is no list of numbers, or figures of different shapes, with the place.
    """
    figures = {
        name: numbers(file.error, f"{pointer}/{name}", group[name]) for name in FIGURES if group.get(name) is not None
    }
    for name in figures:
        if not isinstance(group[name], list):
            raise file.error("expected a list with one number per channel, found one number", f"{pointer}/{name}")
    if not any(name.startswith("q") for name in figures):
        estimator = None
    return make_stats(file.path, pointer, figures, mask=mask, count=count, estimator=estimator)


def make_stats(file: str, pointer: str, figures: Mapping[str, FloatArray], **rest: Any) -> NormStats:
    """`NormStats` of at least one channel; what is wrong with the shapes becomes a `FormatError` with the place."""
    try:
        stats = NormStats(figures, **rest)
    except ShapeMismatchError as error:
        raise FormatError(str(error), file=file, pointer=pointer) from None
    if not stats.dim:
        raise FormatError("figures of no channels", file=file, pointer=pointer)
    return stats


def numbers(fail: Callable[[str, str], FormatError], pointer: str, value: object) -> FloatArray:
    """A list of numbers, or of rows of numbers, as float64; one number is a list of one.

    `fail` makes the error to raise from a reason and the pointer; `File.error` is one.
    """
    items: list[Any] = value if isinstance(value, list) else [value]
    rows = items if items and all(isinstance(item, list) for item in items) else [items]
    if any(type(number) not in (int, float) for row in rows for number in row):
        raise fail("expected a list of numbers, or of rows of numbers", pointer)
    if len({len(row) for row in rows}) > 1:
        raise fail("rows of different lengths", pointer)
    return np.array(items, np.float64)


def mask_of(file: File, pointer: str, value: Any) -> BoolArray:
    """A mask: a list of true and false, or of 1 and 0. Raises `FormatError` with the place."""
    if not isinstance(value, list) or any(type(v) not in (bool, int) or v not in (0, 1) for v in value):
        raise file.error("expected a mask, a list of true and false (or 1 and 0)", pointer)
    return np.array(value, np.bool_)


def named(word: str, folder: Folder) -> str:
    """The name that holds the word, of the repository or of the folder and its parent; empty if none does."""
    names = [folder.repo] if folder.repo else folder.location.split("/")[-2:]
    return next((name for name in names if re.search(rf"(?<![a-z]){word}(?![a-z])", name.lower())), "")


def is_grouped(block: object) -> bool:
    """Whether an `action` block holds groups by name, each with figures of its own, as GR00T's do."""
    return isinstance(block, dict) and bool(block) and all(isinstance(group, dict) for group in block.values())


def is_unkeyed(document: Mapping[str, Any]) -> bool:
    """Whether a document holds the `action` of one dataset itself, and not that of datasets by name."""
    block = document.get("action")
    return isinstance(block, dict) and not isinstance(block.get("action"), dict)


def disagreement(a: NormStats, b: NormStats) -> dict[str, Any] | None:
    """Evidence of the largest difference between two copies of the same statistics; None if they agree.

    Figures that only one copy has, or that are not finite, do not count.
    """
    if a.shape != b.shape:
        return {"shapes": [list(a.shape), list(b.shape)]}
    shared = [name for name in a if name in b and np.isfinite(a[name]).all() and np.isfinite(b[name]).all()]
    scale = np.max([np.abs(stats[name]) for stats in (a, b) for name in shared] or [np.zeros(a.shape)], axis=0)
    cases: list[dict[str, Any]] = []
    for name in shared:
        with np.errstate(over="ignore"):
            by = np.minimum(np.abs(a[name] - b[name]), np.finfo(np.float64).max)
        if (by > ROUNDING * scale).any():
            at = np.unravel_index(int(np.argmax(by)), by.shape)
            values = [float(a[name][at]), float(b[name][at])]
            cases.append({"figure": name, "channel": int(at[-1]), "difference": float(by[at]), "values": values})
    return max(cases, key=lambda case: float(case["difference"]), default=None)


def describe(evidence: Mapping[str, Any]) -> str:
    """The evidence of a disagreement in words, to end a sentence."""
    if "shapes" in evidence:
        first, second = evidence["shapes"]
        return f"shape {tuple(first)} against {tuple(second)}"
    first, second = evidence["values"]
    return (
        f"largest difference {evidence['difference']:.4g}, "
        f"{evidence['figure']} of channel {evidence['channel']}: {first:.6g} against {second:.6g}"
    )


def value(document: object, *names: str) -> Any:
    """A value of a JSON document by the names on the way to it; None where the way ends."""
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def mapping(document: object, *names: str) -> Mapping[str, Any]:
    """The object at the end of the way; empty where it is none."""
    found = value(document, *names)
    return found if isinstance(found, dict) else {}


def declared_at(file: File, document: object, *names: str) -> Fact[Any]:
    """`value` as a fact; unknown where the way ends or the value is null."""
    found = value(document, *names)
    return UNKNOWN if found is None else declared(found, f"{file.path}#/{'/'.join(map(escape, names))}")


def record(file: File, ecosystem: str) -> FileRecord:
    """The record of a file that was read."""
    return FileRecord(file.path, "read", ecosystem, file.size, file.sha256)


def unreadable(file: File, ecosystem: str, error: FormatError) -> FileRecord:
    """The record of a file that belongs to a checkpoint and does not parse."""
    return FileRecord(file.path, "unreadable", ecosystem, file.size, detail=str(error))


def assumed(folder: Folder, keys: Sequence[Published], what: str) -> Iterator[Finding]:
    """T1, once per folder: `what` is not recorded, so that the profile of keys which fit several is assumed."""
    first = next((key for key in keys if key.alternatives), None)
    if first:
        yield Finding(
            "T1",
            "note",
            folder.path,
            str(first.sources["stats"]),
            f"{what} is not recorded; {first.profile.value} is assumed: {first.profile.why}",
            {"profile": first.profile.value, "alternatives": list(first.alternatives)},
            "Name the profile the model runs, as PATH#KEY@PROFILE.",
        )
