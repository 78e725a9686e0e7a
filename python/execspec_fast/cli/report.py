"""An audit told to people, as text, and to programs, as JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..auditing.outcome import UNREAD, AuditReport, ExitCode, Row
from ..auditing.units import ACTION_UNITS
from ..errors import SEVERITIES, Finding
from .paper import Paper, columns, escape

ROWS = 20
"""Rows, and targets of a finding, that are printed before the rest is counted."""

COLOUR = {"error": "red", "warning": "yellow", "note": "cyan", "ok": "green", "FAIL": "red", "PASS": "green"}

HEADER = ("", "CHECKPOINT", "ECOSYSTEM", "KEYS", "INTENDED KEY", "RULES")
KEYS = 3
"""The column of numbers."""

NAMES = (60, 50, 42, 36, 32, 28, 25, 22, 19, 16, 13, 10)
"""Lengths names may have: the first at which the table is no wider than the paper."""


def as_json(value: Mapping[str, Any]) -> str:
    """Strict JSON, a stable order, one line feed at the end; numbers that JSON cannot say are null."""
    return json.dumps(_finite(value), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(report: AuditReport, paper: Paper, *, everything: bool = False) -> str:
    """The whole report: what was seen, deployments, checkpoints, findings, what the numbers mean, the verdict.

    Args:
        everything: print all rows and targets, not the first `ROWS`.
    """
    limit = len(report.answers) if everything else ROWS
    parts = [
        paper.wrap(_seen(report), 0),
        _deployments(report, paper),
        _table(report.rows, paper, limit),
        _findings(report.findings, paper, limit),
        _unread(report, paper, limit),
        _meaning(report, paper),
        verdict(report, paper),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _seen(report: AuditReport) -> str:
    checkpoints = _count(sum(len(row.targets) for row in report.rows), "checkpoint")
    keys = _count(sum(not spec["shadowed"] for spec in report.specs), "key")
    files = _count(len(report.files), "file")
    statuses = Counter(file["status"] for file in report.files).most_common()
    told = ", ".join(f"{count:,} {status}" for status, count in statuses) or "none"
    return f"{escape(report.target)}: {checkpoints}, {keys} that can run, {files} ({told})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _deployments(report: AuditReport, paper: Paper) -> str:
    lines = []
    for judged in report.deployments:
        word, worst = str(judged["verdict"]), (judged["siblings"] or {}).get("worst")
        beyond = (judged["siblings"] or {}).get("implausible", 0)
        told = "no plausible wrong key" + (f", {beyond:,} implausible" if beyond else "")
        told = "; ".join(judged["reasons"]) or told
        if worst and not judged["reasons"]:
            limit = "" if judged["max_drift"] is None else f", below {judged['max_drift']:.4g}"
            told = f"worst wrong key {worst['executed']} drifts {_both(worst)}{limit}"
        line = escape(f"{judged['name']}  {judged['checkpoint']}#{judged['key']}: {told}")
        lines.append(f"{paper.paint(word, COLOUR[word])}  {paper.wrap(line, 6)}")
        lines += _motion(judged["motion"], paper, 6)
    return "\n".join([paper.paint("DEPLOYMENTS", "bold"), *lines]) if lines else ""


def _table(rows: Sequence[Row], paper: Paper, limit: int) -> str:
    """A line per checkpoint; below it the nearest and the worst plausible wrong key, and how the only key moves."""
    if not rows:
        return ""
    shown = rows[:limit]
    for length in NAMES:
        header, *lines = columns([HEADER, *(_cells(row, paper, length) for row in shown)], right=(KEYS,))
        if len(header) <= paper.width:
            break
    wrong = [list(_wrong_keys(row, paper)) for row in shown]
    aligned = iter(columns([cells for keys in wrong for cells in keys], right=(1,)))
    text = [paper.paint(header.rstrip(), "bold")]
    for row, line, keys in zip(shown, lines, wrong, strict=True):
        word = row.severity or "ok"
        text.append(paper.paint(word, COLOUR[word]) + line[len(word) :].rstrip())
        text += [f"{'':9}{next(aligned)}".rstrip() for _ in keys]
        text += _motion(row.motion, paper, 9)
    if len(rows) > len(shown):
        text.append(f"and {_count(len(rows) - len(shown), 'more row')} (--all shows them)")
    return "\n".join(text)


def _cells(row: Row, paper: Paper, length: int) -> tuple[str, ...]:
    several = f" x{len(row.targets)}" if len(row.targets) > 1 else ""
    intended = "unknown" if row.keys else "-"
    if row.intended is not None:
        intended = f"{paper.head(escape(row.intended), length)} ({paper.head(escape(row.bound_by), length)})"
    return (
        f"{row.severity or 'ok':7}",
        paper.tail(escape(row.repos[0] if row.repos else row.targets[0]), length * 3 // 2) + several,
        row.ecosystem or "-",
        f"{row.keys}+{row.shadowed}" if row.shadowed else str(row.keys),
        intended,
        " ".join(row.codes),
    )


def _wrong_keys(row: Row, paper: Paper) -> Iterator[tuple[str, str, str]]:
    """Which, drift, and names of the nearest and the worst plausible wrong key; one line if there is only one."""
    found = row.siblings or {"plausible": 0, "unranked": 0}
    what = "wrong key" if row.intended is not None else "pair"
    if found["plausible"] > 1:
        yield f"nearest of {_count(found['plausible'], what)}", _drift(found["nearest"]), _pair(found["nearest"], paper)
    if found["plausible"]:
        which = "worst" if found["plausible"] > 1 else "only"
        yield f"{which} {what}", _drift(found["worst"]), _pair(found["worst"], paper)
    if found["unranked"]:
        yield _count(found["unranked"], "pair"), "-", "too many keys to rank them"


def _motion(motion: Mapping[str, Any] | None, paper: Paper, indent: int) -> list[str]:
    """What a controller makes of the intended key, a line if that is known."""
    if motion is None:
        return []
    return [" " * indent + paper.wrap(escape(f"{motion['controller']}: {motion['text']}"), indent)]


def _drift(pair: Mapping[str, Any]) -> str:
    read = [f"{value:.3g}" + (f" {unit}" if unit != ACTION_UNITS else "") for unit, value in pair["read"].items()]
    return ", ".join(read)


def _both(pair: Mapping[str, Any]) -> str:
    """The drift in the unit of `max_drift`, and in physical units where a controller gives them."""
    own, read = f"{pair['mean']:.3g}", _drift(pair)
    return own if read == own else f"{own} ({read})"


def _pair(pair: Mapping[str, Any], paper: Paper) -> str:
    lost = " (shadowed)" if pair["shadowed"] else ""
    return f"{escape(pair['intended'])} {paper.arrow} {escape(pair['executed'])}{lost}"


def _findings(findings: Sequence[Finding], paper: Paper, limit: int) -> str:
    """What is wrong once, with the targets it is wrong with; their own numbers where those differ."""
    alike: dict[tuple[str, str, str, str], list[Finding]] = {}
    for finding in findings:
        headline = finding.message.partition(" (")[0]
        alike.setdefault((finding.severity, finding.code, headline, finding.fix), []).append(finding)
    blocks = []
    for (severity, code, headline, fix), group in list(alike.items())[:limit]:
        same = len({finding.message for finding in group}) == 1
        lines = [paper.wrap(escape(f"{group[0].message if same else headline}."), 12)]
        if severity != "note":
            lines.append(paper.wrap(f"Fix: {escape(fix)}", 12))
        targets = [finding.target + ("" if same else finding.message.removeprefix(headline)) for finding in group]
        more = f", and {len(targets) - limit} more" if len(targets) > limit else ""
        lines.append(paper.paint(paper.wrap(", ".join(map(escape, targets[:limit])) + more, 12), "dim"))
        blocks.append(f"{paper.paint(f'{severity:7}', COLOUR[severity])}  {code:2} " + ("\n" + " " * 12).join(lines))
    if len(alike) > limit:
        blocks.append(f"and {_count(len(alike) - limit, 'more kind')} of finding (--all shows them)")
    return "\n".join([paper.paint("FINDINGS", "bold"), *blocks]) if blocks else ""


def _unread(report: AuditReport, paper: Paper, limit: int) -> str:
    files = [file for file in report.files if file["status"].startswith(UNREAD)]
    told = [f"{file['path']}: {file['status']}" + (f" ({file['detail']})" if file["detail"] else "") for file in files]
    lines = ["  " + paper.wrap(escape(line), 2) for line in told[:limit]]
    rest = [f"  and {len(told) - limit} more (--all shows them)"] if len(told) > limit else []
    return "\n".join([paper.paint("NOT READ", "bold"), *lines, *rest]) if lines else ""


def _meaning(report: AuditReport, paper: Paper) -> str:
    """What drifts and motions are of, in which unit, and over which actions."""
    if not report.pairs:
        actions = f"Motion: of the intended key, over actions: {', or '.join(report.samples)}."
        return paper.paint(paper.wrap(actions, 0), "dim") if report.motions else ""
    text = (
        "Drift: mean |b - a| per action over the channels that are no gripper, where b is executed and a was meant "
        f"(a {paper.arrow} b), in {' or '.join(report.units)}; actions: {', or '.join(report.samples)}. A wrong key is "
        "plausible if every channel's range is within 10x of the intended one's; where the intended key is unknown, "
        "all are tried."
    )
    found = [row.siblings for row in report.rows if row.siblings]
    others = sum(each["implausible"] + each["other_width"] for each in found)
    if others:
        text += f" Not ranked: {_count(others, 'implausible pair')}."
    if any(row.shadowed for row in report.rows):
        text += " Shadowed (KEYS n+m): in a file that the loader does not read."
    if report.motions:
        text += " Motion: of the intended key, over the same actions."
    return paper.paint(paper.wrap(text, 0), "dim")


def verdict(report: AuditReport, paper: Paper) -> str:
    counts = [(severity, sum(f.severity == severity for f in report.findings)) for severity in SEVERITIES]
    told = ", ".join(_count(number, severity) for severity, number in counts if number) or "no findings"
    word, colour = {
        ExitCode.OK: ("NOT GATED", "yellow")
        if any(f.severity == "error" for f in report.findings)
        else ("PASS", "green"),
        ExitCode.FINDINGS: ("FAIL", "red"),
        ExitCode.INCOMPLETE: ("INCOMPLETE: files that could not be read", "yellow"),
        ExitCode.NOTHING: ("NOTHING TO AUDIT", "yellow"),
    }[report.exit_code]
    return f"{paper.paint(word, colour)}: {told} (exit {int(report.exit_code)})"
