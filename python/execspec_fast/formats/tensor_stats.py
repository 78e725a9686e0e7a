"""Stacks that keep their un-normalizer among the weights: a row of `LAYOUTS` each, read from safetensors or npz.

Diffusion Policy: `normalizer.params_dict.<field>.{scale,offset}`, and the figures they came from in `input_stats`;
the field is `action`, or `_default` where the data are no dict. robomimic: `action_normalization_stats.<key>.scale`,
shape (1, D). wall-x: `…normalizer_action.{min,delta}.<robot>`; degrees of freedom without statistics have min 0 and
delta 1. All three are trained to torch archives, which are pickles and stay unread; these are their converted copies.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
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
    """The names of one stack's tensors: groups `figure`, and `key` unless there is one only."""

    ecosystem: str
    names: re.Pattern[str]
    needs: tuple[str, str]


LAYOUTS = (
    Layout(
        "diffusion-policy",
        re.compile(
            r"(?:.*\.)?normalizer\.params_dict\.(?P<key>action|_default)\."
            r"(?:input_stats\.)?(?P<figure>scale|offset|min|max|mean|std)"
        ),
        ("scale", "offset"),
    ),
    Layout(
        "robomimic",
        re.compile(r"(?:.*\.)?action_normalization_stats\.(?P<key>[^.]+)\.(?P<figure>scale|offset)"),
        ("scale", "offset"),
    ),
    Layout("wall-x", re.compile(r"(?:.*\.)?normalizer_action\.(?P<figure>min|delta)\.(?P<key>.+)"), ("min", "delta")),
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
    return {key: tensors for key, tensors in keys.items() if set(layout.needs) <= tensors.keys()}


def _checkpoint(
    folder: Folder, file: File, layout: Layout, keys: Mapping[str, Mapping[str, str]], fetch: Fetch
) -> Checkpoint:
    published: list[Published] = []
    findings: list[Finding] = []
    for key, tensors in keys.items():
        first = tensors[layout.needs[0]]
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
        findings=tuple(findings),
        files=(record(file, layout.ecosystem),),
        repo=folder.repo,
        revision=folder.revision,
    )


def _row(values: FloatArray) -> FloatArray:
    """(D,) of a tensor of shape (1, D), and of a scalar."""
    return values[0] if values.ndim == 2 and len(values) == 1 else np.atleast_1d(values)
