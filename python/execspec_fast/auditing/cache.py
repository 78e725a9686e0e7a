"""Results kept between runs, by the digests of the files they came from.

A cache is a convenience: whatever goes wrong with it, a corrupt file, a full disk, another process that holds the
lock, is a miss, and the work is done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FormatError

if TYPE_CHECKING:
    from sqlite3 import Connection

    from ..formats.tree import File, Folder

HASHED = 4 << 20
"""Bytes: larger files (weights) are told apart by size, modification time and inode, not by content."""

PATIENCE = 2.0
"""Seconds to wait for another process that writes."""


def default_path() -> Path:
    """`$XDG_CACHE_HOME/execspec/audit.sqlite`, by default in `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path("~/.cache").expanduser()) / "execspec" / "audit.sqlite"


def tool_digest() -> str:
    """Digest of the code that makes the results: size and time of every module of this package."""
    root = Path(__file__).parents[1]
    modules = sorted((str(p.relative_to(root)), p.stat()) for p in root.rglob("*") if p.suffix in (".py", ".so"))
    return _digest([(name, found.st_size, found.st_mtime_ns) for name, found in modules])


def key_of(folder: Folder, options: Any) -> str:
    """The name of a folder's result: its place, every file's path and content, and what the audit was asked."""
    files = [(path, file.problem or _content(file)) for path, file in folder.files.items()]
    return _digest([folder.path, folder.location, folder.repo, folder.revision, files, options])


def _content(file: File) -> str:
    try:
        if file.size <= HASHED:
            return file.sha256
        with file.open() as stream:
            found = os.fstat(stream.fileno())
            return f"{found.st_size} {found.st_mtime_ns} {found.st_dev} {found.st_ino}"
    except FormatError as error:
        return error.reason


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Cache:
    """Results by key, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those results that are kept, by key."""
        found: dict[str, Any] = {}
        tool = tool_digest()

        def read(db: Connection) -> None:
            for key in keys:
                for (text,) in db.execute("SELECT value FROM result WHERE key = ? AND tool = ?", (key, tool)):
                    with suppress(ValueError):
                        found[key] = json.loads(text)

        self._do(read)
        return found

    def put(self, results: Mapping[str, Any]) -> None:
        """Keep results. Those of another version of this tool are dropped, since nothing asks for them again."""
        tool = tool_digest()

        def write(db: Connection) -> None:
            with db:
                db.execute("DELETE FROM result WHERE tool != ?", (tool,))
                rows = [(key, tool, json.dumps(value, separators=(",", ":"))) for key, value in results.items()]
                db.executemany("INSERT OR REPLACE INTO result VALUES (?, ?, ?)", rows)

        self._do(write)

    def _do(self, action: Callable[[Connection], None]) -> None:
        """Run an action on the database, or let it fail quietly; a file that is no database is removed."""
        import sqlite3

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=PATIENCE)) as db:
                db.execute("PRAGMA synchronous = OFF")
                db.execute("CREATE TABLE IF NOT EXISTS result (key TEXT PRIMARY KEY, tool TEXT, value TEXT)")
                action(db)
        except (sqlite3.OperationalError, OSError):
            return
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink()
