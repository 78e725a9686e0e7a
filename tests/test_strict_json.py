"""Strict JSON: what the stdlib reads, less what parsers disagree on, and the place of every refusal."""

from __future__ import annotations

import json
import math
import sys

import pytest
from execspec_fast.errors import FormatError
from execspec_fast.formats.strict_json import CONTAINER_LIMIT, DEPTH_LIMIT, SCANNED, escape, loads, loads_lines, locate
from hypothesis import given
from hypothesis import strategies as st

text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner) | st.dictionaries(text, inner),
)


def same(a: object, b: object) -> bool:
    """Equal, of one type, and zeros of one sign."""
    return json.dumps(a) == json.dumps(b)


@given(values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_reads_what_the_stdlib_reads(value: object, indent: int | str | None, ascii_only: bool) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert same(loads(data, "f"), json.loads(data))


FRAGMENTS = ["{", "}", "[", "]", ",", ":", '"a"', '"b"', '"', "\\u", "\\ud83d", "\\udc00", "1", "-", "0", ".5", "e9"]
FRAGMENTS += ["e400", "NaN", "-Infinity", "true", "nul", " ", "\n", "\x00", "\ufeff", "é", "'", "/", "//", "\\"]


def check(data: bytes) -> None:
    """Either refused with a place, or what the stdlib reads."""
    try:
        value = loads(data, "f")
    except FormatError as error:
        refusal = error
    else:
        assert same(value, json.loads(data))
        return
    assert refusal.file == "f"
    assert min(refusal.line, refusal.column) >= 1


@given(st.lists(st.sampled_from(FRAGMENTS)).map("".join).map(str.encode) | st.binary())
def test_refuses_with_a_place_or_agrees_with_the_stdlib(data: bytes) -> None:
    check(data)


@given(values, st.data())
def test_refuses_a_damaged_document_or_agrees_with_the_stdlib(value: object, data: st.DataObject) -> None:
    good = json.dumps(value).encode()
    at = data.draw(st.integers(0, len(good)))
    check(good[:at])
    check(good[:at] + data.draw(st.sampled_from(FRAGMENTS)).encode() + good[at:])


@pytest.mark.parametrize(
    ("data", "pointer", "line", "column", "reason"),
    [
        (b'{"a": 1,\n "a": 2}', "/a", 2, 2, "the key is there twice, with 1 and with 2"),
        (b'{"k": {"q/01": [1, NaN]}}', "/k/q~101/1", 1, 20, "NaN is not a JSON value"),
        (b"[1, -Infinity]", "/1", 1, 5, "-Infinity is not a JSON value"),
        (b"[1, 1e400]", "/1", 1, 5, "1e400 is beyond float64"),
        (b"[-1E+0400]", "/0", 1, 2, "-1E+0400 is beyond float64"),
        (b"[" + b"9" * 400 + b"]", "/0", 1, 2, "is beyond float64"),
        (b"[" + b"9" * 250 + b"e99]", "/0", 1, 2, "is beyond float64"),
        (b"9" * 100_000, "", 1, 1, "is beyond float64"),
        (b"\xef\xbb\xbf{}", "", 1, 1, "byte order mark"),
        (b'{"a":\n "\xff"}', "/a", 2, 3, "byte 0xff, which is not UTF-8"),
        (b'["\xed\xa0\x80"]', "/0", 1, 3, "byte 0xed, which is not UTF-8"),
        (b'["\\ud800"]', "/0", 1, 2, "half a surrogate pair"),
        (b'{"\\udc00": 1}', "", 1, 2, "half a surrogate pair"),
        (b"{} {}", "", 1, 4, "the document ended"),
        (b"", "", 1, 1, "the end of the file is not a JSON value"),
        (b"[1,]", "/1", 1, 4, "']' is not a JSON value"),
        (b"[1 2]", "", 1, 4, "expected ',', found '2'"),
        (b"[01]", "", 1, 3, "expected ',', found '1'"),
        (b'{"a" 1}', "", 1, 6, "expected ':', found '1'"),
        (b"{'a': 1}", "", 1, 2, "expected a key in double quotes"),
        (b'["a\nb"]', "/0", 1, 4, "a string cannot hold '\\n'"),
        (b'["a', "/0", 1, 4, "a string cannot hold the end of the file"),
        (b'["\\x"]', "/0", 1, 3, "a string cannot hold '\\\\'"),
        (b"[" * 100_000, "/0" * DEPTH_LIMIT, 1, DEPTH_LIMIT + 1, "nested deeper"),
    ],
)
def test_says_what_and_where(data: bytes, pointer: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        loads(data, "stats.json")
    error = caught.value
    assert (error.file, error.pointer, error.line, error.column) == ("stats.json", pointer, line, column)
    assert reason in error.reason


def test_depth_is_limited_exactly() -> None:
    deepest = b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT
    assert loads(deepest, "f") == json.loads(deepest)
    with pytest.raises(FormatError, match="nested deeper"):
        loads(b'{"a":' + deepest + b"}", "f")


def test_number_of_parts_is_limited() -> None:
    with pytest.raises(FormatError, match="more than"):
        loads(b"[" + b"[]," * CONTAINER_LIMIT + b"[]]", "f")


def test_keeps_the_sign_of_zero_and_every_digit() -> None:
    zero, third, long = loads(b"[-0.0, 0.1000000000000000055511151231257827, 1" + b"0" * 307 + b"]", "f")
    assert math.copysign(1, zero) == -1
    assert third == 0.1
    assert long == 10**307


def test_pairs_of_surrogates_and_words_like_exponents_pass() -> None:
    assert loads(b'["\\ud83d\\ude00", "e1234", 1e-400]', "f") == ["\U0001f600", "e1234", 0.0]


def test_long_integers_are_refused_before_python_converts_them() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(FormatError, match="beyond float64"):
            loads(b"9" * 700, "f")
    finally:
        sys.set_int_max_str_digits(limit)


def test_lines() -> None:
    assert loads_lines(b'{"a": 1}\r\n\n[2]\n', "f.jsonl") == [{"a": 1}, [2]]
    with pytest.raises(FormatError) as caught:
        loads_lines(b'{"a": 1}\n{"a": [NaN]}\n', "f.jsonl")
    assert (caught.value.line, caught.value.column, caught.value.pointer) == (2, 8, "/a/0")


def test_locates_values_by_pointer() -> None:
    data = b'{"a/b": {"c~d": [1,\n  2]},\n "": "x"}'
    assert locate(data, "") == (1, 1)
    assert locate(data, f"/{escape('a/b')}/{escape('c~d')}/1") == (2, 3)
    assert locate(data, f"/{escape('a/b')}/{escape('c~d')}/0") == (1, 17)  # the list around it
    assert locate(data, "/") == (3, 6)
    assert locate(data, "/nowhere") == (1, 1)
    assert locate(b"{}\n{}", "") == (0, 0)


def test_long_documents_are_read_and_refused_without_a_place() -> None:
    long = b'["\\ud83d\\ude00", "' + b"x" * SCANNED + b'"'
    assert loads(long + b"]", "f")[0] == "\U0001f600"
    faults = {
        b", NaN]": "NaN",
        b"]]": "line 1",
        b', "\\ud800"]': "half",
        b", 1e999]": "beyond",
        b', {"a": 1, "a": 1}]': "twice",
    }
    for tail, reason in faults.items():
        with pytest.raises(FormatError, match=reason) as caught:
            loads(long + tail, "f")
        assert caught.value.line == 0
