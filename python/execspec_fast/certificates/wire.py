"""The bytes of a certificate: one way to write it, a digest over all of them, and a strict reader.

The text is JSON with sorted keys, an indent of two and a final newline; a float is its shortest decimal that reads
back as the same double, `-0.0` included. The `digest` of the outermost object is the sha256 of the whole file with
that digest's digits written as zeros, so that it covers every byte, and is checked before anything is parsed. It
guards against accident; against a forger, sign the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

from ..errors import FormatError
from ..formats import strict_json

FORMAT = "execspec-certificate"
SCHEMA_VERSION = 2
"""Version 1 knew no controllers; its files are read, and verify, as version 2 without one."""

ZEROS = "0" * 64
_DIGEST = re.compile(rb'\n  "digest": "([0-9a-f]{64})"')
_TYPES: Mapping[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": int | float,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}


PAIR, SIBLINGS = "pair", "siblings"
"""What a certificate compares: two specs, or one with the plausible siblings in its checkpoint."""


class VerifyCode(IntEnum):
    """What verifying a certificate comes to; the exit code of `execspec verify`."""

    OK = 0
    DIFFERS = 1
    """What is found now is not what was certified."""
    MISSING = 3
    """The certificate, a specification or the recorded actions are not there, or do not load."""
    EXPIRED = 4
    """Past its date, or before it."""
    OTHER_TOOL = 6
    """Issued by another major version of this program, whose figures may mean something else."""
    EDITED = 7
    """The bytes are not those that were issued."""
    UNREADABLE = 8
    """Not a certificate, or of a newer schema."""


class CertificateError(FormatError):
    """A file that cannot be taken for a certificate; `code` says why."""

    def __init__(self, code: VerifyCode, reason: str, *, file: str = "", pointer: str = "") -> None:
        self.code = code
        super().__init__(reason, file=file, pointer=pointer)


def encode(contents: Mapping[str, Any]) -> bytes:
    """The file of these contents, their digest written anew."""
    import hashlib
    import json

    text = json.dumps({**_printable(contents), "digest": ZEROS}, sort_keys=True, indent=2, allow_nan=False) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace(f'\n  "digest": "{ZEROS}"', f'\n  "digest": "{digest}"', 1).encode()


def decode(data: bytes, file: str) -> dict[str, Any]:
    """The contents of a file whose digest is right and whose schema is known.

    Raises:
        CertificateError: it is not, with the code to leave with.
    """
    import hashlib

    found = _DIGEST.findall(data)
    if not found and FORMAT.encode() not in data:
        raise CertificateError(VerifyCode.UNREADABLE, "not a certificate", file=file)
    if len(found) != 1:
        raise CertificateError(VerifyCode.EDITED, "edited: it has no line with its digest, or several", file=file)
    claimed = found[0].decode()
    actual = hashlib.sha256(_DIGEST.sub(f'\n  "digest": "{ZEROS}"'.encode(), data)).hexdigest()
    if claimed != actual:
        raise CertificateError(
            VerifyCode.EDITED, f"edited: its bytes have digest {actual}, it was issued with {claimed}", file=file
        )
    return _contents(data, file)


def problems(value: Any, schema: Mapping[str, Any], pointer: str = "") -> Iterator[tuple[str, str]]:
    """JSON pointer and reason of everything in `value` that breaks a schema.

    Knows what `certificate.schema.json` uses of JSON Schema: `$ref` into `$defs`, `type`, `const`, `enum`, `pattern`,
    `properties`, `required`, `additionalProperties` and `items`.
    """
    if "$ref" in schema:
        schema = _schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and not any(_is(value, name) for name in names):
        yield pointer, f"{' or '.join(names)} wanted, found {type(value).__name__}"
        return
    if "const" in schema and value != schema["const"]:
        yield pointer, f"{schema['const']!r} wanted, found {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield pointer, f"one of {schema['enum']} wanted, found {value!r}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield pointer, f"{value!r} does not match {schema['pattern']}"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, pointer)
    elif isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from problems(item, schema["items"], f"{pointer}/{n}")


def _object_problems(value: dict[str, Any], schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield pointer, f"{name!r} is missing"
    for name, item in value.items():
        inner = known.get(name, other)
        if inner is False:
            yield pointer, f"{name!r} is not part of schema version {SCHEMA_VERSION}"
        elif inner is not True:
            yield from problems(item, inner, f"{pointer}/{strict_json.escape(name)}")


def _contents(data: bytes, file: str) -> dict[str, Any]:
    try:
        contents = strict_json.loads(data, file)
    except FormatError as error:
        raise CertificateError(VerifyCode.UNREADABLE, error.reason, file=file) from error
    version = contents.get("schema_version") if isinstance(contents, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise CertificateError(
            VerifyCode.UNREADABLE,
            f"schema version {version}; this program reads up to {SCHEMA_VERSION}: use a newer one",
            file=file,
            pointer="/schema_version",
        )
    for pointer, reason in problems(contents, _schema()):
        raise CertificateError(VerifyCode.UNREADABLE, reason, file=file, pointer=pointer)
    found: dict[str, Any] = contents
    if encode(found) != data:
        raise CertificateError(VerifyCode.EDITED, "edited: not written as certificates are", file=file)
    return found


@cache
def _schema() -> dict[str, Any]:
    import json
    from pathlib import Path

    schema: dict[str, Any] = json.loads(Path(__file__).with_name("certificate.schema.json").read_text("utf-8"))
    return schema


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _printable(value: Any) -> Any:
    """`value` with bytes of a file name that are no text written as escapes: JSON cannot hold them."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_printable(name): _printable(inner) for name, inner in value.items()}
    return [_printable(inner) for inner in value] if isinstance(value, list | tuple) else value
