"""One row of the table: a work, what it took beside a peer or a physical limit, and what it must reach.

The two are timed in turn, round by round, so that a busy minute hits both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

Call = Callable[[], Any]


@dataclass(frozen=True)
class Target:
    """`must` and `aim` bound the value from above (`sign` "<=") or below (">="); None bounds nothing."""

    sign: str
    must: float | None
    aim: float | None = None
    unit: str = "x"

    def met(self, value: float) -> bool:
        return self.must is None or (value <= self.must if self.sign == "<=" else value >= self.must)


def at_most(must: float, aim: float | None = None, unit: str = "x") -> Target:
    return Target("<=", must, aim, unit)


def at_least(must: float, aim: float | None = None, unit: str = "x") -> Target:
    return Target(">=", must, aim, unit)


def reported(unit: str = "x", sign: str = "<=") -> Target:
    return Target(sign, None, None, unit)


def row(benchmark: Any, work: str, measured: str, value: float, target: Target) -> None:
    """Keep one row in the benchmark's `extra_info`, from where `table.py` prints it."""
    bounds = {"sign": target.sign, "must": target.must, "aim": target.aim, "unit": target.unit}
    fields = {"work": work, "measured": measured, "value": value, "met": target.met(value), **bounds}
    benchmark.extra_info.setdefault("rows", []).append(fields)


def beside(
    benchmark: Any,
    work: str,
    ours: Call,
    peer_name: str,
    peer: Call,
    target: Target,
    *,
    rounds: int = 5,
    whole: float = 1,
) -> None:
    """Time `ours` and `peer`; the value is ours / peer where it must be small, peer / ours where it must be large.

    Args:
        whole: how many times what `peer` does goes into the whole work; its time is extrapolated linearly.
    """
    times: list[float] = []

    def setup() -> None:
        start = time.perf_counter()
        peer()
        times.append(time.perf_counter() - start)

    benchmark.pedantic(ours, setup=setup, rounds=rounds, warmup_rounds=1)
    if benchmark.stats is None:  # --benchmark-disable: answers only
        return
    took, theirs = benchmark.stats.stats.median, median(times[1:]) * whole
    measured = f"{seconds(took)} beside {seconds(theirs)} of {peer_name}"
    row(benchmark, work, measured, took / theirs if target.sign == "<=" else theirs / took, target)


def timed(call: Call, rounds: int = 3) -> float:
    """Median seconds, without a benchmark of its own; call once before for warm caches."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def seconds(t: float) -> str:
    """Three digits: `12.3 ms`, `4.57 s`, `1,940 s`."""
    return f"{t * 1e3:.3g} ms" if t < 1 else f"{t:.3g} s" if t < 1000 else f"{t:,.0f} s"
