"""Every exception this package raises on purpose, and the `Finding` an audit reports.

An error names the value, the channel, the rule it breaks and the next step. Each class also derives
from the builtin a caller would expect (`KeyError`, `ValueError`, `TypeError`), so plain handlers work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # worst first


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing an audit has to say: what, where, by how much, and what to do about it.

    Attributes:
        code: rule code, a family letter and a number (`K1`, `S3`, …); README lists them.
        severity: `error` (do not deploy), `warning` (look first), `note` (worth knowing).
        target: checkpoint, and key where one is meant, as `PATH[#KEY]`.
        pointer: place in a file: `FILE#/json/pointer` or `FILE#tensor.name`; empty if none.
        message: one sentence.
        evidence: the numbers behind the sentence, JSON-serializable.
        fix: the next step, one sentence.
    """

    code: str
    severity: Severity
    target: str
    pointer: str
    message: str
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "target": self.target,
            "pointer": self.pointer,
            "message": self.message,
            "evidence": dict(self.evidence),
            "fix": self.fix,
        }


class ExecSpecError(Exception):
    """Base of every error this package raises on purpose."""


class UnknownKeyError(ExecSpecError, KeyError):
    """A key was asked for that the checkpoint does not publish."""

    def __init__(self, key: str, keys: Iterable[str], where: str, *, hint: str = "") -> None:
        self.key, self.keys = key, tuple(keys)
        listed = ", ".join(repr(k) for k in self.keys) or "none"
        super().__init__(f"no key {key!r} in {where}; it publishes: {listed}{hint}")

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0])


class AmbiguousKeyError(ExecSpecError, ValueError):
    """What was asked for fits more than one key of a checkpoint (or action file); `syntax` names one."""

    def __init__(self, keys: Iterable[str], where: str, syntax: str = "PATH#KEY") -> None:
        self.keys = tuple(keys)
        listed = ", ".join(repr(k) for k in self.keys)
        super().__init__(f"{where}: {len(self.keys)} keys fit, none is taken by guess; name one as {syntax}: {listed}")


class UnknownProfileError(ExecSpecError, KeyError):
    """A profile name that no un-normalizer is registered under, or none at all where no file says one."""

    def __init__(self, profile: str | None, profiles: Iterable[str]) -> None:
        choices = ", ".join(sorted(profiles))
        super().__init__(
            f"no profile {profile!r}; known profiles: {choices}"
            if profile
            else f"no file says whose un-normalizer runs; name one as PATH#KEY@PROFILE: {choices}"
        )

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownControllerError(ExecSpecError, KeyError):
    """A controller that is neither a file nor a name in the table."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        super().__init__(f"no controller {name!r}, as a file or by name; known names: {', '.join(sorted(names))}")

    def __str__(self) -> str:
        return str(self.args[0])


class MissingStatsError(ExecSpecError, ValueError):
    """A profile needs figures that the metadata does not publish."""


class StatsError(ExecSpecError, ValueError):
    """Figures that no un-normalizer can use: wrong shape, not finite, outside the domain of validity."""


class ShapeMismatchError(ExecSpecError, ValueError):
    """Channel counts that do not fit each other."""


class DTypeError(ExecSpecError, TypeError):
    """An array dtype the call does not take; nothing is converted quietly."""


class ArrayError(ExecSpecError, TypeError):
    """An array that cannot be read where it lies: on a device, part of a gradient, sparse."""


class NotInvertibleError(ExecSpecError, ValueError):
    """A channel whose map has no inverse (constant, clip or step)."""


class FormatError(ExecSpecError, ValueError):
    """A file that does not parse, or does not say what its layout promises.

    `file`, `pointer`, `line` and `column` (both from 1; 0 where the file has no lines) say where.
    """

    def __init__(self, reason: str, *, file: str = "", pointer: str = "", line: int = 0, column: int = 0) -> None:
        self.reason, self.file, self.pointer, self.line, self.column = reason, file, pointer, line, column
        place = file or "<bytes>"
        if line:
            place += f":{line}:{column}"
        if pointer:
            place += f" at {pointer}"
        super().__init__(f"{place}: {reason}")


class MissingDependencyError(ExecSpecError, ImportError):
    """An optional package that this call needs is not installed."""


class GuardError(ExecSpecError, ValueError):
    """A guard that cannot be built as asked. There is no weaker one in its place."""


class ThreadError(ExecSpecError, RuntimeError):
    """An object that belongs to one thread, used from a second."""


class GuardWarning(UserWarning):
    """What a guard in mode `warn` saw, said once per run of faults."""


class UnsupportedIsaError(ExecSpecError, ValueError):
    """An instruction set that this machine does not have, or that no kernel is compiled for."""


class UnsafePathError(ExecSpecError, OSError):
    """A path that leaves its tree, or is no regular file."""


class TargetNotFoundError(ExecSpecError, FileNotFoundError):
    """The path to look at does not exist."""
