"""JSON read strictly: one meaning per file, and the exact place of whatever is wrong.

The stdlib's C scanner does the reading. It is lenient in a few ways (duplicate keys, `NaN`, `1e400`, lone
surrogates); those are refused here, and a slow scanner then finds pointer, line and column.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any, NoReturn

from ..errors import FormatError

DEPTH_LIMIT = 100
CONTAINER_LIMIT = 1 << 20
"""Objects and lists per document, brackets inside strings included: a bound on memory."""

SCANNED = 2 << 20
"""Characters of the longest document in which places are looked for: a bound on time."""


def loads(data: bytes, file: str, *, first_line: int = 1) -> Any:
    """The value of one JSON document.

    Args:
        data: UTF-8 without byte order mark.
        file: name for errors.
        first_line: number of the document's first line in that file.

    Raises:
        FormatError: not JSON (RFC 8259); or JSON that parsers disagree on: duplicate keys, lone surrogates, numbers
            beyond float64; or nested deeper than `DEPTH_LIMIT`, or made of more than `CONTAINER_LIMIT` parts.
    """
    if data.count(b"[") + data.count(b"{") > CONTAINER_LIMIT:
        raise FormatError(f"more than {CONTAINER_LIMIT} objects and lists", file=file)
    try:
        text = data.decode()
        value = _DECODER.decode(text)
        fault = _fault(value, text)
    except (ValueError, RecursionError, _RefusedError) as error:
        text = data.decode(errors="surrogateescape")
        fault = str(error)
    if not fault:
        return value
    if len(text) <= SCANNED:
        _Scanner(text, file, first_line).document()
    raise FormatError(f"not strict JSON: {fault}", file=file)


def loads_lines(data: bytes, file: str) -> list[Any]:
    """The values of a JSON Lines file, one per line that is not blank; pointers in errors start at the line's value."""
    lines = data.split(b"\n")
    return [loads(line, file, first_line=n) for n, line in enumerate(lines, 1) if line.strip(b" \t\r")]


def locate(data: bytes, pointer: str) -> tuple[int, int]:
    """Line and column, both from 1, of the value at a JSON pointer, or of the list or object around it.

    (0, 0) in a document longer than `SCANNED`, and in more than one document (JSON Lines).
    """
    text, places = _places(data)
    while pointer and pointer not in places:
        pointer = pointer.rpartition("/")[0]
    return _line_and_column(text, places[pointer]) if pointer in places else (0, 0)


def escape(key: str) -> str:
    """An object's key as one step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


class _RefusedError(Exception):
    """The C scanner met something it would let pass; the slow scanner will say where."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _RefusedError("a key is there twice")
    return members


def _no_constant(token: str) -> NoReturn:
    raise _RefusedError(f"{token} is not a JSON value")


def _bounded_int(token: str) -> int:
    if len(token) > 300 and math.isinf(float(token)):
        raise _RefusedError(f"{_short(token)} is beyond float64")
    return int(token)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_bounded_int)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""Half of a surrogate pair; most have their other half beside them."""


def _fault(value: Any, text: str) -> str:
    """What is wrong with a value that the C scanner lets pass, in words; empty if nothing is."""
    level: list[Any] = [[value]]
    for _ in range(DEPTH_LIMIT + 1):
        below: list[Any] = []
        for parent in level:
            items = parent.values() if isinstance(parent, dict) else parent
            kinds = set(map(type, items))
            if float in kinds and (math.inf in items or -math.inf in items):
                return "a number is beyond float64"
            if not kinds.isdisjoint((dict, list)):
                below += [item for item in items if isinstance(item, (dict, list))]
        level = below
        if not level:
            break
    else:
        return f"nested deeper than {DEPTH_LIMIT}"
    if "\\u" in text and _HALF_PAIR.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "a string holds half a surrogate pair"
    return ""


_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_NUMBERS = re.compile(r"(?:-?(?:0|[1-9][0-9]{0,16})(?:\.[0-9]{1,25})?(?:[eE][-+]?[0-9]{1,2})?[ \t\n\r]*,[ \t\n\r]*)++")
"""Numbers that cannot be wrong, each with its comma: what most documents are made of, skipped in one step."""
_WORD = re.compile(r"-?[A-Za-z]+")
_PLAIN = r'[^"\\\x00-\x1f\ud800-\udfff]*'
_STRING_BODY = re.compile(rf'"{_PLAIN}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PLAIN})*')
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@lru_cache(maxsize=1)  # a file that has one error has many
def _places(data: bytes) -> tuple[str, dict[str, int]]:
    """The text, and where each value in it begins, by JSON pointer; numbers in the midst of a list are left out."""
    text = data.decode(errors="surrogateescape")
    scanner = _Scanner(text)
    try:
        if len(text) <= SCANNED:
            scanner.document()
    except FormatError:
        scanner.places.clear()
    return text, scanner.places


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


class _Scanner:
    """Walks a document without building it, to find where values begin, or the first thing wrong.

    Expects UTF-8 decoded with `surrogateescape`, where a byte that is not UTF-8 is a lone surrogate.
    """

    def __init__(self, text: str, file: str = "", first_line: int = 1) -> None:
        self.text, self.file, self.first_line = text, file, first_line
        self.places: dict[str, int] = {}

    def document(self) -> None:
        if self.text.startswith("\ufeff"):
            self.fail("starts with a byte order mark; JSON is UTF-8 without one", 0, "")
        end = self.skip(self.value(self.skip(0), "", 1))
        if end < len(self.text):
            self.fail(f"the document ended, then {self.shown(end)} follows", end, "")

    def value(self, at: int, pointer: str, depth: int) -> int:
        """The end of the value that starts at `at`."""
        self.places[pointer] = at
        first = self.text[at : at + 1]
        if first == '"':
            return self.string(at, pointer)
        if first and first in "{[":
            return self.container(at, pointer, depth)
        if number := _NUMBER.match(self.text, at):
            if math.isinf(float(number[0])):
                self.fail(f"{_short(number[0])} is beyond float64", at, pointer)
            return number.end()
        word = _WORD.match(self.text, at)
        if not word or word[0] not in ("true", "false", "null"):
            self.fail(f"{_short(word[0]) if word else self.shown(at)} is not a JSON value", at, pointer)
        return word.end()

    def container(self, at: int, pointer: str, depth: int) -> int:
        if depth > DEPTH_LIMIT:
            self.fail(f"nested deeper than {DEPTH_LIMIT}", at, pointer)
        closing = "}" if self.text[at] == "{" else "]"
        members: dict[str, tuple[int, int]] = {}
        step = 0
        at = self.skip(at + 1)
        if self.text[at : at + 1] == closing:
            return at + 1
        while True:
            key_at = at
            if closing == "}":
                key, at = self.key(at, pointer)
            else:
                if run := _NUMBERS.match(self.text, at):
                    step, at = step + run[0].count(","), run.end()
                key = str(step)
            inside = f"{pointer}/{escape(key)}"
            start, at = at, self.value(at, inside, depth + 1)
            if key in members:
                first, second = (_short(self.text[i:j]) for i, j in (members[key], (start, at)))
                self.fail(f"the key is there twice, with {first} and with {second}", key_at, inside)
            if closing == "}":
                members[key] = start, at
            at = self.skip(at)
            if self.text[at : at + 1] == closing:
                return at + 1
            at = self.expect(",", at, pointer)
            step += 1

    def key(self, at: int, pointer: str) -> tuple[str, int]:
        if self.text[at : at + 1] != '"':
            self.fail(f"expected a key in double quotes, found {self.shown(at)}", at, pointer)
        end = self.string(at, pointer)
        return json.loads(self.text[at:end]), self.expect(":", self.skip(end), pointer)

    def string(self, at: int, pointer: str) -> int:
        body = _STRING_BODY.match(self.text, at)
        end = body.end() if body else at
        if self.text[end : end + 1] != '"':
            self.fail(f"a string cannot hold {self.shown(end)}", end, pointer)
        if _SURROGATE.search(json.loads(self.text[at : end + 1])):
            self.fail("a string holds half a surrogate pair", at, pointer)
        return end + 1

    def skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        return space.end() if space else at

    def expect(self, mark: str, at: int, pointer: str) -> int:
        if self.text[at : at + 1] != mark:
            self.fail(f"expected {mark!r}, found {self.shown(at)}", at, pointer)
        return self.skip(at + 1)

    def shown(self, at: int) -> str:
        character = self.text[at : at + 1]
        if _SURROGATE.match(character):
            return f"byte 0x{ord(character) & 0xFF:02x}, which is not UTF-8"
        return repr(character) if character else "the end of the file"

    def fail(self, reason: str, at: int, pointer: str) -> NoReturn:
        line, column = _line_and_column(self.text, at)
        raise FormatError(reason, file=self.file, pointer=pointer, line=line + self.first_line - 1, column=column)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
