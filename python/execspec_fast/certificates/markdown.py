"""A certificate for people: Markdown fit for a model card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from .wire import PAIR

COLUMNS = ("channel", "executed = scale · intended + offset", "mean", "mean, from figures alone", "max", "worst case")


def text(contents: Mapping[str, Any], digest: str) -> str:
    """The certificate of these contents and digest in Markdown; names from foreign files are escaped."""
    parts = (_head(contents, digest), _specs(contents), _robot(contents), _drift(contents), _grounds(contents))
    return "\n".join([*chain.from_iterable(parts), ""])


def _head(c: Mapping[str, Any], digest: str) -> Iterator[str]:
    yield "## Executable policy specification certificate"
    yield ""
    yield f"**Verdict: {c['verdict']['name']}.** {_sentence(c['verdict']['reasons'])}"
    yield ""
    yield f"> {c['scope']}"
    yield ""
    yield f"Valid from {c['issued']} to {c['expires']}. Issued by {c['tool']['name']} {_plain(c['tool']['version'])}."
    yield f"Digest `{digest}`, semantic digest `{c['semantic_digest']}`."
    yield ""


def _specs(c: Mapping[str, Any]) -> Iterator[str]:
    executed = [(f"executed {n}", each["executed"]) for n, each in enumerate(c["comparisons"], 1)]
    if c["against"] == PAIR:
        executed = [("executed", c["comparisons"][0]["executed"])]
    specs = [("intended", c["intended"]), *executed]
    yield from _table(
        ("", "specification", "un-normalizer", "digest"),
        [(role, s["name"], _known(s["profile"]), s["digest"][:12]) for role, s in specs],
    )
    files = dict.fromkeys(
        (s["path"], source["file"], source["sha256"]) for _, s in specs for source in s["sources"].values()
    )
    yield from _table(("checkpoint", "file", "sha256"), list(files))


def _robot(c: Mapping[str, Any]) -> Iterator[str]:
    """The controller, what it makes of every spec, and whose word says what."""
    controller = c.get("controller")
    if not controller:
        return
    origin = f", sha256 `{controller['sha256']}`" if controller["sha256"] else ""
    yield f"### On the controller {_plain(controller['name'])}"
    yield ""
    yield f"Its data are from {_plain(controller['source'])}{origin}."
    yield ""
    runs = [(each["executed"]["key"], each["deployment"]) for each in c["comparisons"]]
    sides = [(c["intended"]["key"], c["deployment"]), *runs]
    yield from _table(
        ("key", "client ops", "what the robot does"),
        [(key, _ops(side["client"]), side["motion"]["text"]) for key, side in sides],
    )
    told = [
        (row["code"], row["convention"], _whence(row["policy"]), _whence(row["controller"]), row["outcome"])
        for row in c["deployment"]["agreement"]
        if row["outcome"] != "absent"
    ]
    yield from _table(("", "convention", "policy", "controller", ""), told)
    yield from _list([*(row["message"] for row in c["deployment"]["agreement"] if row["message"]),
                      *c["deployment"]["motion"]["caveats"], *c["deployment"]["motion"]["assumes"]])  # fmt: skip


def _ops(client: Sequence[str] | None) -> str:
    """Those of the channels that have any."""
    does = {d: [op for op in ops.split(" | ") if op != "identity"] for d, ops in enumerate(client or ())}
    return "; ".join(f"channel {d}: {', then '.join(ops)}" for d, ops in does.items() if ops) or "none"


def _drift(c: Mapping[str, Any]) -> Iterator[str]:
    for n, each in enumerate(c["comparisons"], 1):
        nearest = " (nearest)" if c["nearest"] == n - 1 and len(c["comparisons"]) > 1 else ""
        verdict = each["verdict"]
        yield f"### {_plain(each['executed']['key'])} executed for {_plain(c['intended']['key'])}{nearest}"
        yield ""
        yield f"{verdict['name'].capitalize()}: {_sentence(verdict['reasons'])}"
        yield ""
        saturated = c["limits"] is not None or bool(c.get("controller"))
        rows = [
            [
                channel["name"] + (f", {channel['unit']}" if channel.get("unit") else ""),
                "none" if channel["scale"] is None else f"{channel['scale']:.6g}, {channel['offset']:.6g}",
                _number(channel["mean_abs"]),
                f"{_number(channel['mean_abs_low'])} to {_number(channel['mean_abs_high'])}",
                _number(channel["max"]),
                _number(channel["worst_case"]),
                *([" and ".join(map(_percent, channel["saturation"]))] if saturated else []),
            ]
            for channel in each["channels"]
        ]
        yield from _table([*COLUMNS, *(["outside limits, intended and executed"] if saturated else [])], rows)
        low, high = each["mean_l2_interval"]
        l2 = _number(each["mean_l2"]) if each["mean_l2"] is not None else f"{_number(low)} to {_number(high)}"
        read = "".join(f"{_number(value)} {unit}, " for unit, value in (each.get("read") or {}).items())
        per = f"{read.removesuffix(', ')} per step; in controller units " if read else ""
        yield f"Mean |drift| {per}{_number(each['mean'])}, mean L2 {l2}, over channels {each['channels_used']}."
        yield ""
        notes = [
            f"channel {channel['name']}, {field}: {why}"
            for channel in each["channels"]
            for field, why in channel["undefined"].items()
        ]
        yield from _list([*notes, *each["conflicts"]])


def _grounds(c: Mapping[str, Any]) -> Iterator[str]:
    policy = c["policy"]
    yield "### What this rests on"
    yield ""
    assumed = ((*each["assumes"], *each["bounds_assume"]) for each in c["comparisons"])
    yield from _list([sentence for sentences in assumed for sentence in sentences])
    yield f"Actions: {_plain(c['sample']['description'])} (sha256 `{c['sample']['sha256']}`)."
    yield f"Computed {c['method']}."
    yield (
        f"Policy: drift up to {policy['eps_equivalent']:g} in every channel counts as none; where the domain of u "
        f"bounds nothing, {'the sample decides' if policy['sample_if_unbounded'] else 'specs are not equivalent'}; "
        f"conventions that must be known: {', '.join(policy['required']) or 'none'}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    yield from ("| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows)
    yield ""


def _list(sentences: Sequence[str]) -> Iterator[str]:
    yield from (f"- {_plain(sentence)}" for sentence in dict.fromkeys(sentences))
    yield from [""] * bool(sentences)


def _known(fact: Mapping[str, Any]) -> str:
    return "unknown" if fact["status"] == "unknown" else f"{fact['value']} ({fact['status']})"


def _whence(fact: Mapping[str, Any]) -> str:
    """A fact with the place, or the rule, that it is known by."""
    return _known(fact).removesuffix(")") + (f": {fact['why']})" if fact["status"] != "unknown" else "")


def _sentence(reasons: Sequence[str]) -> str:
    return _plain("; ".join(reasons)) + "."


def _number(x: float | None) -> str:
    return "–" if x is None else f"{x:.6g}"


def _percent(x: float | None) -> str:
    return "–" if x is None else f"{100 * x:.3g} %"


def _plain(words: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(words))
    escaped = re.sub(r"([\\`*_\[\]|~#!])", r"\\\1", printable)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
