"""Safetensors headers and slices, against the safetensors package as writer and as judge of hostile files."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from execspec_fast.errors import FormatError
from execspec_fast.formats.safetensors import read_header, read_tensors
from execspec_fast.formats.tree import File, Tree
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save


def file_of(folder: Path, data: bytes) -> File:
    (folder / "model.safetensors").write_bytes(data)
    (file,) = Tree(folder).files
    return file


def packed(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def f32(begin: int, end: int, shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": "F32", "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1"])
def test_reads_what_the_package_writes(tmp_path: Path, dtype: str) -> None:
    mean = np.array([[-1.5, 2.25, 3.0], [0.1, -0.0, 100.0]]).astype(np.float64)
    mean = np.abs(mean).astype(dtype) if dtype == "u1" else mean.astype(dtype)
    file = file_of(tmp_path, save({"action.mean": mean, "other": np.zeros(5, np.float32)}, {"format": "np"}))
    header = read_header(file)
    assert set(header) == {"action.mean", "other"}
    assert header["action.mean"].shape == (2, 3)
    values = read_tensors(file, {"action.mean": header["action.mean"]})
    assert list(values) == ["action.mean"]
    assert values["action.mean"].dtype == np.float64
    assert values["action.mean"].tobytes() == mean.astype(np.float64).tobytes()


@given(st.integers(0, 0xFFFF))
def test_bfloat16_widens_exactly(tmp_path_factory: pytest.TempPathFactory, bits: int) -> None:
    header = {"m": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    file = file_of(tmp_path_factory.mktemp("bf16"), packed(header, struct.pack("<H", bits)))
    (value,) = read_tensors(file, read_header(file))["m"]
    (expected,) = struct.unpack("<f", struct.pack("<I", bits << 16))
    assert value == expected or (np.isnan(value) and np.isnan(expected))


def test_a_huge_weight_file_costs_its_header_and_the_slices(tmp_path: Path) -> None:
    size = 20 << 30
    header = {"weights": f32(0, size), "m": f32(size, size + 8)}
    file = file_of(tmp_path, packed(header))
    start = file.size
    with (tmp_path / "model.safetensors").open("r+b") as stream:  # sparse: 20 GiB that nobody can read in a test
        stream.seek(start + size)
        stream.write(struct.pack("<2f", 0.5, -2.0))
    (file,) = Tree(tmp_path).files
    tensors = read_header(file)
    assert read_tensors(file, {"m": tensors["m"]})["m"].tolist() == [0.5, -2.0]
    with pytest.raises(FormatError, match="too long for a statistic"):
        read_tensors(file, {"weights": tensors["weights"]})


HOSTILE = {
    "empty": b"",
    "seven bytes": b"1234567",
    "length beyond the limit": struct.pack("<Q", 1 << 62) + b"{}",
    "length beyond the file": struct.pack("<Q", 1000) + b"{}",
    "a list": packed([]),
    "not json": packed(b"{'a': 1}"),
    "two tensors of one name": packed(
        b'{"a":' + json.dumps(f32(0, 4)).encode() + b',"a":' + json.dumps(f32(0, 4)).encode() + b"}", b"1234"
    ),
    "no dtype": packed({"a": {"shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    "unknown dtype": packed({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
    "shape too small": packed({"a": f32(0, 8, [1])}, b"12345678"),
    "shape too large": packed({"a": f32(0, 4, [1 << 40, 1 << 40])}, b"1234"),
    "negative sizes that multiply out": packed({"a": f32(0, 4, [-1, -1])}, b"1234"),
    "true is no size": packed({"a": f32(0, 4, [True])}, b"1234"),
    "offsets reversed": packed({"a": {"dtype": "F32", "shape": [0], "data_offsets": [4, 0]}}, b"1234"),
    "one offset": packed({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, b"1234"),
    "overlap": packed({"a": f32(0, 8), "b": f32(4, 12)}, b"123456789012"),
    "hole": packed({"a": f32(0, 4), "b": f32(8, 12)}, b"123456789012"),
    "beyond the file": packed({"a": f32(0, 8)}, b"1234"),
    "bytes nobody owns": packed({"a": f32(0, 4)}, b"12345678"),
    "tensors without end": packed({"a": f32(0, 4, [1] * 100_000)}, b"1234"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: Path, name: str) -> None:
    file = file_of(tmp_path, HOSTILE[name])
    with pytest.raises(FormatError, match=r"model\.safetensors"):
        read_header(file)


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"two tensors of one name", "tensors without end"}))
def test_the_package_refuses_them_too(tmp_path: Path, name: str) -> None:
    """We refuse nothing that a loader would load, but a name given twice (Rust keeps the last) and 100,000 axes."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(HOSTILE[name])
    with pytest.raises((SafetensorError, ValueError, OverflowError)), safe_open(path, "np"):
        pass


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = file_of(tmp_path_factory.mktemp("fuzz"), struct.pack("<Q", max(len(data) - 4, 0)) + data)
    with contextlib.suppress(FormatError):
        read_tensors(file, read_header(file))


def test_dtypes_without_numbers_are_named(tmp_path: Path) -> None:
    header = {"scale": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    file = file_of(tmp_path, packed(header, b"12"))
    with pytest.raises(FormatError, match="F8_E4M3"):
        read_tensors(file, read_header(file))


def test_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8\n")
    with pytest.raises(FormatError, match="lfs pointer"):
        read_header(Tree(path).files[0])
