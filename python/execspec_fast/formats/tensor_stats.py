"""Stacks that keep their un-normalizer among the weights: a row of `LAYOUTS` each, read from safetensors or npz.

Diffusion Policy: `params_dict.<field>.{scale,offset}` of a policy's `normalizer`, or of a normalizer saved alone, and
the figures they came from in `input_stats`; the field is `action`, or `_default` where the data are no dict. robomimic:
`action_normalization_stats.<key>.scale`, shape (1, D). wall-x: `…normalizer_action.{min,delta}.<robot>`. All three are
trained to torch archives, which are pickles and stay unread; these are their converted copies.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..conventions import Conventions, declared, infer_gripper
from ..errors import Finding, FormatError, MissingStatsError
from ..stats import FloatArray
from .figures import make_stats, record
from .published import Checkpoint, Published
from .safetensors import MAX_TENSOR, read_header, read_tensors
from .tree import File, Folder


@dataclass(frozen=True)
class Layout:
    """How one stack names its tensors.

    Attributes:
        ecosystem: whose.
        names: with groups `figure` and `key`.
        needs: the figures that the un-normalizer reads, each with its value on a channel that has no statistics.
        every: whether such a channel is ordinary, and only a normalizer of nothing else is told.
    """

    ecosystem: str
    names: re.Pattern[str]
    needs: Mapping[str, float]
    every: bool = True


LAYOUTS = (
    Layout(
        "diffusion-policy",
        re.compile(
            r"(?:.*\.)?params_dict\.(?P<key>action|_default)\."
            r"(?:input_stats\.)?(?P<figure>scale|offset|min|max|mean|std|q01|q99)"
        ),
        {"scale": 1.0, "offset": 0.0},
    ),
    Layout(
        "robomimic",
        re.compile(r"(?:.*\.)?action_normalization_stats\.(?P<key>[^.]+)\.(?P<figure>scale|offset)"),
        {"scale": 1.0, "offset": 0.0},
    ),
    Layout(
        "wall-x",
        re.compile(r"(?:.*\.)?normalizer_action\.(?P<figure>min|delta)\.(?P<key>.+)"),
        {"min": 0.0, "delta": 1.0},
        every=False,
    ),
)

Fetch = Callable[[list[str]], Mapping[str, FloatArray]]


def read(folder: Folder) -> Checkpoint | None:
    """What the un-normalizers among the tensors of this folder publish; None if there are none."""
    for name, file in folder.files.items():
        if not name.endswith((".safetensors", ".npz")):
            continue
        try:
            names, fetch = _open(file)
        except FormatError:
            continue  # weights that cannot be read hold nothing we could miss by name
        for layout in LAYOUTS:
            if keys := _by_key(layout, names):
                return _checkpoint(folder, file, layout, keys, fetch)
    return None


def _open(file: File) -> tuple[list[str], Fetch]:
    """The names of a file's tensors, and what reads some of them."""
    if file.name.endswith(".safetensors"):
        header = read_header(file)
        return list(header), lambda names: read_tensors(file, {name: header[name] for name in names})
    return _open_npz(file)


def _open_npz(file: File) -> tuple[list[str], Fetch]:
    if file.head(4) != b"PK\x03\x04":
        raise FormatError("no npz file", file=file.path)
    try:
        arrays = np.load(io.BytesIO(file.read()), allow_pickle=False)
    except Exception as error:  # zipfile raises whatever it meets
        raise FormatError(f"cannot be read: {error}", file=file.path) from None
    sizes = {info.filename.removesuffix(".npy"): info.file_size for info in arrays.zip.infolist()}

    def fetch(names: list[str]) -> Mapping[str, FloatArray]:
        values = {}
        for name in names:
            if sizes[name] > MAX_TENSOR:
                raise FormatError(f"{sizes[name]} bytes, too long for a statistic", file=file.path, pointer=name)
            try:
                values[name] = np.asarray(arrays[name], np.float64)
            except Exception as error:
                raise FormatError(f"cannot be read: {error}", file=file.path, pointer=name) from None
        return values

    return list(sizes), fetch


def _by_key(layout: Layout, names: list[str]) -> dict[str, dict[str, str]]:
    """Key to figure to tensor, of the keys that have what the un-normalizer needs."""
    keys: dict[str, dict[str, str]] = {}
    for name in names:
        if found := layout.names.fullmatch(name):
            key = found["key"].replace("_default", "action")
            keys.setdefault(key, {})[found["figure"]] = name
    return {key: tensors for key, tensors in keys.items() if layout.needs.keys() <= tensors.keys()}


def _checkpoint(
    folder: Folder, file: File, layout: Layout, keys: Mapping[str, Mapping[str, str]], fetch: Fetch
) -> Checkpoint:
    published: list[Published] = []
    findings: list[Finding] = []
    for key, tensors in keys.items():
        first = tensors[next(iter(layout.needs))]
        try:
            values = fetch(list(tensors.values()))
            figures = {figure: _row(values[name]) for figure, name in tensors.items()}
            stats = make_stats(file.path, first, figures, float32=True)
        except (FormatError, MissingStatsError) as error:
            fix = "Convert the checkpoint again."
            findings.append(Finding("S1", "error", f"{folder.path}#{key}", f"{file.path}#{first}", str(error), fix=fix))
            continue
        published.append(
            Published(
                key,
                stats,
                declared(layout.ecosystem, f"{file.path}#{first}"),
                conventions=Conventions(gripper=infer_gripper(stats)),
                sources={"stats": file.source(first)},
            )
        )
    return Checkpoint(
        folder.path,
        layout.ecosystem,
        tuple(published),
        findings=(*findings, *_without_statistics(folder, layout, published)),
        files=(record(file, layout.ecosystem),),
        repo=folder.repo,
        revision=folder.revision,
    )


def _without_statistics(folder: Folder, layout: Layout, keys: Sequence[Published]) -> Iterator[Finding]:
    """K3: the identity on every channel. S2: wall-x maps a channel to [0, 1] where it has no statistics."""
    words = " and ".join(f"{name} {value:g}" for name, value in layout.needs.items())
    for key in keys:
        alike = np.logical_and.reduce([key.stats[name] == value for name, value in layout.needs.items()])
        channels = [int(d) for d in np.flatnonzero(alike)]
        if alike.all() if layout.every else alike.any():
            yield Finding(
                "K3" if layout.every else "S2",
                "note",
                f"{folder.path}#{key.key}",
                str(key.sources["stats"]),
                f"channels {channels} have {words}, as {layout.ecosystem} writes it where it does not normalize",
                {"channels": channels},
                "None needed if the action is meant in these units.",
            )


def _row(values: FloatArray) -> FloatArray:
    """(D,) of a tensor of shape (1, D), and of a scalar."""
    return values[0] if values.ndim == 2 and len(values) == 1 else np.atleast_1d(values)
