"""Recorded actions from a file: npy, npz, parquet, HDF5, CSV.

A file holds what the robot was sent, so its values are *physical* unless the caller says they are normalized.
Where it holds several groups of columns the choice is the caller's: `FILE::GROUP`, or `key=`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DTypeError, ExecSpecError, FormatError, TargetNotFoundError
from .formats.action_files import READERS, Part, Reader, read_parquet


@dataclass(frozen=True, eq=False)
class Actions:
    """Actions as recorded.

    Attributes:
        values: shape `(N, D)`, float32 or float64 as stored (integers and float16 widened), read-only, finite.
        lengths: rows of each episode in order; a single entry where the file does not separate episodes.
        source: `FILE::GROUP`, the name that reads the same again.
    """

    values: npt.NDArray[Any]
    lengths: tuple[int, ...]
    source: str

    @property
    def episodes(self) -> list[npt.NDArray[Any]]:
        """The actions of each episode, `(T, D)`; one where the file does not separate them."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1])

    @property
    def description(self) -> str:
        """How reports name this sample, e.g. `2,005 actions in 20 episodes from goal.npz::actions`."""
        episodes = f" in {len(self.lengths):,} episodes" if len(self.lengths) > 1 else ""
        return f"{len(self.values):,} actions{episodes} from {self.source}"


def load_actions(path: str | os.PathLike[str], *, key: str | None = None) -> Actions:
    """Read the actions of `path`, or of one group of it.

    Formats: `.npy`; `.npz` with one member, or one per episode (`000_actions`, `001_actions`, …); `.parquet` in
    LeRobot's layout (column `action`), or a dataset folder of them; `.hdf5` and `.h5` in robomimic's layout
    (`data/demo_*/actions`), or with arrays at the root; `.csv` with columns `action_0`, `action_1`, …, or all numbers.

    Args:
        path: file, dataset folder, or `FILE::GROUP`.
        key: the group: npz member without its episode number, parquet column, HDF5 dataset, CSV column prefix.

    Raises:
        TargetNotFoundError: no such file.
        FormatError: pickled or malformed file; a row that is ragged or not finite (file and row named).
        AmbiguousKeyError: several groups could be the action and none was named.
        UnknownKeyError: the file has no such group.
        DTypeError: the group does not hold real numbers of at most 64 bits.
        MissingDependencyError: parquet needs `pyarrow`, HDF5 needs `h5py`.
    """
    file = Path(path)
    if key is None and not file.exists() and "::" in str(file):
        name, _, key = str(file).rpartition("::")
        file = Path(name)
    if not file.exists():
        raise TargetNotFoundError(f"no such action file or folder: {file}")
    read = _reader(file)
    try:
        group, parts = read(file, key)
    except ExecSpecError:
        raise
    except Exception as error:  # whatever a foreign parser raises on a bad file, the file gets named
        raise FormatError(f"cannot be read: {error or type(error).__name__}", file=str(file)) from error
    return _join(parts, f"{file}::{group}" if group else str(file))


PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".pruned_init")
"""Kinds of file that are a pickle or a zip around one."""


def _reader(file: Path) -> Reader:
    if file.is_dir():
        return read_parquet
    suffix = file.suffix.lower()
    if suffix in READERS:
        return READERS[suffix]
    if suffix in PICKLED:
        why = "unauditable: a pickle runs its own code when loaded, so it never is; where it was made, convert it to"
        raise FormatError(f"{why} plain arrays, e.g. numpy.savez('actions.npz', actions=array)", file=str(file))
    if ".tfrecord" in file.name:
        raise FormatError("TFRecord is not read; export its action feature to npz or parquet", file=str(file))
    raise FormatError(f"not a kind of action file that is read: {', '.join(READERS)}", file=str(file))


def _join(parts: Sequence[Part], source: str) -> Actions:
    """One array of all episodes, or an error naming the first row that is no action."""
    arrays: list[npt.NDArray[Any]] = []
    for place, array in parts:
        where = f"{source} at {place}" if place else source
        if array.ndim != 2 or 0 in array.shape:
            raise FormatError(f"shape {array.shape} is not (N, D) with at least one action of one channel", file=where)
        if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
            raise DTypeError(f"{where}: dtype {array.dtype} is not a real number of at most 64 bits")
        if arrays and array.shape[1] != arrays[0].shape[1]:
            raise FormatError(f"{array.shape[1]} channels, the episodes before have {arrays[0].shape[1]}", file=where)
        bad = np.argwhere(~np.isfinite(array))
        if bad.size:
            row, channel = (int(i) for i in bad[0])
            why = f"row {row} (from 0), channel {channel} is {array[row, channel]}; drop the row or repair the file"
            raise FormatError(why, file=where)
        single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
        arrays.append(array.astype(np.float32 if single else np.float64))
    if not arrays:
        raise FormatError("holds no episode", file=source)
    values = np.concatenate(arrays)
    values.flags.writeable = False
    return Actions(values, tuple(len(array) for array in arrays), source)
