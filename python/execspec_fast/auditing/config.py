"""`execspec.toml`, or `[tool.execspec]` of `pyproject.toml`: the deployments an audit is to judge."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..controller import GIVEN, Controller, at_rate
from ..controllers import find_controller
from ..errors import FormatError
from ..formats.controller_files import load_controller
from .units import READ


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
        max_drift: the mean drift to a plausible sibling key from which on it is not accepted: in controller units, or
            by unit of `units.READ`, as the controller makes it in one step.
        digest: the semantic digest the spec must have, or how it begins.
        where: place of the entry, for messages.
    """

    name: str
    checkpoint: Path
    key: str
    profile: str | None = None
    controller: str | None = None
    rate: float | None = None
    max_drift: float | Mapping[str, float] | None = None
    digest: str | None = None
    where: str = ""

    def robot(self, otherwise: Controller | None, rate: float | None) -> Controller | None:
        """What its action is sent to: the controller it names, else `otherwise`.

        Args:
            rate: actions per second of a controller that it names, where it names none itself.

        Raises:
            FormatError, UnknownControllerError: a file that is no controller, or neither a file nor a name.
            ExecSpecError: a rate without a controller.
        """
        own = otherwise
        if self.controller is not None:  # its own files in full, so that a file of the current folder is not meant
            named = Path(self.controller).is_absolute()
            own = at_rate((load_controller if named else find_controller)(self.controller), rate, GIVEN)
        return at_rate(own, self.rate, self.where)


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
    expect_known(content, ("deployment",), file, "")
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
_FIELDS = (*_REQUIRED, "profile", "controller", "rate", "max_drift", "digest")
_DIGEST = re.compile("[0-9a-f]{12,64}")


def _entry(entry: Mapping[str, Any], file: Path, where: str) -> Entry:
    if isinstance(entry.get("name"), str):
        where = f"{where} ({entry['name']!r})"
    expect_known(entry, _FIELDS, file, where)
    for field in _REQUIRED:
        if field not in entry:
            raise FormatError(f"field {field!r} is missing", file=str(file), pointer=where)
    for field, value in entry.items():
        wanted = _wanted(field, value)
        if wanted:
            raise FormatError(f"{field} must be {wanted}, got {value!r}", file=str(file), pointer=where)
    folder = file.absolute().parent
    return Entry(
        name=entry["name"],
        checkpoint=folder / entry["checkpoint"],
        key=entry["key"],
        profile=entry.get("profile"),
        controller=_controller(entry["controller"], folder) if "controller" in entry else None,
        rate=float(entry["rate"]) if "rate" in entry else None,
        max_drift=_limit(entry.get("max_drift")),
        digest=entry.get("digest"),
        where=where,
    )


def _wanted(field: str, value: Any) -> str:
    """What a field must be, if this value is not it; else empty."""
    if field == "rate":
        return "" if _is_number(value) and value > 0 else "a positive number (Hz)"
    if field == "max_drift":
        limits = value if isinstance(value, dict) and value else {READ[0]: value}
        good = all(unit in READ and _is_number(limit) and limit >= 0 for unit, limit in limits.items())
        return "" if good else f"a number >= 0, or a table of such by unit ({', '.join(READ)})"
    if not isinstance(value, str) or not value:
        return "a non-empty string"
    if field == "digest" and not _DIGEST.fullmatch(value):
        return "at least the first 12 of the 64 hexadecimal digits that `execspec show` prints"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _limit(value: Any) -> float | dict[str, float] | None:
    if isinstance(value, dict):
        return {unit: float(x) for unit, x in value.items()}
    return None if value is None else float(value)


def _controller(text: str, folder: Path) -> str:
    """A file of that name, relative to the folder, wins over a controller of that name."""
    return str(folder / text) if (folder / text.partition("::")[0]).is_file() else text


def expect_known(table: Mapping[str, Any], fields: tuple[str, ...], file: Path, where: str) -> None:
    """Raise on a field this version does not know: a mistyped limit must not weaken a check in silence."""
    import difflib

    for field in table:
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}"
            raise FormatError(f"unknown field {field!r}; {advice}", file=str(file), pointer=where)
