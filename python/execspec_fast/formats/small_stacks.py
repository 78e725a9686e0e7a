"""Stacks whose statistics are one small JSON file: a row of `LAYOUTS` each.

ACT and its descendants write pickles (`dataset_stats.pkl`), which are never loaded; these are their JSON copies. ACT
un-normalizes by mean and std; TinyVLA and DexVLA by min and max (already widened by 1e-4) where their head is a
diffusion head. VLA-0 scales the integers that its language model writes. GO-1 normalizes with an epsilon of 1e-6 and
un-normalizes without, where `norm` of its `config.json` is true. robomimic's scale and offset have shape (1, D). wall-x
0.5 writes openpi's file with the names of LeRobot's features, and scales by the quantiles. RDT does not normalize: it
works in physical units in 128 fixed slots, and its figures only mask them and scale noise; its Agilex client scales the
two grippers by constants of its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..conventions import Conventions, Fact, infer_gripper, inferred
from ..errors import Finding, FormatError, MissingStatsError
from ..stats import NormStats
from .figures import assumed, make_stats, numbers, record, value
from .published import Checkpoint, Published
from .strict_json import escape
from .tree import File, Folder

EVERY = ("*",)


@dataclass(frozen=True)
class Layout:
    """How one stack writes its figures.

    Attributes:
        ecosystem: whose.
        file: regular expression of the file's name.
        block: names on the way to the object that holds the figures, none for the document itself, or `EVERY` object.
        names: canonical name to the name in the file.
        profile: the un-normalizer that runs, `why` it is thought to, and the others that could.
        marks: further names that the document must have, so that it is this stack's.
        gripper: the channels that the stack itself gives the grippers; empty where it does not.
        inert: why un-normalizing does nothing, where it does not.
        switch: the setting of `config.json` that turns un-normalizing off, if there is one.
    """

    ecosystem: str
    file: str
    block: tuple[str, ...]
    names: Mapping[str, str]
    profile: str
    why: str
    alternatives: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()
    gripper: tuple[int, ...] = ()
    inert: str = ""
    switch: str = ""

    def blocks(self, document: object) -> dict[str, Mapping[str, Any]]:
        """JSON pointer to the objects of figures; empty if the document is not in this layout."""
        if not isinstance(document, dict) or not self.marks <= document.keys():
            return {}
        ways = [(name,) for name in document] if self.block == EVERY else [self.block]
        found = {"".join(f"/{escape(name)}" for name in way): value(document, *way) for way in ways}
        fits = all(isinstance(block, dict) and set(self.names.values()) <= block.keys() for block in found.values())
        return found if fits else {}


def _named(pattern: str, *figures: str) -> dict[str, str]:
    return {figure: pattern.format(figure) for figure in figures}


MOMENTS, ACT_FILE = ("mean", "std"), r"(?:dataset_stats|norm_stats)\.json"

LAYOUTS = (
    Layout(
        "tinyvla",
        ACT_FILE,
        (),
        _named("action_{}", *MOMENTS, "min", "max"),
        "tinyvla",
        "min and max are published, which the diffusion head reads",
        ("act",),
    ),
    Layout("act", ACT_FILE, (), _named("action_{}", *MOMENTS), "act", "the layout is ACT's"),
    Layout(
        "vla0",
        r"dataset_stats\.json",
        ("out_ori_act",),
        _named("{}", "min", "max"),
        "vla0",
        "the layout is VLA-0's",
    ),
    Layout(
        "go1",
        r"data(?:set)?_stats\.json",
        ("action",),
        _named("{}", *MOMENTS),
        "go1",
        "the layout is GO-1's",
        marks=frozenset({"state"}),
        switch="norm",
    ),
    *(
        Layout(
            "robomimic",
            r"(?:dataset_stats|action_normalization_stats)\.json",
            (key,),
            _named("{}", "scale", "offset"),
            "robomimic",
            "scale and offset are robomimic's",
        )
        for key in ("actions", "action")
    ),
    Layout(
        "wall-x",
        r"norm_stats\.json",
        ("norm_stats", "action"),
        _named("{}", *MOMENTS, "q01", "q99"),
        "wall-x-q99",
        "the groups have the names of LeRobot's features, as wall-x 0.5 writes them",
    ),
    Layout(
        "rdt",
        r"dataset_stats?\.json",
        EVERY,
        _named("state_{}", *MOMENTS, "min", "max"),
        "rdt",
        "RDT works in physical units",
        ("rdt-agilex",),
        gripper=(10, 60),
        inert="RDT does not un-normalize: these figures mask slots and scale noise, whatever the key; what a client "
        "scales is in its code",
    ),
)
"""The first that fits counts."""


def read(folder: Folder) -> Checkpoint | None:
    """What the first small JSON file in a layout of the table publishes; None if there is none."""
    for name, file in folder.files.items():
        layouts = [layout for layout in LAYOUTS if re.fullmatch(layout.file, name)]
        try:
            document = file.json() if layouts else None
        except FormatError:
            continue  # whose it is cannot be told
        for layout in layouts:
            if blocks := layout.blocks(document):
                return _checkpoint(folder, file, layout, blocks)
    return None


def _checkpoint(folder: Folder, file: File, layout: Layout, blocks: Mapping[str, Mapping[str, Any]]) -> Checkpoint:
    keys: list[Published] = []
    findings: list[Finding] = []
    for pointer, block in blocks.items():
        key = str(block.get("dataset_name", pointer[1:])) if layout.block == EVERY else "action"
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
        findings=(
            *findings,
            *assumed(folder, keys, "which head or client runs"),
            *_inert(folder, file, layout),
            *_switched_off(folder, layout),
        ),
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
        conventions=Conventions(gripper=_gripper(layout, stats)),
        sources={"stats": file.source(pointer)},
    )


def _gripper(layout: Layout, stats: NormStats) -> Fact[tuple[int, ...]]:
    if layout.gripper and max(layout.gripper) < stats.dim:
        return inferred(layout.gripper, f"the slots that {layout.ecosystem} gives the grippers")
    return infer_gripper(stats)


def _inert(folder: Folder, file: File, layout: Layout) -> Iterator[Finding]:
    if layout.inert:
        fix = "Audit what the client scales in their place."
        yield Finding("K3", "note", folder.path, file.path, layout.inert, fix=fix)


def _switched_off(folder: Folder, layout: Layout) -> Iterator[Finding]:
    config = folder.files.get("config.json")
    try:
        setting = value(config.json(), layout.switch) if config and layout.switch else None
    except FormatError:
        return  # listed as unreadable
    if config and setting is False:
        yield Finding(
            "K3",
            "warning",
            folder.path,
            f"{config.path}#/{layout.switch}",
            f"{layout.switch} is false: {layout.ecosystem} does not un-normalize, and these figures are not used",
            fix="Set it as the policy was trained.",
        )
