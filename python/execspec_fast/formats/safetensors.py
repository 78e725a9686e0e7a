"""Safetensors by header and slices: of a weight file, only the header and the tensors asked for leave the disk.

Layout (the safetensors format): 8 bytes little-endian header length, a JSON header
`{name: {"dtype", "shape", "data_offsets": [begin, end]}}` with an optional `__metadata__`, then the tensors,
row-major, back to back, ending where the file ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ..errors import FormatError
from ..stats import FloatArray
from . import strict_json
from .tree import LFS_POINTER, File

MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library itself."""

MAX_TENSOR = 1 << 20
"""Bytes of one tensor we read: no statistic is longer, and a header may claim anything."""

MAX_AXES = 64
"""Axes of one tensor; NumPy's own limit."""

_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}

_NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What the header says of one tensor: stored dtype, shape, and its bytes `[begin, end)` in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(file: File) -> Mapping[str, TensorInfo]:
    """Every tensor of a safetensors file by name, in file order.

    Raises:
        FormatError: not a safetensors file, cut short, or a header whose tensors do not fill the file exactly.
    """
    with file.open() as stream:
        first = _read(file, stream, 0, 8)
        if LFS_POINTER.startswith(first):  # as a length, more bytes than any header has
            raise file.not_fetched()
        length = int.from_bytes(first, "little")
        if not 2 <= length <= MAX_HEADER:
            raise FormatError(f"no safetensors file: header length {length}, at most {MAX_HEADER}", file=file.path)
        start = 8 + length
        if start > file.size:
            raise FormatError(f"header of {length} bytes in a file of {file.size}: cut short", file=file.path)
        header = strict_json.loads(_read(file, stream, 8, length), file.path)
    if not isinstance(header, dict):
        raise FormatError("the header is not a JSON object", file=file.path)
    header.pop("__metadata__", None)
    tensors = {name: _info(file, name, entry, start) for name, entry in header.items()}
    _check_cover(file, tensors, start)
    return tensors


def read_tensors(file: File, tensors: Mapping[str, TensorInfo]) -> dict[str, FloatArray]:
    """The values of some tensors of a header, as float64 (exact for every float dtype, for integers below 2**53).

    Raises:
        FormatError: a dtype that statistics are never stored in, or a tensor longer than `MAX_TENSOR` bytes.
    """
    values = {}
    with file.open() as stream:
        for name, info in tensors.items():
            size = info.end - info.begin
            if size > MAX_TENSOR:
                raise FormatError(f"{size} bytes, too long for a statistic", file=file.path, pointer=name)
            data = _read(file, stream, info.begin, size)
            if info.dtype == "BF16":  # the upper half of a float32
                flat = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
            elif info.dtype in _NUMPY:
                flat = np.frombuffer(data, _NUMPY[info.dtype])
            else:
                raise FormatError(f"dtype {info.dtype} holds no statistics we can read", file=file.path, pointer=name)
            values[name] = flat.astype(np.float64).reshape(info.shape)
    return values


def _info(file: File, name: str, entry: object, start: int) -> TensorInfo:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]} if (
            dtype in _BITS and len(shape) <= MAX_AXES and _are_sizes([*shape, begin, end])
        ):
            if math.prod(shape) * _BITS[dtype] == 8 * (end - begin):
                return TensorInfo(dtype, tuple(shape), start + begin, start + end)
            reason = f"{dtype} of shape {shape} does not fill bytes {begin} to {end}"
        case _:
            reason = "needs a known dtype, a shape and two data_offsets, all sizes from 0"
    raise FormatError(reason, file=file.path, pointer=name)


def _are_sizes(values: list[object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _check_cover(file: File, tensors: Mapping[str, TensorInfo], start: int) -> None:
    at = start
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin != at:
            raise FormatError(
                f"begins at byte {info.begin}, the tensor before it ends at {at}: overlap or hole",
                file=file.path,
                pointer=name,
            )
        at = info.end
    if at != file.size:
        raise FormatError(f"tensors end at byte {at}, the file at {file.size}: cut short or extended", file=file.path)


def _read(file: File, stream: BinaryIO, begin: int, size: int) -> bytes:
    try:
        stream.seek(begin)
        data = stream.read(size)
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", file=file.path) from None
    if len(data) != size:
        raise FormatError(f"{len(data)} bytes where {size} are needed: cut short", file=file.path)
    return data
