"""What a guard found, in words: the channel, the value, the limit, and where that limit is from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .image import QUANTITIES, GuardImage, Watched
from .status import Fault

Record = tuple[int, int, int, float, float]
"""Step, row, channel, value, limit."""
Place = tuple[str, str, str]
"""Name of the channel, unit of its numbers, source of the limit; empty where there is none."""

BOUNDED = {"envelope": "envelope", "gripper": "envelope", "jump": "jump", "walk": "walk", "mismatch": "tolerance"}
"""Faults of a channel of the action, and which of its sources says where their limit is from."""
PER = dict(zip(QUANTITIES, ("", "/s", "/s^2", "/s^3"), strict=True))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The latest occurrence of a fault.

    Attributes:
        fault: one of them.
        step: of the guard, from 1; 0 if it has not occurred.
        row: of the chunk, from 0.
        channel: by name; empty where the fault is of no channel.
        value, limit: what was found, and what is allowed, in `unit`; of a mismatch, what the spec makes of u.
        unit: empty where no file says it.
        source: where the limit is from.
    """

    fault: Fault
    step: int = 0
    row: int = 0
    channel: str = ""
    value: float = 0.0
    limit: float = 0.0
    unit: str = ""
    source: str = ""

    def __str__(self) -> str:
        if not self.step:
            return f"{self.fault.words}: {self.fault.meaning}"
        unit = f" {self.unit}" if self.unit else ""
        where = f"channel {self.channel}" if self.channel else "the call"
        found = f"{self.value:.9g}{unit}"
        if self.fault == Fault.NOT_FINITE:
            return f"not finite: {where} is {self.value} at step {self.step}"
        against = "the spec gives" if self.fault in (Fault.MISMATCH, Fault.GRIPPER) else "limit"
        row = f", row {self.row}" if self.row else ""
        said = f" ({self.source})" if self.source else ""
        return f"{self.fault.words}: {where} has {found}, {against} {self.limit:.9g}{unit}{said}; step {self.step}{row}"


def explanations(
    mask: int, record: Callable[[int], Record | None], place: Callable[[Fault, int], Place]
) -> Iterator[Explanation]:
    """One for each fault of a mask.

    Args:
        record: of a fault, by its bit.
        place: of a fault and the number of a channel.
    """
    for fault in Fault(mask):
        found = record(fault.value.bit_length() - 1)
        if found is None:
            yield Explanation(fault)
            continue
        step, row, d, value, limit = found
        name, unit, source = place(fault, d)
        yield Explanation(fault, step, row, name, value, limit, unit, source)


def of_gate(image: GuardImage, fault: Fault, d: int) -> Place:
    """Of an action."""
    kind = str(fault.name).lower()
    if kind in BOUNDED:
        channel = image.channels[d]
        return channel.name, channel.unit, channel.sources[BOUNDED[kind]]
    if fault == Fault.NOT_FINITE:
        return image.channels[d].name, "", ""
    return ("", "s", image.max_age_source) if fault == Fault.STALE else ("", "", "")


def of_watch(watch: Watched, fault: Fault, d: int) -> Place:
    """Of a command."""
    kind = str(fault.name).lower()
    if kind in QUANTITIES:
        channel = watch.channels[d]
        return channel.name, f"{channel.unit}{PER[kind]}" if channel.unit else "", channel.sources[kind]
    if fault == Fault.NOT_FINITE:
        return watch.channels[d].name, "", ""
    return ("", "s", watch.source) if fault in (Fault.STALE, Fault.PERIOD) else ("", "", "")
