"""A certificate for people: Markdown fit for a model card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .wire import PAIR

COLUMNS = ("channel", "executed = scale · intended + offset", "mean", "mean, from figures alone", "max", "worst case")


def text(contents: Mapping[str, Any], digest: str) -> str:
    """The certificate of these contents and digest in Markdown; names from foreign files are escaped."""
    return "\n".join([*_head(contents, digest), *_specs(contents), *_drift(contents), *_grounds(contents), ""])


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


def _drift(c: Mapping[str, Any]) -> Iterator[str]:
    for n, each in enumerate(c["comparisons"], 1):
        nearest = " (nearest)" if c["nearest"] == n - 1 and len(c["comparisons"]) > 1 else ""
        verdict = each["verdict"]
        yield f"### {_plain(each['executed']['key'])} executed for {_plain(c['intended']['key'])}{nearest}"
        yield ""
        yield f"{verdict['name'].capitalize()}: {_sentence(verdict['reasons'])}"
        yield ""
        saturated = c["limits"] is not None
        rows = [
            [
                channel["name"],
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
        yield f"Mean |drift| {_number(each['mean'])}, mean L2 {l2}, over channels {each['channels_used']}."
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
    return f"{fact['value']} ({fact['status']})"


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
