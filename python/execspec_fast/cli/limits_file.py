"""The TOML of `--limits`: what a user adds to a certificate, for the gate and for the watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from ..auditing.config import expect_known
from ..errors import FormatError, GuardError
from ..guarding.build import Options
from ..guarding.watching import WatchLimits

GATE = ("low", "high", "margin", "jump", "walk", "max_age", "relative", "latch", "ulps", "dtype")
WATCH = tuple(field.name for field in fields(WatchLimits) if field.name != "source")


def load_limits(place: str) -> Options:
    """Arguments of `guard_image`, from the tables `[gate]` and `[watch]` of a file.

    `[gate]` has `low` and `high` (of the action) and what else `GATE` lists; `[watch]` the fields of `WatchLimits`. All
    may be left out; what is there holds, or is an error.

    Raises:
        FormatError: no such file, no valid TOML, an unknown table or field, or a bad limit of the watch.
    """
    import tomllib

    file = Path(place)
    try:
        content = tomllib.loads(file.read_bytes().decode())
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror}", file=place) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no valid TOML: {error}", file=place) from error
    expect_known(content, ("gate", "watch"), file, "")
    gate, watch = (_table(content, name, known, file) for name, known in (("gate", GATE), ("watch", WATCH)))
    found: Options = {}
    if "low" in gate or "high" in gate:
        found["limits"] = gate.pop("low", -float("inf")), gate.pop("high", float("inf"))
    found.update(cast("Options", gate))  # the names are known; the values are checked where they are used
    if watch:
        if "names" not in watch:
            raise FormatError("field 'names' is missing: the channels of the command", file=place, pointer="[watch]")
        named: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in watch.items()}
        try:
            found["watch"] = WatchLimits(**named, source=f"{place} [watch]")
        except GuardError as error:
            raise FormatError(str(error), file=place, pointer="[watch]") from error
    return found


def _table(content: Mapping[str, Any], name: str, known: tuple[str, ...], file: Path) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise FormatError(f"[{name}] must be a table", file=str(file), pointer=name)
    expect_known(table, known, file, f"[{name}]")
    return dict(table)
