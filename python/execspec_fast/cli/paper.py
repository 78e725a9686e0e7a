"""Text on a terminal: width, colour, columns, and names from foreign files made safe to print."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "bold": 1, "dim": 2}

WIDTH = 120
"""Columns where no terminal says how many it has."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What text is written on.

    Attributes:
        width: columns.
        colour: whether escape sequences are welcome.
        plain: whether only ASCII can be written.
    """

    width: int = WIDTH
    colour: bool = False
    plain: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Paper:
        """The paper a stream writes on; colour on a terminal only, and not with `NO_COLOR` (no-color.org)."""
        import shutil

        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(shutil.get_terminal_size((WIDTH, 0)).columns, colour, not encoding.startswith("utf"))

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour else text

    @property
    def arrow(self) -> str:
        return "->" if self.plain else "→"

    def head(self, text: str, limit: int) -> str:
        """The text, or its beginning where it is longer than `limit`: keys differ at their beginning."""
        return text if len(text) <= limit else text[: max(limit - len(self.dots), 1)] + self.dots

    def tail(self, text: str, limit: int) -> str:
        """The text, or its end where it is longer than `limit`: paths differ at their end."""
        return text if len(text) <= limit else self.dots + text[-max(limit - len(self.dots), 1) :]

    def ends(self, text: str, limit: int) -> str:
        """The text, or both of its ends where it is longer than `limit`."""
        kept = (limit - len(self.dots)) // 2
        return text if len(text) <= limit else text[:kept] + self.dots + text[-kept:]

    @property
    def dots(self) -> str:
        return ".." if self.plain else "…"

    def wrap(self, text: str, indent: int) -> str:
        """The text in lines of at most `width`, every line after the first indented."""
        import textwrap

        lines = textwrap.wrap(text, max(self.width - indent, 40), break_long_words=False, break_on_hyphens=False)
        return ("\n" + " " * indent).join(lines)


def escape(text: str) -> str:
    """The text with everything that does not print, terminal control codes among it, written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Lines of cells, columns aligned, those whose index is in `right` to the right."""
    widths = [max(map(len, column), default=0) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(w) if n in right else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
