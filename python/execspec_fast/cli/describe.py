"""One specification, told to people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..auditing.candidates import Candidate
from ..inference import ends
from ..ops import describe
from ..spec import ExecSpec
from .paper import Paper, columns, escape


def spec_text(spec: ExecSpec, others: Sequence[Candidate], paper: Paper) -> str:
    """Where a spec comes from, what else its files fit, its map channel by channel, and what it is known to mean."""
    fact = spec.profile_fact
    head = [
        ("ecosystem", spec.ecosystem),
        ("profile", f"{spec.profile} ({fact.status}: {fact.why})"),
        *((f"or {one.profile}", str(one)) for one in others),
        ("domain of u", spec.domain.name),
        *((f"{name} from", str(source)) for name, source in spec.sources.items()),
        ("digest", spec.digest),
    ]
    scale, offset = spec.unnormalizer.scale_offset()
    low, high = ends(spec)
    table: list[tuple[str, ...]] = [("CHANNEL", "a = scale u", "+ offset", "a(u=-1)", "a(u=1)", "OPS")]
    table += [
        (escape(name), *map(number, (scale[d], offset[d], low[d], high[d])), ops)
        for d, (name, ops) in enumerate(zip(spec.channels, describe(spec.table()), strict=True))
    ]
    facts = [
        (name, _fact(fact["value"]), fact["status"] if fact["status"] != "unknown" else "", fact["why"])
        for name, fact in spec.conventions.to_dict().items()
    ]
    return "\n".join(
        [
            paper.paint(escape(spec.name), "bold"),
            *lines([(f"  {name}", escape(text)) for name, text in head]),
            "",
            *lines(table, right=(1, 2, 3, 4)),
            "",
            *lines([("CONVENTION", "VALUE", "KNOWN BY", ""), *[tuple(map(escape, row)) for row in facts]]),
            "",
        ]
    )


def lines(rows: list[tuple[str, ...]], right: range | tuple[int, ...] = ()) -> list[str]:
    return [line.rstrip() for line in columns(rows, right=tuple(right))]


def number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "-" if math.isnan(value) else "unbounded"


def _fact(value: object) -> str:
    if value is None:
        return "unknown"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
