"""`Registry`: every executable specification below a path; and `load_spec`, for one of them by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .errors import (
    AmbiguousKeyError,
    ExecSpecError,
    Finding,
    MissingStatsError,
    ShapeMismatchError,
    StatsError,
    TargetNotFoundError,
    UnknownKeyError,
    UnknownProfileError,
)
from .formats import read_folder
from .formats.published import Checkpoint, FileRecord, Published
from .formats.tree import Tree
from .profiles import PROFILES
from .spec import ExecSpec


@dataclass(frozen=True)
class Registry:
    """What the files below a path publish.

    Attributes:
        root: real path of the folder that every path is relative to.
        folders: what was read, folders without any statistics included.
    """

    root: Path
    folders: tuple[Checkpoint, ...]

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The folders in which a reader found its ecosystem, or found it broken."""
        return tuple(folder for folder in self.folders if folder.ecosystem or folder.findings)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """One record per file below the root, sorted by path."""
        return tuple(sorted((record for folder in self.folders for record in folder.files), key=lambda r: r.path))

    @cached_property
    def specs(self) -> tuple[ExecSpec, ...]:
        """One per key that can run, with its own profile."""
        return tuple(one for one in self._compiled if isinstance(one, ExecSpec))

    @cached_property
    def problems(self) -> tuple[Finding, ...]:
        """What the readers found, and the keys that cannot run."""
        found = [finding for checkpoint in self.checkpoints for finding in checkpoint.findings]
        return (*found, *(one for one in self._compiled if isinstance(one, Finding)))

    @cached_property
    def _compiled(self) -> tuple[ExecSpec | Finding, ...]:
        return tuple(compile_key(checkpoint, key) for checkpoint in self.checkpoints for key in checkpoint.keys)

    def select(
        self, *, dim: int | None = None, ecosystem: str | None = None, unique: bool = False
    ) -> tuple[ExecSpec, ...]:
        """The specs with `dim` channels and of an ecosystem; with `unique`, the first of those with equal digests."""
        fit = [spec for spec in self.specs if dim in (None, spec.dim) and ecosystem in (None, spec.ecosystem)]
        if not unique:
            return tuple(fit)
        firsts: dict[str, ExecSpec] = {}
        for spec in fit:
            firsts.setdefault(spec.digest, spec)
        return tuple(firsts.values())


def open_registry(path: str | os.PathLike[str]) -> Registry:
    """Read everything below a path: a checkpoint, a folder of many, a Hugging Face cache, or one file.

    Raises:
        TargetNotFoundError: there is no such path.
        UnsafePathError: the path is neither a folder nor a regular file.
    """
    tree = Tree(path)
    return Registry(tree.root, tuple(checkpoint for folder in tree.folders for checkpoint in read_folder(folder)))


def compile_key(checkpoint: Checkpoint, published: Published) -> ExecSpec | Finding:
    """The spec of a published key, or the finding that says why it cannot run."""
    try:
        return ExecSpec.from_published(published, checkpoint.path, checkpoint.ecosystem)
    except (MissingStatsError, ShapeMismatchError, StatsError, UnknownProfileError) as error:
        return Finding(
            _code(error, published),
            "error",
            f"{checkpoint.path}#{published.key}",
            str(published.sources.get("stats", "")),
            str(error),
            fix="Publish the figures the policy was trained with, or name the un-normalizer that fits these.",
        )


def _code(error: ExecSpecError, published: Published) -> str:
    if isinstance(error, StatsError):
        never_set = any(np.isinf(figure).all() for figure in published.stats.figures.values())
        return "S2" if never_set else "S8"
    return "S6" if isinstance(error, ShapeMismatchError) else "S7"


def load_spec(path: str | os.PathLike[str], key: str | None = None, profile: str | None = None) -> ExecSpec:
    """One executable specification by name.

    Args:
        path: `PATH[#KEY][@PROFILE]`. The longest part that exists is the path, so a name that holds `#` or `@` works.
            If PATH itself is no checkpoint, the checkpoints below it are meant.
        key: which of the published keys. Needed unless there is one only; none is ever chosen by guess.
        profile: un-normalizer to run instead of the one that the files declare or imply.

    Raises:
        TargetNotFoundError: no such path.
        UnknownKeyError, AmbiguousKeyError: the key does not resolve to one; both list the keys there are.
        UnknownProfileError: no un-normalizer of that name.
        MissingStatsError, ShapeMismatchError, StatsError: the key's figures cannot be run, and why.
    """
    place, rest = split_path(os.fspath(path))
    registry = open_registry(place)
    choices = [(checkpoint, published) for checkpoint in registry.checkpoints for published in checkpoint.keys]
    choices = [choice for choice in choices if choice[0].path == "."] or choices
    if not choices:
        raise MissingStatsError(f"{place}: no action statistics{_why_none(registry)}")
    named_key, named_profile = _split_name(rest, {published.key for _, published in choices})
    key = _one_of("key", key, named_key)
    profile = _one_of("profile", profile, named_profile)
    matching = [choice for choice in choices if key in (None, choice[1].key)]
    if not matching:
        raise UnknownKeyError(str(key), _names(choices), place, hint=_hint(str(key), choices, registry.problems))
    if len(matching) > 1 and profile is not None:
        matching = [choice for choice in matching if profile in _profiles(choice[1])] or matching
    if len(matching) > 1:
        raise AmbiguousKeyError(_names(matching), place)
    checkpoint, published = matching[0]
    shown = place if checkpoint.path == "." else f"{place.rstrip('/')}/{checkpoint.path}"
    return ExecSpec.from_published(published, shown, checkpoint.ecosystem, profile)


Choice = tuple[Checkpoint, Published]


def split_path(name: str) -> tuple[str, str]:
    """The longest part that exists and ends where `#` or `@` begins, and the rest."""
    ends = [len(name), *(i for i in range(len(name) - 1, 0, -1) if name[i] in "#@")]
    for end in ends:
        if os.path.lexists(name[:end]):
            return name[:end], name[end:]
    raise TargetNotFoundError(f"{name!r}: no such file or folder; a specification is named PATH[#KEY][@PROFILE]")


def _split_name(rest: str, keys: set[str]) -> tuple[str | None, str | None]:
    """KEY and PROFILE of `[#KEY][@PROFILE]`. A key may hold an `@`."""
    if rest.startswith("#") and rest[1:] in keys:
        return rest[1:], None
    before, at, profile = rest.rpartition("@")
    if not at:
        return rest[1:] or None, None
    if profile not in PROFILES:
        raise UnknownProfileError(profile, PROFILES)
    return before[1:] or None, profile


def _one_of(what: str, argument: str | None, named: str | None) -> str | None:
    if argument is not None and named is not None and argument != named:
        raise ExecSpecError(f"two {what}s: {argument!r} as argument and {named!r} in the path; give one")
    return named if argument is None else argument


def _profiles(published: Published) -> tuple[str | None, ...]:
    return published.profile.value, *published.alternatives


def _names(choices: list[Choice]) -> Iterator[str]:
    """The keys; with checkpoint and profile where more than one checkpoint has them."""
    several = len({id(checkpoint) for checkpoint, _ in choices}) > 1
    for checkpoint, published in choices:
        yield f"{checkpoint.path}#{published.key}@{published.profile.value}" if several else published.key


def _hint(key: str, choices: list[Choice], problems: tuple[Finding, ...]) -> str:
    """What else is known of a key that is not there."""
    keys = [published.key for _, published in choices]
    for other in (f"{key}_no_noops", key.removesuffix("_no_noops"), key.strip(), key.lower()):
        if other != key and other in keys:
            return f"; {other!r} is another key and is not taken in its place: name it if it is meant"
    for problem in problems:
        if problem.target.endswith(f"#{key}"):
            return f"; the key is there, but {problem.message}"
    if any(published.key == key for checkpoint, _ in choices for published in checkpoint.shadowed):
        return "; the key is in a file that the loader does not read here, because another replaces it"
    return ""


def _why_none(registry: Registry) -> str:
    errors = [finding.message for finding in registry.problems if finding.severity == "error"]
    unread = [
        f"{r.path} is {r.status}{r.detail and f' ({r.detail})'}" for r in registry.files if r.status != "not metadata"
    ]
    reasons = errors or unread
    return f": {'; '.join(reasons[:3])}" if reasons else f" in {len(registry.files)} files"
