"""What a guard says when it starts: its mode, whose actions it takes, and every limit with its source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .image import QUANTITIES, SOURCES, Channel, GuardImage, Watched, WatchedChannel
from .status import Mode

MODES = {
    Mode.OBSERVE: "observe: faults are counted, nothing is refused",
    Mode.WARN: "warn: faults are told, nothing is refused",
    Mode.ENFORCE: "enforce: what has a fault is refused, and held or stopped",
}


def banner(image: GuardImage) -> str:
    """Of all of an image: lines of text, the last one ended."""
    age = "not checked" if math.isinf(image.max_age) else f"at most {image.max_age:.6g} s ({image.max_age_source})"
    rows = [
        ("guard of", image.spec),
        *_settings(image),
        ("actions", f"stage {image.stage}, {image.a_dtype.name.lower()}, of u in {image.u_dtype.name.lower()}"),
        ("time steps", str(image.steps) if image.steps > 1 else "all alike"),
        ("age", age),
        *(("told from", one.name) for one in image.candidates[1:]),
    ]
    table: list[tuple[str, ...]] = [("channel", "unit", "envelope", "margin", "agreement", "jump", "walk", "held by")]
    table += [_row(image, channel, d) for d, channel in enumerate(image.channels)]
    lines = [*_aligned(rows), "", *_aligned(table), "", *_sources(image.channels, SOURCES, lambda c: c.sources)]
    return "".join(f"{line}\n" for line in [*lines, *([] if image.watch is None else ["", *_watch(image.watch)])])


def banner_of_watch(image: GuardImage, watch: Watched) -> str:
    """Of what a watch checks alone; the same."""
    rows = [("watch of", image.spec), *_settings(image)]
    return "".join(f"{line}\n" for line in [*_aligned(rows), "", *_watch(watch)])


def _settings(image: GuardImage) -> Iterator[tuple[str, str]]:
    faults, steps = image.latch
    yield "digest", image.digest
    yield "built from", image.source
    yield "mode", MODES[image.mode]
    yield "latch", f"one hard fault, or {faults} soft ones within {steps} steps"


def _row(image: GuardImage, channel: Channel, d: int) -> tuple[str, ...]:
    def most(name: str) -> str:
        return _number(float(image.column(name)[:, d].max()))

    envelope = _range(float(image.column("low")[:, d].min()), float(image.column("high")[:, d].max()))
    commands = ", ".join(f"{value:g}" for value in channel.values)
    numbers = (commands or envelope, "" if commands else most("margin"), most("tolerance"), most("jump"), most("walk"))
    return channel.name, channel.unit, *numbers, "zero" if channel.relative else "the last"


def _watch(watch: Watched) -> Iterator[str]:
    kind = ("positions", "velocities")[watch.order]
    does = "writes a ramp to a stand" if watch.stops else "gives verdicts, and writes nothing"
    yield f"watch of {kind}: {does}; age {_number(watch.max_age)} s, dt {_number(watch.max_dt)} s ({watch.source})"
    table: list[tuple[str, ...]] = [("channel", "unit", "position", "velocity", "acceleration", "jerk")]
    for channel in watch.channels:
        rates = [_number(channel.limits[name]) for name in QUANTITIES[1:]]
        table.append((channel.name, channel.unit, _range(channel.limits["low"], channel.limits["high"]), *rates))
    yield from _aligned(table)
    yield ""
    yield from _sources(watch.channels, QUANTITIES, lambda channel: channel.sources)


def _sources(
    channels: Sequence[Channel | WatchedChannel],
    names: Iterable[str],
    of: Callable[[Channel | WatchedChannel], Mapping[str, str]],
) -> Iterator[str]:
    """Where limits are from, each source once, with the channels it is of unless it is of all."""
    rows = []
    for name in names:
        found: dict[str, list[str]] = {}
        for channel in channels:
            found.setdefault(of(channel)[name], []).append(channel.name)
        rows += [(name, "" if len(found) == 1 else ", ".join(whose), text) for text, whose in found.items()]
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "any"


def _range(low: float, high: float) -> str:
    return f"{low:.6g} to {high:.6g}" if math.isfinite(low) or math.isfinite(high) else "any"
