"""One reader per kind of action file: which group of numbers is the action, and its episodes as arrays.

A reader takes the file and the group asked for (None: the one that can be the action) and returns the group's
name with its episodes. What makes an array an action (shape, dtype, finite) is checked in `actions`, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AmbiguousKeyError, FormatError, MissingDependencyError, UnknownKeyError

Part = tuple[str, npt.NDArray[Any]]
"""One episode: its place in the file, as an error would name it, and its array."""

Reader = Callable[[Path, str | None], tuple[str, list[Part]]]


def read_npy(file: Path, key: str | None) -> tuple[str, list[Part]]:
    if key is not None:
        raise UnknownKeyError(key, (), f"{file}, which is one array")
    with file.open("rb") as stream:
        return "", [("", _array(stream, str(file)))]


def read_npz(file: Path, key: str | None) -> tuple[str, list[Part]]:
    """A group is a member, or the members that differ only in a leading episode number."""
    import zipfile

    with zipfile.ZipFile(file) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        groups: dict[str, list[str]] = {}
        for member in sorted(members, key=_natural):
            groups.setdefault(re.sub(r"^\d+_", "", member), []).append(member)
        group = _choose(groups, key, file)
        parts = []
        for member in groups[group]:
            with archive.open(f"{member}.npy") as stream:
                parts.append((member, _array(stream, f"{file}::{member}")))
    return group, parts


def _array(stream: Any, where: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except ValueError as error:
        if "allow_pickle" not in str(error) and "magic string" not in str(error):
            raise
        why = "no plain array inside, and a pickle is never loaded; save the actions as floats with numpy.save"
        raise FormatError(why, file=where) from error


def read_parquet(file: Path, key: str | None) -> tuple[str, list[Part]]:
    """LeRobot: one row per time step, the action a list in it, the episode's number beside it."""
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise _missing("pyarrow", file) from error

    below = file / "data" if (file / "data").is_dir() else file  # not meta/, which holds parquet files too
    files = sorted(below.rglob("*.parquet")) if file.is_dir() else [file]
    if not files:
        raise FormatError("no parquet file below this folder", file=str(file))
    parts = []
    for one in files:
        table = pq.ParquetFile(one)
        kinds = {field.name: field.type for field in table.schema_arrow}
        key = group = _choose([name for name, kind in kinds.items() if _is_numeric(kind)], key, one)
        read = table.read(columns=[name for name in (group, "episode_index") if name in kinds])
        values = _rows(read[group].combine_chunks(), f"{one}::{group}")
        episode = read["episode_index"].to_numpy() if "episode_index" in kinds else np.zeros(len(values))
        cuts = [0, *(np.flatnonzero(np.diff(episode)) + 1).tolist(), len(values)]
        parts += [(f"{one.name} from row {a}", values[a:b]) for a, b in pairwise(cuts)]
    return group, parts


def _rows(column: Any, where: str) -> npt.NDArray[Any]:
    """Shape `(N, D)` from a column of lists, or `(N, 1)` from a column of numbers."""
    import pyarrow.compute as pc

    if not _is_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))[:, None]
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)  # NaN where a list is null
    ragged = np.flatnonzero(lengths != lengths[:1])
    if ragged.size:
        row = int(ragged[0])
        raise FormatError(f"row {row} (from 0) holds {lengths[row]} values, row 0 holds {lengths[0]}", file=where)
    width = int(lengths[0]) if len(lengths) else 0
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), width)


def _is_list(kind: Any) -> bool:
    import pyarrow.types as pt

    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def _is_numeric(kind: Any) -> bool:
    import pyarrow.types as pt

    value = kind.value_type if _is_list(kind) else kind
    return bool(pt.is_floating(value) or pt.is_integer(value))


def read_hdf5(file: Path, key: str | None) -> tuple[str, list[Part]]:
    """The layout of robomimic and robosuite, `data/demo_N/NAME`; or of ALOHA, `NAME` at the root of one episode."""
    try:
        import h5py
    except ImportError as error:
        raise _missing("h5py", file) from error

    def children(group: Any, kind: type) -> dict[str, Any]:
        # Hard links only: any other kind may lead to a second file.
        hard = [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
        return {name: group[name] for name in sorted(hard, key=_natural) if isinstance(group[name], kind)}

    def arrays(episode: Any) -> dict[str, Any]:
        found = children(episode, h5py.Dataset)  # external and virtual storage is a second file too
        return {n: d for n, d in found.items() if d.ndim == 2 and not d.external and not d.is_virtual}

    with h5py.File(file, "r") as root:
        groups = children(root, h5py.Group)
        demos = children(groups["data"], h5py.Group) if "data" in groups else {"": root}
        episodes = {name: arrays(demo) for name, demo in demos.items()}
        group = _choose(dict.fromkeys(name for found in episodes.values() for name in found), key, file)
        lacking = [name for name, found in episodes.items() if group not in found]
        if lacking:
            raise FormatError(f"episode {lacking[0]!r} has no dataset {group!r}", file=str(file))
        return group, [(name, np.asarray(found[group][()])) for name, found in episodes.items()]


def read_csv(file: Path, key: str | None) -> tuple[str, list[Part]]:
    """A group is the columns `NAME_0`, `NAME_1`, …; without a header line every column is the action's."""
    import csv

    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        rows = [(reader.line_num, row) for row in reader if row]
    if not rows:
        raise FormatError("the file is empty", file=str(file))
    titles = [title.strip() for title in rows[0][1]]
    if any(_number(title) is None for title in titles):
        group, columns = _titled(titles, key, file)
        rows = rows[1:]
    elif key is None:
        group, columns = "", list(range(len(titles)))
    else:
        raise UnknownKeyError(key, (), f"{file}, which has no header line")
    values = np.empty((len(rows), len(columns)))
    for i, (line, row) in enumerate(rows):
        if len(row) != len(titles):
            why = f"{len(row)} cells, the first line has {len(titles)}"
            raise FormatError(why, file=str(file), line=line, column=1)
        for j, column in enumerate(columns):
            number = _number(row[column])
            if number is None:
                raise FormatError(f"{row[column]!r} is not a number", file=str(file), line=line, column=column + 1)
            values[i, j] = number
    return group, [("", values)]


def _titled(titles: Sequence[str], key: str | None, file: Path) -> tuple[str, list[int]]:
    """The chosen group, and its columns in the order of their numbers."""
    groups: dict[str, list[tuple[int, int]]] = {}
    for column, title in enumerate(titles):
        if match := re.fullmatch(r"(.+?)[_.\[](\d+)\]?", title):
            groups.setdefault(match[1], []).append((int(match[2]), column))
    group = _choose(groups, key, file)
    numbers, columns = zip(*sorted(groups[group]), strict=True)
    if list(numbers) != list(range(len(numbers))):
        why = f"the columns of {group!r} must be numbered 0, 1, … once each, got {list(numbers)}"
        raise FormatError(why, file=str(file), line=1, column=min(columns) + 1)
    return group, list(columns)


READERS: Mapping[str, Reader] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".hdf5": read_hdf5,
    ".h5": read_hdf5,
    ".csv": read_csv,
}


def _choose(groups: Iterable[str], key: str | None, file: Path) -> str:
    """The group named by `key`; without one, the only group that can be the action."""
    names = tuple(groups)
    if key is not None:
        if key not in names:
            raise UnknownKeyError(key, names, str(file))
        return key
    exact = [name for name in names if name in ("action", "actions")]
    candidates = exact or [name for name in names if "action" in name] or names
    if not candidates:
        why = "nothing that could be the action: no numeric array, no columns action_0, action_1, …"
        raise FormatError(why, file=str(file))
    if len(candidates) > 1:
        raise AmbiguousKeyError(candidates, str(file), syntax="FILE::KEY")
    return candidates[0]


def _missing(package: str, file: Path) -> MissingDependencyError:
    return MissingDependencyError(f"{file}: reading it needs {package}; pip install 'execspec-fast[actions]'")


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key that puts `demo_2` before `demo_10`."""
    return [(not run.isdecimal(), int(run) if run.isdecimal() else 0, run) for run in re.findall(r"\d+|\D+", name)]


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)  # Python would take 1_000
    except ValueError:
        return None
