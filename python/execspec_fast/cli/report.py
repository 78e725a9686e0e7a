"""An audit told to people, as text, and to programs, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..auditing.outcome import UNREAD, AuditReport, ExitCode, Row, strict
from ..auditing.units import ACTION_UNITS, GRIPPER
from ..errors import SEVERITIES, Finding
from .paper import Paper, columns, escape

ROWS = 20
"""Rows, and targets of a finding, that are printed before the rest is counted."""

COLOUR = {"error": "red", "warning": "yellow", "note": "cyan", "ok": "green", "FAIL": "red", "PASS": "green"}

HEADER = ("", "CHECKPOINT", "ECOSYSTEM", "KEYS", "INTENDED KEY", "RULES")
KEY = 80
"""Letters of a key that are printed."""

KEYS = 3
"""The column of numbers."""

NAMES = (60, 50, 42, 36, 32, 28, 25, 22, 19, 16, 13, 10)
"""Lengths names may have: the first at which the table is no wider than the paper."""


def as_json(value: Mapping[str, Any]) -> str:
    """Strict JSON, a stable order, one line feed at the end; numbers that JSON cannot say are null."""
    return json.dumps(strict(value), indent=1, allow_nan=False) + "\n"


def as_text(report: AuditReport, paper: Paper, *, everything: bool = False) -> str:
    """The whole report: what was seen, deployments, checkpoints, findings, what the numbers mean, the verdict.

    Args:
        everything: print all rows and targets, not the first `ROWS`.
    """
    limit = len(report.answers) + len(report.findings) + len(report.files) if everything else ROWS
    report = _brief(report, paper)
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


def _brief(report: AuditReport, paper: Paper) -> AuditReport:
    """The report with keys that fill the page cut to their two ends, wherever they occur."""
    found = {str(spec["key"]) for spec in report.specs} | {str(judged["key"]) for judged in report.deployments}
    short = {key: paper.ends(key, KEY) for key in found if len(key) > KEY}
    printed = {ascii(key)[1:-1] for key in short}
    short |= {key: paper.ends(key, KEY) for key in printed - set(short)}
    return replace(report, answers=_replaced(report.answers, short)) if short else report


def _replaced(value: Any, short: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for key, cut in short.items():
            value = value.replace(key, cut)
        return value
    if isinstance(value, dict):
        return {_replaced(name, short): _replaced(inner, short) for name, inner in value.items()}
    return type(value)(_replaced(inner, short) for inner in value) if isinstance(value, list | tuple) else value


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
            told = f"worst wrong key {worst['executed']} drifts {_held(worst, judged['max_drift'])}"
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
    """What a controller makes of the intended key, and what that takes for granted, if it is known."""
    if motion is None:
        return []
    told = [f"{motion['controller']}: {motion['text']}"]
    told += [f"assumes: {'; '.join(motion['caveats'])}"] if motion["caveats"] else []
    return [" " * indent + paper.wrap(escape(line), indent) for line in told]


def _drift(pair: Mapping[str, Any]) -> str:
    units = [(unit, value) for unit, value in pair["read"].items() if unit != GRIPPER]
    read = [f"{value:.3g}" + (f" {unit}" if unit != ACTION_UNITS else "") for unit, value in units]
    turned = pair["read"].get(GRIPPER, 0.0)
    return ", ".join([*read, f"gripper {100 * turned:.2g} %"] if turned else read)


def _held(pair: Mapping[str, Any], limit: float | Mapping[str, float] | None) -> str:
    """The drift, and the limit it is below, in the units of both."""
    read = _drift(pair)
    if isinstance(limit, Mapping):
        return f"{read}, below {_drift({'read': limit})}"
    if limit is None:
        return read
    own = f"{pair['mean']:.3g}"
    return f"{own if read == own else f'{own} ({read})'}, below {limit:.4g}"


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
        f"(a {paper.arrow} b), in {' or '.join(unit for unit in report.units if unit != GRIPPER)}; actions: "
        f"{', or '.join(report.samples)}. A wrong key is plausible if every channel's range is within 10x of the "
        "intended one's; where the intended key is unknown, all are tried."
    )
    if any(pair["controller"] for pair in report.pairs):
        text += (
            " Where a controller is named, drift is what it makes of an action in one step, after the client's ops and "
            "its own clip; a gripper's, the share of its way, is told apart."
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
