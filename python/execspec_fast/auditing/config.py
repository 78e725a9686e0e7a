"""`execspec.toml`, or `[tool.execspec]` of `pyproject.toml`: the deployments an audit is to judge."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FormatError


@dataclass(frozen=True, slots=True)
class Entry:
    """One `[[deployment]]`, a robot in service: which checkpoint runs on it, with which key.

    Attributes:
        name: how reports call it, unique in the file.
        checkpoint: folder or file, absolute (relative paths in the file start at the file).
        key: the metadata key that is meant.
        profile: the un-normalizer that runs; None to take the checkpoint's own.
        controller: what the action is sent to: a file, absolute, `FILE::PART`, or else a name.
        rate: actions per second, Hz.
        max_drift: the largest mean drift to a plausible sibling key that is accepted, in the unit of the action.
        digest: the semantic digest the spec must have.
        where: place of the entry, for messages.
    """

    name: str
    checkpoint: Path
    key: str
    profile: str | None = None
    controller: str | None = None
    rate: float | None = None
    max_drift: float | None = None
    digest: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file says; `file` is None where there is none."""

    file: Path | None = None
    deployments: tuple[Entry, ...] = ()


def load_config(target: str | os.PathLike[str], file: str | os.PathLike[str] | None = None) -> Config:
    """Read `file`; without one, the first found in the target folder, then in the current folder.

    Raises:
        FormatError: no such file, no valid TOML, or an entry with an unknown, missing, repeated or ill-typed
            field (file, entry and field named).
    """
    if file is not None:
        content = _content(Path(file))
        if content is None:
            raise FormatError("no [tool.execspec] table in this file", file=str(file))
        return _parse(Path(file), content)
    folder = Path(target)
    for place in (folder if folder.is_dir() else folder.parent, Path()):
        for name in ("execspec.toml", "pyproject.toml"):
            candidate = place / name
            if candidate.is_file() and (content := _content(candidate)) is not None:
                return _parse(candidate, content)
    return Config()


def _content(file: Path) -> Any:
    """The table that belongs to this tool; None if a `pyproject.toml` has none."""
    import tomllib

    try:
        document: dict[str, Any] = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", file=str(file)) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or nested without end
        raise FormatError(f"no valid TOML: {error}", file=str(file)) from error
    if file.name != "pyproject.toml":
        return document
    tools = document.get("tool")
    return tools.get("execspec") if isinstance(tools, dict) else None


def _parse(file: Path, content: Any) -> Config:
    if not isinstance(content, Mapping):
        raise FormatError("[tool.execspec] must be a table", file=str(file))
    _known(content, ("deployment",), file, "")
    entries = content.get("deployment", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise FormatError("must be an array of tables, written [[deployment]]", file=str(file), pointer="deployment")
    deployments: dict[str, Entry] = {}
    for number, entry in enumerate(entries, 1):
        one = _entry(entry, file, f"[[deployment]] {number}")
        if one.name in deployments:
            why = f"the name {one.name!r} is taken by {deployments[one.name].where}; deployment names are unique"
            raise FormatError(why, file=str(file), pointer=one.where)
        deployments[one.name] = one
    return Config(file, tuple(deployments.values()))


_REQUIRED = ("name", "checkpoint", "key")
_NUMBERS = ("rate", "max_drift")
_FIELDS = (*_REQUIRED, "profile", "controller", *_NUMBERS, "digest")


def _entry(entry: Mapping[str, Any], file: Path, where: str) -> Entry:
    if isinstance(entry.get("name"), str):
        where = f"{where} ({entry['name']!r})"
    _known(entry, _FIELDS, file, where)
    for field in _REQUIRED:
        if field not in entry:
            raise FormatError(f"field {field!r} is missing", file=str(file), pointer=where)
    for field, value in entry.items():
        if field in _NUMBERS:
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value < 0 or (field == "rate" and value == 0):
                wanted = "a positive number (Hz)" if field == "rate" else "a number >= 0"
                raise FormatError(f"{field} must be {wanted}, got {value!r}", file=str(file), pointer=where)
        elif not isinstance(value, str) or not value:
            raise FormatError(f"{field} must be a non-empty string, got {value!r}", file=str(file), pointer=where)
    folder = file.absolute().parent
    return Entry(
        name=entry["name"],
        checkpoint=folder / entry["checkpoint"],
        key=entry["key"],
        profile=entry.get("profile"),
        controller=_controller(entry["controller"], folder) if "controller" in entry else None,
        rate=float(entry["rate"]) if "rate" in entry else None,
        max_drift=float(entry["max_drift"]) if "max_drift" in entry else None,
        digest=entry.get("digest"),
        where=where,
    )


def _controller(text: str, folder: Path) -> str:
    """A file of that name, relative to the folder, wins over a controller of that name."""
    return str(folder / text) if (folder / text.partition("::")[0]).is_file() else text


def _known(table: Mapping[str, Any], fields: tuple[str, ...], file: Path, where: str) -> None:
    """Raise on a field this version does not know: a mistyped limit must not weaken a check in silence."""
    import difflib

    for field in table:
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}"
            raise FormatError(f"unknown field {field!r}; {advice}", file=str(file), pointer=where)
