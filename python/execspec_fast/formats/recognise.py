"""Names for files that no reader took: what each is, and why it is not audited.

The first bytes tell pickles and LFS pointers, whatever the name says; then the name; then small JSON is looked into,
so that statistics in a layout no reader knows are never passed over as if they were none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..errors import FormatError
from ..stats import COEFFICIENTS, FIGURES
from .published import FileRecord
from .robosuite import is_controller
from .tree import LFS_POINTER, File, Folder

_ELSE = re.compile(r"(?:image|pixel|qpos|state|obs|proprio)(?![a-z])|observation", re.IGNORECASE)
"""Names of figures, and of what holds them, that are of no action."""

HEAD = 256
"""Bytes that tell a pickle, a torch archive and an LFS pointer."""

LOOKED_INTO = 1 << 20
"""Bytes of the largest JSON file that is parsed only to be named."""

NOT_METADATA, WEIGHTS, PICKLE = "not metadata", "weights", "unauditable: pickle"

_PICKLED = re.compile(rb"\x80[\x02-\x05]|PK\x03\x04.{0,200}data\.pkl", re.DOTALL)
"""A pickle of protocol 2 to 5, or a torch archive, whose first member is one."""

_HIDDEN = re.compile(r"(?:.*/)?\.(?:git|cache/huggingface)/.*")

_NAMES: tuple[tuple[str, str, str, str], ...] = (
    (r".*(?:stat|norm)[^/]*\.(?:pkl|pickle|pt|pth|joblib)", PICKLE, "", "statistics, by the name"),
    (r".*\.(?:pkl|pickle|pt|pth|ckpt|joblib)", PICKLE, "", "loading it would run code"),
    (r".*\.(?:safetensors|gguf|onnx|msgpack|tflite|engine)", WEIGHTS, "", ""),
    (r".*\.(?:parquet|arrow|npy|npz|csv|h5|hdf5|tfrecord[^/]*|mp4|avi|png|jpe?g|gif|webp)", NOT_METADATA, "", "data"),
    (r".*\.(?:md|txt|rst|html|pdf|log|py|sh|ipynb|toml)", NOT_METADATA, "", "text or code"),
    (r".*\.(?:zip|tar|gz|xz|zst|7z)", NOT_METADATA, "", "archive, not looked into"),
    (r".*\.index\.json", NOT_METADATA, "", "index of weights"),
    (r"(?:.*/)?(?:[^/]*token[^/]*|vocab|merges)\.(?:json|model)", NOT_METADATA, "", "tokenizer"),
    (r"(?:.*/)?(?:episodes|tasks)\.jsonl", NOT_METADATA, "lerobot", "index of a dataset"),
)
"""Path, status, ecosystem and detail; the first that fits counts."""


def recognise(file: File, folder: Folder) -> FileRecord:
    """The record of a file that no reader of its folder took. Never raises, and never loads a pickle."""
    try:
        status, ecosystem, detail = _what(file, folder)
    except FormatError as error:
        status, ecosystem, detail = "unreadable", "", str(error)
    return FileRecord(file.path, status, ecosystem, file.size, detail=detail)


def _what(file: File, folder: Folder) -> tuple[str, str, str]:
    """Status, ecosystem and detail."""
    if file.problem:
        status, _, detail = file.problem.partition(": ")
        return status, "", detail
    if not file.size:
        return "empty", "", ""
    if _HIDDEN.fullmatch(file.path):
        return NOT_METADATA, "", "bookkeeping of git or of a download"
    head = file.head(HEAD)
    if head.startswith(LFS_POINTER):
        return "lfs pointer", "", "the content was not fetched: git lfs pull"
    for path, status, ecosystem, detail in _NAMES:
        if re.fullmatch(path, file.path, re.IGNORECASE | re.DOTALL):
            return status, ecosystem, detail
    if _PICKLED.match(head):
        return PICKLE, "", "by its first bytes; loading it would run code"
    if re.search(r"\.jsonl?$", file.path, re.IGNORECASE):
        return _what_json(file, folder)
    if file.name.lower().endswith((".yaml", ".yml")) and b"robot_description_path:" in file.head(LOOKED_INTO):
        return "controller", "polymetis", "robot model and joint limits"
    return NOT_METADATA, "", "no file that holds statistics, by its name"


def _what_json(file: File, folder: Folder) -> tuple[str, str, str]:
    if file.size > LOOKED_INTO:
        return NOT_METADATA, "", f"JSON of more than {LOOKED_INTO} bytes, not looked into"
    documents = file.json_lines() if file.name.lower().endswith("l") else [file.json()]
    document = documents[0] if documents else None
    if is_controller(document):
        return "controller", "robosuite", ""
    if any(map(_has_figures, _objects(document))):
        return NOT_METADATA, "", "figures in a layout that no loader reads"
    match document:
        case {"normalization_mapping": _} | {"policy": {"normalization_mapping": _}}:
            return NOT_METADATA, "lerobot", "settings of a policy; its figures are elsewhere"
        case {"codebase_version": _}:
            return NOT_METADATA, "lerobot", "description of a dataset"
    names = ", ".join(map(repr, list(document)[:4])) if isinstance(document, dict) else type(document).__name__
    return NOT_METADATA, "", f"no statistics in it, but {names}"


def _has_figures(block: dict[str, Any]) -> bool:
    """Two figures or more, each a list of its channels, by their names or with a word before them (`global_min`)."""
    found = {name.rpartition("_")[2] for name, value in block.items() if isinstance(value, list)}
    return len(found & {*FIGURES, *COEFFICIENTS, "p01", "p99"}) > 1


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object of a document that may be an action's, itself included."""
    pending = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            own = {name: value for name, value in node.items() if not _ELSE.match(name)}
            yield own
            pending.extend(own.values())
        elif isinstance(node, list):
            pending.extend(x for x in node if isinstance(x, (dict, list)))
