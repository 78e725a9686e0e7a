"""Files below a target, opened safely, and grouped into the folders that are deployed as one unit.

Links are followed only inside a Hugging Face cache, from a snapshot into the same repository's own `blobs`.
Every other link, and whatever is no regular file, is listed with a problem and never opened.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FormatError, TargetNotFoundError, UnsafePathError
from . import strict_json
from .published import Source

LFS_POINTER = b"version https://git-lfs"
"""How a file begins whose content Git LFS was not asked to fetch."""

READ_LIMIT = 64 << 20
"""Bytes: no metadata file is larger, and nothing larger is read whole or hashed."""


@dataclass(eq=False, slots=True)
class File:
    """A regular file, or a name that stands for something we do not open.

    Attributes:
        path: relative to the target, posix; characters that do not print are escaped.
        size: bytes.
        problem: empty, or the status and reason why it is not opened (`refused: link to /etc/passwd`).
    """

    path: str
    size: int = 0
    problem: str = ""
    _root: Path = field(default=Path(), repr=False)
    _parts: tuple[str, ...] = field(default=(), repr=False)
    _sha256: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes that were last read; empty above `READ_LIMIT`."""
        if not self._sha256 and self.size <= READ_LIMIT:
            self.read()
        return self._sha256

    def open(self) -> BinaryIO:
        """A binary stream, for headers and slices. Raises `FormatError` if the file cannot or must not be opened."""
        if self.problem:
            raise FormatError(self.problem, file=self.path)
        try:
            return os.fdopen(_open_below(self._root, self._parts), "rb")
        except OSError as error:
            raise FormatError(f"cannot be opened: {_reason(error)}", file=self.path) from None

    def head(self, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `FormatError` as `read`."""
        with self.open() as stream:
            try:
                return stream.read(size)
            except OSError as error:
                raise FormatError(f"cannot be read: {_reason(error)}", file=self.path) from None

    def read(self, limit: int = READ_LIMIT) -> bytes:
        """The whole content. Raises `FormatError` if it is longer than `limit` bytes or cannot be read."""
        data = self.head(limit + 1)
        if len(data) > limit:
            raise FormatError(f"more than {limit} bytes, too long for metadata", file=self.path)
        self._sha256 = hashlib.sha256(data).hexdigest()
        return data

    def json(self) -> Any:
        """The content as strict JSON. Raises `FormatError` with pointer, line and column."""
        return strict_json.loads(self._text(), self.path)

    def json_lines(self) -> list[Any]:
        """The content as JSON Lines, one value per line that is not blank."""
        return strict_json.loads_lines(self._text(), self.path)

    def not_fetched(self) -> FormatError:
        """The error about a Git LFS pointer in the place of the file it stands for."""
        return FormatError("lfs pointer: the content was not fetched: git lfs pull", file=self.path)

    def _text(self) -> bytes:
        data = self.read()
        if data.startswith(LFS_POINTER):
            raise self.not_fetched()
        return data

    def source(self, pointer: str) -> Source:
        """Where a value of this file was read: a JSON pointer, or a tensor's name."""
        return Source(self.path, pointer, self.sha256)

    def error(self, reason: str, pointer: str) -> FormatError:
        """A `FormatError` about the value at a JSON pointer of this file, with its line and column."""
        line, column = strict_json.locate(self.read(), pointer)
        return FormatError(reason, file=self.path, pointer=pointer, line=line, column=column)


@dataclass(frozen=True)
class Folder:
    """The files that are deployed as one unit: one model folder, one dataset.

    Attributes:
        path: relative to the target, `.` for the target itself.
        files: by path relative to the folder, sorted; `assets/<id>/norm_stats.json` and `meta/stats.json` are inside.
        repo, revision: from the path of a Hugging Face cache, else empty.
        location: real absolute path, escaped as `File.path`; its words may say what model this is where no file does.
    """

    path: str
    files: Mapping[str, File]
    repo: str = ""
    revision: str = ""
    location: str = ""


class Tree:
    """Everything below a target, or the target alone if it is a file.

    Attributes:
        root: real path of the folder that file paths are relative to.
        files: one `File` per regular file, link, device and unreadable folder, sorted by path.
        folders: the same files, each in exactly one `Folder`, sorted by path.

    Raises:
        TargetNotFoundError: there is no such path.
        UnsafePathError: the target is neither a folder nor a regular file, or a link inside a Hugging Face cache leads
            to it out of the repository.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        target = Path(root)
        try:
            mode = target.stat().st_mode
        except (OSError, ValueError) as error:
            raise TargetNotFoundError(f"{_display(str(root))}: {_reason(error)}; nothing was audited") from None
        if _leaves_cache(target):
            raise UnsafePathError(f"{_display(str(root))}: a link inside a Hugging Face cache leads out of its blobs")
        if stat.S_ISDIR(mode):
            self.root = target.resolve()
            files = sorted(_walk(self.root), key=lambda file: file.path)
        elif stat.S_ISREG(mode):
            named = _named_file(target)
            self.root = named.parent
            files = [_file(self.root, (named.name,), _display(named.name))]
        else:
            raise UnsafePathError(f"{_display(str(root))} is a {_kind(mode)}, neither a folder nor a regular file")
        self.files = tuple(files)
        self.folders = tuple(_group(self.root, files))


_INSIDE = re.compile(
    r"(?:^|/)(?:(?:assets/(?:.+/)?|norm_stats/)norm_stats\.json|(?:meta|experiment_cfg|lora_adapter)/[^/]+)$"
)
"""Files that belong to a folder above their own: openpi assets, dataset metadata, GR00T and LoRA side folders."""

_CACHED = re.compile(
    r"(?P<folder>.*/(?:models|datasets|spaces)--(?P<repo>[^/]+))"
    r"(?:/(?:snapshots/(?P<revision>[^/]+)|(?P<inner>blobs|refs)))?(?:/|$)",
    re.DOTALL,
)
"""A path inside a Hugging Face cache: `models--ORG--NAME/{snapshots/REVISION,blobs,refs}`."""


def _group(root: Path, files: list[File]) -> Iterator[Folder]:
    members: dict[str, dict[str, File]] = {}
    for file in files:
        inside = _INSIDE.search(file.path)
        folder = file.path[: inside.start()] if inside else file.path.rpartition("/")[0]
        members.setdefault(folder, {})[file.path[len(folder) :].lstrip("/")] = file
    for folder in sorted(members):
        location = f"{_display(str(root))}/{folder}".rstrip("/")
        cached = _CACHED.match(location)
        repo = cached["repo"].replace("--", "/") if cached else ""
        yield Folder(folder or ".", members[folder], repo, (cached and cached["revision"]) or "", location)


def _walk(root: Path) -> Iterator[File]:
    pending: list[tuple[tuple[str, ...], str]] = [((), "")]
    while pending:
        parts, shown = pending.pop()
        try:
            with os.scandir(root.joinpath(*parts)) as entries:
                for entry in entries:
                    below, path = (*parts, entry.name), shown + _display(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((below, path + "/"))
                    else:
                        yield _file(root, below, path)
        except OSError as error:
            yield File(shown.rstrip("/") or ".", problem=f"unreadable: {_reason(error)}")


def _file(root: Path, parts: tuple[str, ...], path: str) -> File:
    """The record of a name that is no folder; the one place that decides what may be opened."""
    place = root.joinpath(*parts)
    cached = _CACHED.match(str(place.parent))
    try:
        found = place.lstat()
        if stat.S_ISLNK(found.st_mode):
            blob = _blob(place, cached)
            if not blob:
                return File(path, problem=f"refused: link to {_display(str(place.readlink()))}")
            root, parts, found = blob.parents[1], blob.parts[-2:], blob.lstat()
        elif cached and cached["inner"]:
            return File(path, found.st_size, "not metadata: cache blob")
    except OSError as error:
        return File(path, problem=f"unreadable: {_reason(error)}")
    if not stat.S_ISREG(found.st_mode):
        return File(path, problem=f"refused: {_kind(found.st_mode)}")
    return File(path, found.st_size, "", root, parts)


def _blob(link: Path, cached: re.Match[str] | None) -> Path | None:
    """The blob that a snapshot's link stands for, in the same repository's `blobs`; None for any other link."""
    if not cached or not cached["revision"]:
        return None
    target = link.parent / link.readlink()
    blobs = Path(cached["folder"], "blobs")
    inside = target.name not in ("", "..") and os.path.realpath(target.parent) == str(blobs)
    return blobs / target.name if inside else None


def _named_file(target: Path) -> Path:
    """Where a file target lies. A link that the user names is followed, unless it is a cache's own."""
    place = target.parent.resolve() / target.name
    return place.resolve() if place.is_symlink() and not _CACHED.match(str(place.parent)) else place


def _leaves_cache(target: Path) -> bool:
    """Whether a path goes into a repository of a cache, and out of its `blobs` by a link."""
    named = Path.cwd() / os.path.normpath(target)  # not resolved: its links are what is judged
    cached = _CACHED.match(f"{named}/")
    if not cached:
        return False
    place = named.parent.resolve() / named.name
    if place.is_symlink() and place.is_file() and not _blob(place, _CACHED.match(str(place.parent))):
        return True
    return not named.resolve().is_relative_to(Path(cached["folder"]).resolve())


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """File descriptor of a regular file, taking no link on the way down: a folder swapped for a link is refused."""
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        fd = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError("no longer a regular file")
    return fd


def _kind(mode: int) -> str:
    names = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return names.get(stat.S_IFMT(mode), "special file")


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)


def _display(name: str) -> str:
    """The name with everything that does not print escaped; distinct names stay distinct."""
    return name if name.isprintable() and "\\" not in name else name.encode("unicode_escape").decode("ascii")
