"""One specification, or one pair of them, told to people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..auditing.candidates import Candidate
from ..auditing.siblings import ends
from ..auditing.units import ACTION_UNITS, Units
from ..drift import Drift
from ..ops import describe
from ..spec import ExecSpec
from .paper import Paper, columns, escape


def spec_text(spec: ExecSpec, others: Sequence[Candidate], paper: Paper) -> str:
    """Where a spec comes from, what else its files fit, its map channel by channel, and what it is known to mean."""
    fact = spec.profile_fact
    head = [
        ("ecosystem", spec.ecosystem),
        ("profile", f"{spec.profile} ({fact.status}: {fact.why})"),
        *(
            (f"or {one.profile}", one.reason or f"drift {_number(one.mean)}, {one.share:.2g} of the range")
            for one in others
        ),
        ("domain of u", spec.domain.name),
        *((f"{name} from", str(source)) for name, source in spec.sources.items()),
        ("digest", spec.digest),
    ]
    scale, offset = spec.unnormalizer.scale_offset()
    low, high = ends(spec)
    table: list[tuple[str, ...]] = [("CHANNEL", "a = scale u", "+ offset", "a(u=-1)", "a(u=1)", "OPS")]
    table += [
        (escape(name), *map(_number, (scale[d], offset[d], low[d], high[d])), ops)
        for d, (name, ops) in enumerate(zip(spec.channels, describe(spec.table()), strict=True))
    ]
    facts = [
        (name, _fact(fact["value"]), fact["status"] if fact["status"] != "unknown" else "", fact["why"])
        for name, fact in spec.conventions.to_dict().items()
    ]
    return "\n".join(
        [
            paper.paint(escape(spec.name), "bold"),
            *_lines([(f"  {name}", escape(text)) for name, text in head]),
            "",
            *_lines(table, right=(1, 2, 3, 4)),
            "",
            *_lines([("CONVENTION", "VALUE", "KNOWN BY", ""), *[tuple(map(escape, row)) for row in facts]]),
            "",
        ]
    )


def drift_text(intended: ExecSpec, executed: ExecSpec, drift: Drift, units: Units, paper: Paper) -> str:
    """What executing one spec in place of another does to every channel, and on average."""
    table: list[tuple[str, ...]] = [("CHANNEL", "MEAN |D|", "BIAS", "RMS", "MAX", "WORST CASE", "UNIT", "")]
    for d, name in enumerate(intended.channels):
        unit, factor = (units.names[d], units.factor[d]) if units.names[d] else (ACTION_UNITS, 1.0)
        figures = (drift.mean_abs, drift.bias, drift.rms, drift.max, drift.worst_case)
        counted = "" if d in drift.channels_used else "not in the mean"
        table.append((escape(name), *(_number(figure[d] * factor) for figure in figures), unit, counted))
    low, high = drift.mean_l2_interval
    l2 = _number(drift.mean_l2) if math.isfinite(drift.mean_l2) else f"between {_number(low)} and {_number(high)}"
    read = [f"{_number(value)} {unit}" for unit, value in units.read(drift.mean_abs, drift.channels_used).items()]
    summary = [
        ("mean |d|", ", ".join(read)),
        ("mean L2", f"{l2} {ACTION_UNITS}"),
        ("actions", drift.sample),
        *(("assumes", text) for text in drift.assumes),
        *([("reason", drift.reason)] if drift.reason else []),
    ]
    return "\n".join(
        [
            f"intended  {paper.paint(escape(intended.name), 'bold')}  {intended.profile}  {intended.digest[:12]}",
            f"executed  {paper.paint(escape(executed.name), 'bold')}  {executed.profile}  {executed.digest[:12]}",
            "",
            *_lines(table, right=range(1, 6)),
            "",
            *(f"{name:10}{paper.wrap(escape(text), 10)}" for name, text in summary),
            "",
        ]
    )


def _lines(rows: list[tuple[str, ...]], right: range | tuple[int, ...] = ()) -> list[str]:
    return [line.rstrip() for line in columns(rows, right=tuple(right))]


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "-" if math.isnan(value) else "unbounded"


def _fact(value: object) -> str:
    if value is None:
        return "unknown"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
