"""The bytes of a guard image, in which C++ reads it where it lies.

The dtypes mirror the structs of `cpp/include/execspec/guard/layout.hpp` byte for byte; that file says what each field
means. Little-endian, every section at a multiple of 64 bytes. The checksum tells damage; it is no signature.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from ..ops import OP, OpDType, OpKind
from .image import (
    COLUMNS,
    LINES,
    MAX_CHANNELS,
    MAX_ROWS,
    MAX_SIBLINGS,
    MAX_STAGES,
    QUANTITIES,
    SOURCES,
    WATCH_NUMBERS,
    Candidate,
    Channel,
    GuardImage,
    Watched,
    WatchedChannel,
)
from .status import Mode

MAGIC, ENDIAN, VERSION = b"EXECSPEC", 0x01020304, 1
LANE, SECTION = 8, 64

TEXT = np.dtype([("at", "<u4"), ("size", "<u4")])
CHANNEL = np.dtype(
    [
        *[(name, TEXT) for name in ("name", "unit", *(f"{source}_source" for source in SOURCES))],
        ("relative", "<u4"),
        ("values", "<u4"),
        ("value", "<f8", (3,)),
    ]
)
CANDIDATE = np.dtype([("name", TEXT), ("digest", "u1", (32,))])
WATCH_CHANNEL = np.dtype(
    [
        ("name", TEXT),
        ("unit", TEXT),
        ("source", TEXT, (len(QUANTITIES),)),
        *[(name, "<f8") for name in WATCH_NUMBERS],
    ]
)
COUNTS = ("channels", "steps", "stages", "columns", "candidates", "lanes")
SECTIONS = ("ops", "channel", "column", "line", "candidate", "watch_channel", "texts")
HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("endian", "<u4"),
        ("version", "<u4"),
        ("size", "<u8"),
        ("checksum", "<u4"),
        ("mode", "<u4"),
        ("digest", "u1", (32,)),
        *[(name, TEXT) for name in ("spec", "stage", "source")],
        *[(name, "<u4") for name in COUNTS],
        ("u_dtype", "<i2"),
        ("a_dtype", "<i2"),
        *[(name, "<u4") for name in ("watch_channels", "watch_order", "watch_stops", "latch_faults", "latch_steps")],
        ("max_age", "<f8"),
        ("max_age_source", TEXT),
        ("watch_max_age", "<f8"),
        ("watch_max_dt", "<f8"),
        ("watch_source", TEXT),
        *[(name, "<u8") for name in SECTIONS],
        ("texts_size", "<u8"),
    ]
)

FREE = {"floor": -np.inf, "ceiling": np.inf, "low": -np.inf, "high": np.inf, "jump": np.inf, "walk": np.inf}
"""What a column of the padding holds, so that 0 passes: these, and 0 for the others."""

UNWATCHED = Watched((), 0, False, np.inf, np.inf, "")


class _Texts:
    """The section of texts: UTF-8, each once, a zero byte after each."""

    def __init__(self) -> None:
        self.data = b""
        self._places: dict[str, tuple[int, int]] = {}

    def __call__(self, text: str) -> tuple[int, int]:
        if text not in self._places:
            encoded = text.replace("\0", "\\0").encode("utf-8", "backslashreplace")
            self._places[text] = len(self.data), len(encoded)
            self.data += encoded + b"\0"
        return self._places[text]


def write(image: GuardImage) -> bytes:
    """The image in bytes, always the same ones for the same contents."""
    texts, header, watch = _Texts(), np.zeros((), HEADER), image.watch or UNWATCHED
    cells, candidates = image.steps * image.dim, len(image.candidates)
    width, lanes = _padded(image.dim), _padded(candidates)
    columns = np.zeros((len(COLUMNS), image.steps, width))
    lines = np.zeros((cells, len(LINES), lanes))
    for table, names, axis in ((columns, COLUMNS, 0), (lines, LINES, 1)):
        for n, name in enumerate(names):
            np.moveaxis(table, axis, 0)[n] = FREE.get(name, 0.0)
    columns[:, :, : image.dim] = image.columns
    lines[:, :, :candidates] = image.lines
    parts = {
        "ops": np.ascontiguousarray(image.ops).tobytes(),
        "channel": _rows(CHANNEL, (_channel_row(channel, texts) for channel in image.channels)),
        "column": columns.reshape(len(COLUMNS), -1, LANE).swapaxes(0, 1).astype("<f8").tobytes(),
        "line": lines.astype("<f8").tobytes(),
        "candidate": _rows(CANDIDATE, ((texts(c.name), list(bytes.fromhex(c.digest))) for c in image.candidates)),
        "watch_channel": _rows(WATCH_CHANNEL, (_watch_row(channel, texts) for channel in watch.channels)),
    }
    header["magic"], header["endian"], header["version"], header["mode"] = MAGIC, ENDIAN, VERSION, image.mode
    header["digest"] = list(bytes.fromhex(image.digest))
    counts = (image.dim, image.steps, len(image.ops), width * image.steps, candidates, lanes)
    for name, count in zip(COUNTS, counts, strict=True):
        header[name] = count
    for name in ("spec", "stage", "source", "max_age_source"):
        header[name] = texts(getattr(image, name))
    header["u_dtype"], header["a_dtype"] = image.u_dtype, image.a_dtype
    header["latch_faults"], header["latch_steps"] = image.latch
    header["max_age"] = image.max_age
    header["watch_channels"], header["watch_order"] = len(watch.channels), watch.order
    header["watch_stops"], header["watch_source"] = watch.stops, texts(watch.source)
    header["watch_max_age"], header["watch_max_dt"] = watch.max_age, watch.max_dt
    at = _aligned(HEADER.itemsize)
    parts["texts"] = texts.data
    for name in SECTIONS:
        header[name] = at
        at += _aligned(len(parts[name]))
    header["texts_size"], header["size"] = len(texts.data), at
    body = b"".join(part.ljust(_aligned(len(part)), b"\0") for part in map(parts.__getitem__, SECTIONS))
    header["checksum"] = zlib.crc32(header.tobytes().ljust(_aligned(HEADER.itemsize), b"\0") + body)
    return header.tobytes().ljust(_aligned(HEADER.itemsize), b"\0") + body


def read(data: bytes, file: str = "") -> GuardImage:
    """The contents of an image.

    Raises:
        FormatError: truncated, not an image, of another byte order or a version this program does not know, damaged,
            or not laid out as images are.
    """
    if len(data) < HEADER.itemsize:
        raise FormatError(f"no guard image: {len(data)} bytes, and its header alone has {HEADER.itemsize}", file=file)
    header = np.frombuffer(data, HEADER, 1)[0]
    if header["magic"] != MAGIC:
        raise FormatError("not a guard image", file=file)
    if header["endian"] != ENDIAN:
        raise FormatError("a guard image of another byte order", file=file)
    if header["version"] != VERSION:
        raise FormatError(f"guard image version {header['version']}; this program reads {VERSION}", file=file)
    if header["size"] != len(data):
        raise FormatError(f"{len(data)} bytes, written as {header['size']}: truncated, or something follows", file=file)
    blank = header.copy()
    blank["checksum"] = 0
    if zlib.crc32(blank.tobytes() + data[HEADER.itemsize :]) != header["checksum"]:
        raise FormatError("damaged: its checksum does not hold", file=file)
    try:
        return _contents(data, header)
    except ValueError as error:
        raise FormatError(f"not laid out as a guard image: {error}", file=file) from error


def _contents(data: bytes, header: np.void) -> GuardImage:
    dim, steps, stages, columns, candidates, lanes = (int(header[name]) for name in COUNTS)
    in_range = 0 < dim <= MAX_CHANNELS and 0 < steps <= MAX_ROWS and stages <= MAX_STAGES
    if not in_range or not 0 < candidates <= 1 + MAX_SIBLINGS or header["watch_channels"] > MAX_CHANNELS:
        raise ValueError("a count is out of range")
    if columns != _padded(dim) * steps or lanes != _padded(candidates):
        raise ValueError("counts contradict each other")

    def section(name: str, dtype: npt.DTypeLike, *shape: int) -> npt.NDArray[np.void]:
        at, count = int(header[name]), math.prod(shape)
        if at % SECTION:
            raise ValueError(f"section {name} is not aligned")
        if not HEADER.itemsize <= at <= len(data) - count * np.dtype(dtype).itemsize:
            raise ValueError(f"section {name} does not lie within")
        return np.frombuffer(data, dtype, count, at).reshape(shape) if count else np.zeros(shape, dtype)

    texts = section("texts", "u1", int(header["texts_size"])).tobytes()

    def text(place: np.void) -> str:
        end = int(place["at"]) + int(place["size"])
        if texts[end : end + 1] != b"\0":
            raise ValueError("a text has no end")
        return texts[int(place["at"]) : end].decode(errors="backslashreplace")

    ops = section("ops", OP, stages, steps * dim)
    if not np.isin(ops["kind"], list(OpKind)).all() or not np.isin(ops["dtype"], list(OpDType)).all():
        raise ValueError("an op of no known kind")
    by_lane = section("column", "<f8", columns // LANE, len(COLUMNS), LANE)
    numbers = by_lane.swapaxes(0, 1).reshape(len(COLUMNS), steps, -1)[:, :, :dim]
    lines = section("line", "<f8", steps * dim, len(LINES), lanes)[:, :, :candidates]
    watched = tuple(
        WatchedChannel(
            text(row["name"]),
            text(row["unit"]),
            {name: text(place) for name, place in zip(QUANTITIES, row["source"], strict=True)},
            {name: float(row[name]) for name in WATCH_NUMBERS},
        )
        for row in section("watch_channel", WATCH_CHANNEL, int(header["watch_channels"]))
    )
    ages = float(header["watch_max_age"]), float(header["watch_max_dt"])
    watch = Watched(
        watched, int(header["watch_order"]), bool(header["watch_stops"]), *ages, text(header["watch_source"])
    )
    return GuardImage(
        spec=text(header["spec"]),
        digest=header["digest"].tobytes().hex(),
        stage=text(header["stage"]),
        source=text(header["source"]),
        mode=Mode(int(header["mode"])),
        channels=tuple(
            Channel(
                text(row["name"]),
                text(row["unit"]),
                bool(row["relative"]),
                tuple(row["value"].tolist()[: row["values"]]),
                {source: text(row[f"{source}_source"]) for source in SOURCES},
            )
            for row in section("channel", CHANNEL, dim)
        ),
        ops=ops,
        columns=np.asarray(numbers, np.float64),
        candidates=tuple(
            Candidate(text(row["name"]), row["digest"].tobytes().hex())
            for row in section("candidate", CANDIDATE, candidates)
        ),
        lines=np.asarray(lines, np.float64),
        u_dtype=OpDType(int(header["u_dtype"])),
        a_dtype=OpDType(int(header["a_dtype"])),
        latch=(int(header["latch_faults"]), int(header["latch_steps"])),
        max_age=float(header["max_age"]),
        max_age_source=text(header["max_age_source"]),
        watch=watch if watched else None,
    )


def _channel_row(channel: Channel, texts: _Texts) -> tuple[object, ...]:
    value = (*channel.values, *[0.0] * (3 - len(channel.values)))
    places = (texts(text) for text in (channel.name, channel.unit, *(channel.sources[name] for name in SOURCES)))
    return (*places, channel.relative, len(channel.values), value)


def _watch_row(channel: WatchedChannel, texts: _Texts) -> tuple[object, ...]:
    sources = [texts(channel.sources[name]) for name in QUANTITIES]
    return (texts(channel.name), texts(channel.unit), sources, *(channel.limits[name] for name in WATCH_NUMBERS))


def _rows(dtype: np.dtype[np.void], rows: Iterable[tuple[object, ...]]) -> bytes:
    return np.array(list(rows), dtype).tobytes()


def _padded(n: int) -> int:
    return -(-n // LANE) * LANE


def _aligned(n: int) -> int:
    return -(-n // SECTION) * SECTION
