"""What an audit found: findings, rows, verdicts, and what to tell the shell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

from .. import _core
from ..errors import SEVERITIES, Finding
from .inspection import Answer, worst_drift
from .verdict import Verdict

SCHEMA_VERSION = 1
"""Of `AuditReport.to_dict`; a change that breaks a reader of it raises it."""

FailOn = Literal["error", "warning", "note", "never"]

UNREAD = ("unreadable", "refused", "unauditable", "lfs pointer")
"""How the status begins of a file that may hold statistics and was not read."""


class ExitCode(IntEnum):
    """What the command line returns. The first that holds of `ERROR`, `FINDINGS`, `INCOMPLETE`, `NOTHING` counts."""

    OK = 0
    FINDINGS = 1
    """A finding is as severe as `--fail-on`."""
    ERROR = 2
    """Wrong usage, or an error of this program."""
    INCOMPLETE = 3
    """A file could not be read."""
    NOTHING = 5
    """There was nothing to audit."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a checkpoint, or several whose specs and findings are the same.

    Attributes:
        severity: of the worst finding, empty if there is none.
        targets: paths of the checkpoints.
        repos: `ORG/NAME@REVISION` of those that lie in a Hugging Face cache, in the order of `targets`.
        keys, shadowed: how many keys the loader finds, and how many more lie in the files.
        intended: the key that is meant, None if unknown.
        bound_by: how that is known: `deployment NAME`, `only key` or `unknown`.
        siblings: the wrong keys, as `Siblings.to_dict`; None if nothing can run.
        motion: what the only key makes the robot do, as `Question.motion`; None where deployments tell it.
        codes: of the findings.
    """

    severity: str
    targets: tuple[str, ...]
    repos: tuple[str, ...]
    ecosystem: str
    keys: int
    shadowed: int
    intended: str | None
    bound_by: str
    siblings: Mapping[str, Any] | None
    motion: Mapping[str, Any] | None
    codes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; every sequence is in a stable order.

    Attributes:
        target: the path that was audited.
        answers: what `inspection.inspect` says of each folder's checkpoints.
        lost: verdicts on deployments whose checkpoint is not there.
        order: names of all deployments, as configured.
        fail_on: the least severity that fails the audit.
        general: findings on no checkpoint in particular.
    """

    target: str
    answers: tuple[Answer, ...]
    lost: tuple[Verdict, ...] = ()
    order: tuple[str, ...] = ()
    fail_on: FailOn = "error"
    general: tuple[Finding, ...] = ()

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Worst first."""
        told = [Finding(**finding) for answer in self.answers for finding in answer["findings"]]
        told += [*self.general, *(finding for verdict in self.lost for finding in verdict.findings())]
        return tuple(sorted(told, key=lambda f: (SEVERITIES.index(f.severity), f.code, f.target, f.message)))

    @cached_property
    def files(self) -> tuple[Mapping[str, Any], ...]:
        """One record per file seen, by path."""
        return tuple(
            sorted((file for answer in self.answers for file in answer["files"]), key=lambda f: str(f["path"]))
        )

    @cached_property
    def specs(self) -> tuple[Mapping[str, Any], ...]:
        """Every key that can run, those that no loader finds marked as `shadowed`."""
        return tuple(spec for answer in self.answers for spec in answer["specs"])

    @cached_property
    def deployments(self) -> tuple[Mapping[str, Any], ...]:
        """The verdict on each deployment, in the order of the configuration."""
        verdicts = [verdict for answer in self.answers for verdict in answer["deployments"]]
        verdicts += [verdict.to_dict() for verdict in self.lost]
        return tuple(sorted(verdicts, key=lambda verdict: self.order.index(verdict["name"])))

    @cached_property
    def pairs(self) -> tuple[Mapping[str, Any], ...]:
        """Nearest and worst plausible wrong key of every checkpoint and deployment."""
        places = [(answer["path"], answer["siblings"]) for answer in self.answers]
        places += [(verdict["checkpoint"], verdict["siblings"]) for verdict in self.deployments]
        return tuple(
            {"checkpoint": path, "role": role, **siblings[role]}
            for path, siblings in places
            for role in ("nearest", "worst")
            if siblings and siblings[role]
        )

    @property
    def samples(self) -> tuple[str, ...]:
        """What drifts and motions integrate over."""
        return tuple(dict.fromkeys(each["sample"] for each in (*self.pairs, *self.motions)))

    @property
    def motions(self) -> tuple[Mapping[str, Any], ...]:
        """What a controller makes of an intended key, of every checkpoint and deployment where that is known."""
        return tuple(each["motion"] for each in (*self.answers, *self.deployments) if each["motion"])

    @property
    def units(self) -> tuple[str, ...]:
        """What they are read in."""
        return tuple(dict.fromkeys(unit for pair in self.pairs for unit in pair["read"]))

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Checkpoints, worst first: errors, warnings, and then by how far a plausible wrong key could drift."""
        alike: dict[object, list[Answer]] = {}
        for answer in self.answers:
            if answer["ecosystem"] or answer["findings"]:
                alike.setdefault(_likeness(answer), []).append(answer)
        rows = [_row(answers) for answers in alike.values()]
        ranks = {"error": 0, "warning": 1}  # a note is worth knowing, but no worse than none
        return tuple(sorted(rows, key=lambda r: (ranks.get(r.severity, 2), -worst_drift(r.siblings), r.targets)))

    @property
    def exit_code(self) -> ExitCode:
        failing = SEVERITIES[: SEVERITIES.index(self.fail_on) + 1] if self.fail_on != "never" else ()
        if any(finding.severity in failing for finding in self.findings):
            return ExitCode.FINDINGS
        if any(file["status"].startswith(UNREAD) for file in self.files):
            return ExitCode.INCOMPLETE
        return ExitCode.OK if self.specs or self.deployments else ExitCode.NOTHING

    def to_dict(self) -> dict[str, Any]:
        """Strictly JSON-serializable, as `strict` has it."""
        plain: dict[str, Any] = strict(self._plain())
        return plain

    def _plain(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "execspec", "version": _core.__version__},
            "target": self.target,
            "exit_code": int(self.exit_code),
            "fail_on": self.fail_on,
            "samples": list(self.samples),
            "units": list(self.units),
            "rows": [row.to_dict() for row in self.rows],
            "deployments": list(self.deployments),
            "findings": [finding.to_dict() for finding in self.findings],
            "pairs": list(self.pairs),
            "specs": list(self.specs),
            "files": list(self.files),
        }


def strict(value: Any) -> Any:
    """`value` as lists, dictionaries and scalars that strict JSON has; None for a number that is infinite or none.

    Messages hold such a number in words.
    """
    if isinstance(value, Mapping):
        return {str(name): strict(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _likeness(answer: Answer) -> object:
    """What checkpoints share that one line can stand for; a deployment has a line of its own."""
    if answer["deployments"] or not answer["specs"]:
        return id(answer)
    specs = frozenset((spec["key"], spec["digest"], spec["shadowed"]) for spec in answer["specs"])
    findings = frozenset((finding["code"], finding["message"]) for finding in answer["findings"])
    return answer["ecosystem"], specs, findings


def _row(answers: Sequence[Answer]) -> Row:
    first, *_ = answers = sorted(answers, key=lambda answer: str(answer["path"]))
    found = {finding["severity"] for answer in answers for finding in answer["findings"]}
    return Row(
        severity=min(found, key=SEVERITIES.index, default=""),
        targets=tuple(answer["path"] for answer in answers),
        repos=tuple(f"{answer['repo']}@{answer['revision']}" for answer in answers if answer["repo"]),
        ecosystem=first["ecosystem"],
        keys=first["keys"],
        shadowed=first["shadowed"],
        intended=first["intended"],
        bound_by=first["bound_by"],
        siblings=first["siblings"],
        motion=first["motion"],
        codes=tuple(sorted({finding["code"] for answer in answers for finding in answer["findings"]})),
    )
