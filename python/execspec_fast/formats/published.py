"""What a reader returns: what the files of one checkpoint say, before any un-normalizer is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..conventions import Conventions, Fact
from ..errors import Finding
from ..stats import NormStats


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was read: `file` relative to the audited target, a JSON pointer or tensor name, the file's hash."""

    file: str
    pointer: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.file}#{self.pointer}" if self.pointer else self.file


def sources(**found: Source | None) -> dict[str, Source]:
    """Field name to source, of those that there are."""
    return {name: source for name, source in found.items() if source is not None}


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file seen: exactly one record per regular file or link below the target.

    `status`: `read`, `unauditable: pickle`, `lfs pointer`, `empty`, `not metadata`,
    `unreadable`, `refused`, …; `detail` says more, e.g. the parser's error.
    """

    path: str
    status: str
    ecosystem: str = ""
    bytes: int = 0
    sha256: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True)
class Published:
    """One key as a checkpoint publishes it.

    Attributes:
        key: the metadata key a deployment would name.
        stats: its figures.
        profile: name of the un-normalizer that runs (`profiles.PROFILES`), declared or inferred, with the reason.
        alternatives: other profiles the same file fits.
        eps: epsilon the files declare for that un-normalizer (LeRobot's `config.eps`), None for the profile's own.
        conventions: what the files say or imply about the meaning of the action.
        sources: field name (`stats`, `mask`, `profile`, …) to the place it was read from: every file that the rest of
            this rests on.
    """

    key: str
    stats: NormStats
    profile: Fact[str]
    alternatives: tuple[str, ...] = ()
    eps: float | None = None
    conventions: Conventions = field(default_factory=Conventions)
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """The files of one deployable unit (a model folder, a dataset's `meta`) and what they publish.

    Attributes:
        path: folder relative to the target, `.` for the target itself.
        ecosystem: `openvla`, `openvla-oft`, `openpi`, `lerobot`, …; `` if none was recognised.
        keys: what the ecosystem's own loader would find, in file order.
        shadowed: published in these files but not used by that loader (a pretraining `config.json` behind a
            fine-tuned `dataset_statistics.json`): one renamed file away from being used.
        findings: what only the reader can see (two sources that disagree, an action that is never un-normalized).
        files: one record per file.
        repo, revision: from a Hugging Face cache path, else empty.
    """

    path: str
    ecosystem: str
    keys: tuple[Published, ...] = ()
    shadowed: tuple[Published, ...] = ()
    findings: tuple[Finding, ...] = ()
    files: tuple[FileRecord, ...] = ()
    repo: str = ""
    revision: str = ""
