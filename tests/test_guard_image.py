"""The guard image: what is written is read again, the layout is that of C++, and what is not whole is refused."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from execspec_fast import _core
from execspec_fast.errors import FormatError
from execspec_fast.guarding import image, layout
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.image import COLUMNS, LINES, GuardImage
from execspec_fast.guarding.layout import HEADER, read, write
from execspec_fast.guarding.watching import WatchLimits
from guards import DELTA, bounded, spec, stepped, stepwise
from hypothesis import given
from hypothesis import strategies as st

LAYOUT = (Path(__file__).parents[1] / "cpp" / "include" / "execspec" / "guard" / "layout.hpp").read_text()
WATCH = WatchLimits(("shoulder", "elbow"), "rad", position=(-2, [1, 2]), velocity=1.5, acceleration=8, stops=True)
IMAGES = {
    "plain": lambda: guard_image(bounded()),
    "full": lambda: guard_image(
        spec(representation=DELTA), siblings=[spec(scale=2.0, key="other")], jump=0.1, walk=[1, 2, np.inf],
        max_age=0.2, mode="enforce", latch=(2, 20), dtype=("float32", "float64"), watch=WATCH,
    ),
    "gripper": lambda: guard_image(stepped()),
    "chunk": lambda: guard_image(stepwise()),
}  # fmt: skip


def same(a: GuardImage, b: GuardImage) -> bool:
    arrays = ("ops", "columns", "lines")
    rest = dict.fromkeys(arrays)
    return replace(a, **rest).__dict__ == replace(b, **rest).__dict__ and all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes() and getattr(a, name).shape == getattr(b, name).shape
        for name in arrays
    )


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_written_is_read(name):
    made = IMAGES[name]()
    data = write(made)
    assert same(read(data), made)
    assert write(read(data)) == data == write(made)


@pytest.mark.parametrize("name", IMAGES)
def test_sections_are_aligned_and_follow_each_other(name):
    data = write(IMAGES[name]())
    header = np.frombuffer(data, HEADER, 1)[0]
    places = [int(header[section]) for section in layout.SECTIONS]
    assert all(place % 64 == 0 for place in places)
    assert len(data) % 64 == 0
    assert places == sorted(places)
    assert places[0] == 256
    assert int(header["size"]) == len(data)
    assert data[: places[-1] + int(header["texts_size"])].endswith(b"\0")


STRUCTS = {
    "Header": HEADER,
    "Channel": layout.CHANNEL,
    "Candidate": layout.CANDIDATE,
    "WatchChannel": layout.WATCH_CHANNEL,
}


def test_dtypes_mirror_the_structs():
    found = _core.guard_layout()
    assert found.keys() == STRUCTS.keys()
    for name, dtype in STRUCTS.items():
        assert (dtype.itemsize, {field: dtype.fields[field][1] for field in dtype.names}) == found[name], name


@pytest.mark.parametrize(("name", "ours"), [("Column", COLUMNS), ("Line", LINES)])
def test_numbers_are_in_the_order_of_the_header(name, ours):
    (body,) = re.findall(rf"enum class {name} : std::uint32_t {{(.*?)}};", LAYOUT, re.DOTALL)
    assert [*ours, "count"] == re.findall(r"^    (\w+),?", body, re.MULTILINE)


def test_bounds_are_those_of_the_header():
    assert _core.guard_constants() == {
        "max_channels": image.MAX_CHANNELS,
        "max_rows": image.MAX_ROWS,
        "max_stages": image.MAX_STAGES,
        "max_latch": image.MAX_LATCH,
        "max_candidates": image.MAX_SIBLINGS + 1,
        "lane": layout.LANE,
        "columns": len(COLUMNS),
        "lines": len(LINES),
    }


def test_the_padding_lets_zero_pass():
    data = write(guard_image(bounded()))
    header = np.frombuffer(data, HEADER, 1)[0]
    columns = np.frombuffer(data, "<f8", len(COLUMNS) * 8, int(header["column"])).reshape(-1, 8)
    number = {name: columns[n, 3:] for n, name in enumerate(COLUMNS)}
    assert (number["low"] == -np.inf).all()
    assert (number["high"] == np.inf).all()
    assert (number["jump"] == np.inf).all()
    assert (number["walk"] == np.inf).all()
    assert (number["floor"] == -np.inf).all()
    assert (number["ceiling"] == np.inf).all()
    for name in ("scale", "offset", "near", "tolerance", "margin", "middle", "inverse"):
        assert not number[name].any(), name


def changed(data: bytes, **fields) -> bytes:
    """With other values in the header, and a checksum that holds."""
    header = np.frombuffer(data, HEADER, 1).copy()
    for name, value in fields.items():
        header[name] = value
    header["checksum"] = 0
    rest = data[HEADER.itemsize :]
    header["checksum"] = zlib.crc32(header.tobytes() + rest)
    return header.tobytes() + rest


DATA = write(guard_image(bounded(), watch=WATCH))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (DATA[:239], "239 bytes"),
        (DATA[:-64], "truncated"),
        (DATA + b"\0", "truncated, or something follows"),
        (b"PK" + DATA[2:], "not a guard image"),
        (changed(DATA, endian=0x04030201), "another byte order"),
        (changed(DATA, version=2), "version 2; this program reads 1"),
        (DATA[:300] + bytes([DATA[300] ^ 1]) + DATA[301:], "damaged"),
        (changed(DATA, channels=0), "out of range"),
        (changed(DATA, channels=65), "out of range"),
        (changed(DATA, steps=1 << 30), "out of range"),
        (changed(DATA, columns=16), "contradict"),
        (changed(DATA, ops=1), "not aligned"),
        (changed(DATA, ops=1 << 62), "not laid out"),
        (changed(DATA, ops=1 << 63), "section ops does not lie within"),
        (changed(DATA, texts_size=(1 << 64) - 1), "section texts does not lie within"),
        (changed(DATA, texts_size=0), "not laid out"),
        (changed(DATA, mode=3), "not laid out"),
        (changed(DATA, u_dtype=7), "not laid out"),
        (changed(DATA, spec=(0, 1 << 31)), "no end"),
    ],
)
def test_what_is_not_whole_is_refused(data, why):
    with pytest.raises(FormatError, match=why):
        read(data, "g.img")


@given(st.data())
def test_no_bytes_do_anything_but_raise(data):
    """Flipped bytes, with the checksum made right again: the contents differ, or are refused; nothing else happens."""
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(DATA) - 1))] ^= data.draw(st.integers(1, 255))
    if damaged != DATA:  # two flips may be none
        with pytest.raises(FormatError):
            read(bytes(damaged))
    try:
        found = read(changed(bytes(damaged)))
    except FormatError:
        return
    assert isinstance(found, GuardImage)


@given(st.data())
def test_what_the_gate_takes_can_be_told(data):
    """The loader of C++ checks every number too; what it takes, Python can read."""
    damaged = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(DATA) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        gate = _core.Gate(changed(bytes(damaged)))
    except FormatError:
        return
    assert isinstance(read(gate.image), GuardImage)


def test_a_name_that_is_no_text_is_kept_readable():
    made = replace(guard_image(bounded()), spec="bad\udcff\0name")
    assert read(write(made)).spec == "bad\\udcff\\0name"
