"""GR00T's groups: an action is a list of named groups (`left_arm`, `gripper`), each with figures of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..conventions import UNKNOWN, Fact, declared
from ..errors import FormatError
from ..stats import NormStats
from .figures import make_stats, read_stats
from .strict_json import escape
from .tree import File

FIGURES_OF = {
    "min_max": ("min", "max"),
    "percentiles": ("q01", "q99"),
    "q99": ("q01", "q99"),
    "mean_std": ("mean", "std"),
}
"""Mode to the figures it reads."""

AS_RECORDED = "as in the dataset"


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        name: `left_arm`.
        stats: `(D,)` figures, or one row per time step.
        mode: how it is scaled, where the files say so.
        representation: what the policy is said to emit, `relative` or `delta`; empty for what the dataset has.
    """

    name: str
    stats: NormStats
    mode: str = ""
    representation: str = ""


def read_group(file: File, pointer: str, name: str, block: object, mode: str = "", representation: str = "") -> Group:
    """A group of a JSON object; `FormatError` with the place if it is none."""
    if not isinstance(block, dict):
        raise file.error(f"expected the figures of group {name!r}", pointer)
    return Group(name, read_stats(file, pointer, block), mode, representation)


def read_groups(file: File, pointer: str, blocks: object) -> tuple[Group, ...]:
    """Every group of an object, in file order."""
    if not isinstance(blocks, dict) or not blocks:
        raise file.error("expected groups of figures by name", pointer)
    return tuple(read_group(file, f"{pointer}/{escape(name)}", name, block) for name, block in blocks.items())


def join(file: File, pointer: str, groups: Sequence[Group]) -> NormStats:
    """The figures of all groups side by side, those that every group has.

    Where a group has one row per time step, those that have one in all repeat it, as a chunk does.

    Raises:
        FormatError: no group, no figure that all have, or groups of different numbers of time steps.
    """
    steps = {group.stats.shape[0] for group in groups if len(group.stats.shape) > 1}
    if len(steps) > 1:
        raise FormatError(f"groups of {sorted(steps)} time steps", file=file.path, pointer=pointer)
    shared = [figure for figure in groups[0].stats if all(figure in group.stats for group in groups)] if groups else []
    if not shared:
        raise FormatError("no figure that every group of the action has", file=file.path, pointer=pointer)
    figures = {}
    for figure in shared:
        parts = [group.stats[figure] for group in groups]
        if steps:
            parts = [np.broadcast_to(part, (*steps, part.shape[-1])) for part in parts]
        figures[figure] = np.concatenate(parts, axis=-1)
    modes = tuple(group.mode for group in groups for _ in range(group.stats.dim))
    return make_stats(file.path, pointer, figures, modes=modes if len(set(modes)) > 1 else None)


def channel_names(groups: Sequence[Group]) -> tuple[str, ...]:
    """`gripper` for a group of one channel, `left_arm.0` and on for one of more."""
    return tuple(name for group in groups for name in _names(group.name, group.stats.dim))


def _names(name: str, dim: int) -> tuple[str, ...]:
    return (name,) if dim == 1 else tuple(f"{name}.{d}" for d in range(dim))


def sliced_names(slots: Mapping[str, tuple[int, int]], dim: int) -> Fact[tuple[str, ...]]:
    """Names of the channels of one vector by the slices of its groups; unknown unless they cover it exactly."""
    names: dict[int, str] = {}
    if any(end > dim for _, end in slots.values()):
        return UNKNOWN
    for group, (start, end) in slots.items():
        names.update(zip(range(start, end), _names(group, end - start), strict=True))
    if sorted(names) != list(range(dim)):
        return UNKNOWN
    return declared(tuple(names[d] for d in range(dim)), "modality.json")


def grippers(names: Sequence[str], where: str) -> Fact[tuple[int, ...]]:
    """The channels whose name says gripper."""
    found = tuple(d for d, name in enumerate(names) if "gripper" in name.lower())
    return declared(found, where) if found else UNKNOWN


def representation(groups: Sequence[Group], where: str) -> Fact[str]:
    """`relative` or `delta`; where groups differ, each with its name; unknown where all are as the dataset has them.

    GR00T declares what it does not convert as absolute, the deltas of LIBERO too: a declared `ABSOLUTE` tells nothing.
    """
    kinds: dict[str, list[str]] = {}
    for group in groups:
        kinds.setdefault(group.representation or AS_RECORDED, []).append(group.name)
    if set(kinds) == {AS_RECORDED}:
        return Fact(None, "unknown", f"{where}: not converted, so {AS_RECORDED}, and deltas are not told from absolute")
    if len(kinds) == 1:
        return declared(next(iter(kinds)), where)
    return declared("; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items()), where)


def possible(names: Sequence[str], stats: NormStats) -> tuple[str, ...]:
    """Those of the profiles whose figures are published; the mode is the last word of a profile's name."""
    return tuple(
        name
        for name in names
        if all(figure in stats for figure in FIGURES_OF[name.rpartition("-")[2]])
        and (len(stats.shape) == 1 or name.startswith("gr00t-n1.6"))
    )
