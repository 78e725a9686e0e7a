"""Classes of executable equivalence: keys of which any two drift by no more than eps."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .drift import declared_not_maps
from .errors import ExecSpecError
from .matrix import FloatArray, Samples, as_samples
from .tiles import TILE, pair_blocks, runs
from .unnormalizer import Executable

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.int32]
Number = TypeVar("Number", np.int32, np.float64)
Edges = tuple[KeyArray, KeyArray, FloatArray]  # two keys and the distance between them

LARGEST = 8192
"""Different keys that close pairs may connect: their square matrix takes 512 MiB, the pairs, 16 bytes each, at
most as much, and everything 1.5 GB while they are sorted."""
PAIRS = LARGEST * (LARGEST - 1) // 2


@dataclass(frozen=True, eq=False)
class EquivalenceClasses:
    """A partition of K keys such that any two of one class are at most eps apart.

    Closeness is not transitive, so a class is no chain of close neighbours: it has a diameter, and two keys of
    different classes may be closer than eps.

    Attributes:
        metric: the distance, one number per pair, the larger of its two directions.
        eps: what no diameter exceeds.
        members: positions in the list of specs, ascending, every key in one class; by first member.
        diameter: `(C,)`, the largest distance between two members; 0 for a class of one.
    """

    metric: str
    eps: float
    members: tuple[tuple[int, ...], ...]
    diameter: FloatArray

    @property
    def label(self) -> IntArray:
        """`(K,)`, the class of every key."""
        label = np.empty(sum(map(len, self.members)), np.int64)
        for number, keys in enumerate(self.members):
            label[list(keys)] = number
        return label

    def __str__(self) -> str:
        alone = sum(len(keys) == 1 for keys in self.members)
        return (
            f"{len(self.label)} keys in {len(self.members)} classes, {alone} of one key; "
            f"{self.metric} within a class at most {self.diameter.max():.4g} (eps {self.eps:g})"
        )


def equivalence_classes(
    specs: Sequence[Executable],
    sample: Samples,
    metric: str = "mean",
    eps: float = 0.0,
    tile: int = TILE,
    threads: int | None = None,
) -> EquivalenceClasses:
    """The classes that complete linkage cut at eps makes: the closest two are merged while their union allows it.

    Keys of one map are merged before any drift is computed. Of the others only pairs within eps are kept, then each
    group that they connect is clustered by itself. Ties go to the smaller index, so the order of the specs decides
    only there.

    Args:
        specs, sample, threads: as in `drift_matrix`.
        metric: joint ones as they are; of a separable one the largest magnitude among the channels that neither spec
            knows to be a gripper.
        eps: in the unit of the metric; 0 joins keys that no action of the sample tells apart, inf all whose drift is
            finite. Keys whose drift is NaN or infinite never share a class.
        tile: keys on a side of what is computed at once. The answer never depends on it.

    Raises:
        ShapeMismatchError, ExecSpecError: also where pairs within eps connect more than `LARGEST` different keys.
    """
    if not eps >= 0:
        raise ExecSpecError(f"eps {eps}: a distance of at least 0 is needed")
    samples = as_samples(sample)
    copies = _copies(specs) if len(samples) == 1 else [[k] for k in range(len(specs))]
    close, comparable = _close_pairs([specs[keys[0]] for keys in copies], samples, metric, eps, tile, threads)
    classes = [((k,), 0.0) for keys, fine in zip(copies, comparable, strict=True) if not fine for k in keys]
    for group, distances in _groups(close, np.flatnonzero(comparable)):
        for places, diameter in _complete_linkage(distances):
            classes.append((tuple(sorted(k for place in places for k in copies[group[place]])), diameter))
    classes.sort()
    return EquivalenceClasses(
        metric, eps, tuple(keys for keys, _ in classes), np.array([diameter for _, diameter in classes])
    )


def _copies(specs: Sequence[Executable]) -> list[list[int]]:
    """Positions of the specs that compile to one map and declare the same of what decides whether drift exists."""
    groups: dict[Hashable, list[int]] = {}
    for k, spec in enumerate(specs):
        table = spec.map.table()
        same = (table.shape, table.tobytes(), spec.map.domain, spec.map.gripper, declared_not_maps(spec))
        groups.setdefault(same, []).append(k)
    return list(groups.values())


def _close_pairs(
    specs: Sequence[Executable], sample: Samples, metric: str, eps: float, tile: int, threads: int | None
) -> tuple[Edges, npt.NDArray[np.bool_]]:
    """Every unordered pair within eps, and which keys have a drift at all, be it only from themselves."""
    firsts, seconds, gaps = list[KeyArray](), list[KeyArray](), list[FloatArray]()
    count, comparable = 0, np.ones(len(specs), np.bool_)
    for block in pair_blocks(specs, sample, metric, tile, threads, scalar=True):
        back = block.forth if block.back is None else block.back
        distances = np.maximum(block.forth, back.T)
        first, second = np.divmod(np.flatnonzero(distances <= eps), distances.shape[1])
        gap = distances[first, second]
        if block.back is None:
            comparable[block.rows] = ~np.isnan(distances.diagonal())
            once = first < second
            first, second, gap = first[once], second[once], gap[once]
        firsts.append((first + block.rows.start).astype(np.int32))
        seconds.append((second + block.columns.start).astype(np.int32))
        gaps.append(gap)
        count += len(gap)
        if count > PAIRS:
            raise ExecSpecError(
                f"more than {PAIRS} pairs of {len(specs)} different keys lie within eps {eps:g}, more than classes "
                "are made of in memory: take a smaller eps, or fewer keys at once"
            )
    return (_joined(firsts), _joined(seconds), _joined(gaps)), comparable


def _joined(parts: list[npt.NDArray[Number]]) -> npt.NDArray[Number]:
    """One array of the parts, which are given up: at the bound both would not fit."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _groups(edges: Edges, keys: IntArray) -> Iterator[tuple[IntArray, FloatArray]]:
    """The keys that edges connect, ascending, and `(m, m)` their distances, inf where there is no edge."""
    first, second, gap = edges
    root = _roots(first, second, int(keys.max(initial=-1)) + 1)
    by_root = keys[np.argsort(root[keys], kind="stable")]
    roots, starts, sizes = np.unique(root[by_root], return_index=True, return_counts=True)
    if sizes.max(initial=0) > LARGEST:
        raise ExecSpecError(
            f"pairs within eps connect {sizes.max()} different keys, more than the {LARGEST} whose square matrix "
            "is held: take a smaller eps, or fewer keys at once"
        )
    order = np.argsort(root[first], kind="stable")
    ends = np.searchsorted(root[first], roots, side="right", sorter=order)
    place = np.zeros(len(root), np.int32)
    done = 0
    for group, end in zip(np.split(by_root, starts)[1:], ends, strict=True):
        place[group] = np.arange(len(group))
        distances = np.full((len(group), len(group)), np.inf)
        for run in runs(int(end) - done, 1 << 20):
            own = order[done:end][run]
            i, j = place[first[own]], place[second[own]]
            distances[i, j] = distances[j, i] = gap[own]
        done = int(end)
        yield group, distances


def _roots(first: KeyArray, second: KeyArray, keys: int) -> KeyArray:
    """Of every key the smallest that edges lead to: each round halves the roots that are not smallest yet."""
    root = np.arange(keys, dtype=np.int32)
    while (root[first] != root[second]).any():
        low = np.minimum(root[first], root[second])
        np.minimum.at(root, root[first], low)
        np.minimum.at(root, root[second], low)
        while (root != root[root]).any():
            root = root[root]
    return root


def _complete_linkage(distances: FloatArray) -> Iterator[tuple[list[int], float]]:
    """Clusters and their diameters, from `(m, m)` distances where inf forbids; overwrites them.

    The nearest-neighbour chain: walk from a cluster to its nearest until two are each other's nearest, merge these.
    Under complete linkage a merge brings nothing nearer, so the rest of the walk stays valid, and the merges are those
    of always joining the closest two.
    """
    members = {k: [k] for k in range(len(distances))}
    diameter = np.zeros(len(distances))
    for start in range(len(distances)):
        chain = [start] if start in members else []
        while chain:
            top = chain[-1]
            nearest = int(distances[top].argmin())
            gap = distances[top, nearest]
            if gap == np.inf:
                yield members.pop(chain.pop()), float(diameter[top])
            elif len(chain) > 1 and distances[top, chain[-2]] == gap:
                chain.pop()
                kept, gone = sorted((top, chain.pop()))
                distances[kept] = distances[:, kept] = np.maximum(distances[kept], distances[gone])
                distances[gone] = distances[:, gone] = np.inf
                members[kept] += members.pop(gone)
                diameter[kept] = gap
                chain = chain or [kept]
            else:
                chain.append(nearest)
