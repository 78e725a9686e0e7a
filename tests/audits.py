"""Audits of small registries, without a cache, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from execspec_fast import audit as audit_function
from execspec_fast.auditing.outcome import AuditReport


def audit(path: Path, *arguments: Any, cache: bool = False, **named: Any) -> AuditReport:
    return audit_function(path, *arguments, cache=cache, **named)


def deploy(root: Path, **fields: Any) -> None:
    """Write an `execspec.toml` of one deployment; a dictionary becomes an inline table."""
    lines = [f"{name} = {_toml(value)}" for name, value in {"name": "arm", **fields}.items()]
    (root / "execspec.toml").write_text("\n".join(["[[deployment]]", *lines]))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {inner}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def told(report: AuditReport) -> list[tuple[str, str, str]]:
    return [(f.code, f.severity, f.target) for f in report.findings]
