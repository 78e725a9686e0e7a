"""Stacks whose statistics are one small JSON file: a row of `LAYOUTS` each.

ACT and its descendants write pickles (`dataset_stats.pkl`), which are never loaded; these are their JSON copies. ACT
un-normalizes by mean and std; TinyVLA and DexVLA by min and max (already widened by 1e-4) where their head is a
diffusion head. VLA-0 scales the integers that its language model writes. GO-1 normalizes with an epsilon of 1e-6 and
un-normalizes without. robomimic's scale and offset have shape (1, D). RDT does not normalize: it works in physical
units in 128 fixed slots, and its figures only mask them and scale noise; Agilex grippers are scaled in code, by
11.8997 and 13.9231.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conventions import Conventions, infer_gripper, inferred
from ..errors import Finding, FormatError, MissingStatsError
from .figures import assumed, make_stats, numbers, record
from .published import Checkpoint, Published
from .strict_json import escape
from .tree import File, Folder

_NAME = re.compile(r"(?:data(?:set)?_stats?|action_normalization_stats)\.json")


@dataclass(frozen=True)
class Layout:
    """How one stack writes its figures.

    Attributes:
        ecosystem: whose.
        block: name of the object that holds them, empty for the document itself, `*` for every object of it.
        names: canonical name to the name in the file.
        marks: further names that the document must have, so that it is this stack's.
        profile: the un-normalizer that runs, `why` it is thought to, and the others that could.
        inert: why un-normalizing does nothing, where it does not.
    """

    ecosystem: str
    block: str
    names: Mapping[str, str]
    marks: frozenset[str]
    profile: str
    why: str
    alternatives: tuple[str, ...] = ()
    inert: str = ""

    def blocks(self, document: object) -> dict[str, Mapping[str, Any]]:
        """JSON pointer to the objects of figures; empty if the document is not in this layout."""
        if not isinstance(document, dict) or not self.marks <= document.keys():
            return {}
        found: dict[str, Mapping[str, Any]]
        if not self.block:
            found = {"": document}
        else:
            names = document if self.block == "*" else (self.block,)
            found = {f"/{escape(name)}": document.get(name, {}) for name in names}
        fits = all(isinstance(block, dict) and set(self.names.values()) <= block.keys() for block in found.values())
        return found if fits else {}


def _named(pattern: str, *figures: str) -> dict[str, str]:
    return {figure: pattern.format(figure) for figure in figures}


LAYOUTS = (
    Layout(
        "tinyvla",
        "",
        _named("action_{}", "mean", "std", "min", "max"),
        frozenset(),
        "tinyvla",
        "min and max are published, which the diffusion head reads",
        ("act",),
    ),
    Layout("act", "", _named("action_{}", "mean", "std"), frozenset(), "act", "the layout is ACT's"),
    Layout("vla0", "out_ori_act", _named("{}", "min", "max"), frozenset(), "vla0", "the layout is VLA-0's"),
    Layout("go1", "action", _named("{}", "mean", "std"), frozenset({"state"}), "go1", "the layout is GO-1's"),
    Layout(
        "robomimic",
        "actions",
        _named("{}", "scale", "offset"),
        frozenset(),
        "robomimic",
        "scale and offset of robomimic",
    ),
    Layout(
        "robomimic",
        "action",
        _named("{}", "scale", "offset"),
        frozenset(),
        "robomimic",
        "scale and offset of robomimic",
    ),
    Layout(
        "rdt",
        "*",
        _named("state_{}", "mean", "std", "min", "max"),
        frozenset(),
        "rdt",
        "RDT works in physical units",
        inert="RDT does not un-normalize: these figures mask slots and scale noise, whatever the key; grippers are "
        "scaled in code, Agilex by 11.8997 and 13.9231",
    ),
)
"""The first that fits counts."""


def read(folder: Folder) -> Checkpoint | None:
    """What the first small JSON file in a layout of the table publishes; None if there is none."""
    for name in filter(_NAME.fullmatch, folder.files):
        file = folder.files[name]
        try:
            document = file.json()
        except FormatError:
            continue  # whose it is cannot be told
        for layout in LAYOUTS:
            if blocks := layout.blocks(document):
                return _checkpoint(folder, file, layout, blocks)
    return None


def _checkpoint(folder: Folder, file: File, layout: Layout, blocks: Mapping[str, Mapping[str, Any]]) -> Checkpoint:
    keys: list[Published] = []
    findings: list[Finding] = []
    for pointer, block in blocks.items():
        key = str(block.get("dataset_name", pointer[1:])) if layout.block == "*" else "action"
        try:
            keys.append(_publish(file, layout, key, pointer, block))
        except (FormatError, MissingStatsError) as error:
            fix = "Repair or recompute the statistics."
            findings.append(
                Finding("S1", "error", f"{folder.path}#{key}", f"{file.path}#{pointer}", str(error), fix=fix)
            )
    return Checkpoint(
        folder.path,
        layout.ecosystem,
        tuple(keys),
        findings=(*findings, *assumed(folder, keys, "which head runs"), *_inert(folder, file, layout)),
        files=(record(file, layout.ecosystem),),
        repo=folder.repo,
        revision=folder.revision,
    )


def _publish(file: File, layout: Layout, key: str, pointer: str, block: Mapping[str, Any]) -> Published:
    figures = {}
    for figure, name in layout.names.items():
        found = numbers(file.error, f"{pointer}/{name}", block[name])
        figures[figure] = found[0] if found.ndim == 2 and len(found) == 1 else np.asarray(found)
    stats = make_stats(file.path, pointer, figures)
    return Published(
        key,
        stats,
        inferred(layout.profile, layout.why),
        layout.alternatives,
        conventions=Conventions(gripper=infer_gripper(stats)),
        sources={"stats": file.source(pointer)},
    )


def _inert(folder: Folder, file: File, layout: Layout) -> Iterator[Finding]:
    if layout.inert:
        yield Finding(
            "K3", "note", folder.path, file.path, layout.inert, fix="Audit the client's scaling in their place."
        )
