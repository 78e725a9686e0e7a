"""Certificates of a small made-up checkpoint, and ways to walk and change what they state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from execspec_fast import ExecSpec, load_spec
from execspec_fast.certificates.certificate import Certificate, certify
from execspec_fast.certificates.verification import Verification, verify
from registry import action, openvla

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def checkpoint(folder: Path) -> Path:
    """Three plausible keys, one in another unit, one under a second name."""
    keys = {"goal": action(), "near": action(1.001), "wide": action(1.5, 0.1), "mm": action(1000.0), "copy": action()}
    return openvla(folder / "checkpoint", keys)


def pair(checkpoint: Path, *keys: str, **options: Any) -> tuple[Certificate, ExecSpec, ExecSpec]:
    intended, executed = (load_spec(checkpoint, key) for key in keys or ("goal", "wide"))
    return certify(intended, executed, now=NOW, **options), intended, executed


def check(certificate: Certificate | bytes | Path, *specs: ExecSpec | str, **options: Any) -> Verification:
    return verify(certificate, *specs, **{"now": NOW, **options})


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict | list):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, name))
    else:
        yield path, value


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value + abs(value) * 1e-9 + 1e-9  # one digit, the ninth
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    return value
