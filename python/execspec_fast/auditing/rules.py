"""The rules of an audit: one table of codes, and `diagnose`, which applies them to a checkpoint."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import Finding
from ..formats.published import Checkpoint, Published
from ..profiles import PROFILES
from . import health
from .symptoms import Subject, Symptom

Check = Callable[[Subject], Iterator[Symptom]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A code: its title in reports, and the checks on one key's figures that raise it.

    A code without checks is raised where more than one key is seen: by a reader, by a deployment, by `lookalikes`.
    A `loud` error is one that the ecosystem's own loader raises too when the key is asked for: where the checkpoint
    has other keys it is a warning.
    """

    title: str
    checks: tuple[Check, ...] = ()
    loud: bool = False


RULES = {
    "K1": Rule("key that does not resolve"),
    "K2": Rule("wrong key that would do harm"),
    "K3": Rule("un-normalizer that does nothing", (health.inert,)),
    "K4": Rule("names that are easily taken for each other"),
    "S1": Rule("statistics missing", (health.empty,)),
    "S2": Rule("placeholder statistics", (health.sentinel,)),
    "S3": Rule("zero or nearly zero range", (health.zero_range, health.near_zero_range)),
    "S4": Rule("outliers set the scale", (health.outliers,)),
    "S5": Rule(
        "impossible figures",
        (health.crossed, health.disordered, health.impossible_std, health.frozen_std, health.merged),
    ),
    "S6": Rule("shape that does not fit", (health.per_time_step, health.pooled)),
    "S7": Rule("mode without its statistics", (health.missing,), loud=True),
    "S8": Rule("figures that are not finite", (health.not_finite,)),
    "P1": Rule("not the specification that was pinned"),
    "P2": Rule("sources that disagree"),
    "C5": Rule("gripper that no file names"),
    "T1": Rule("un-normalizer that no file names"),
    "T4": Rule("mask that is not used"),
}
"""Every code an audit can raise."""

SHOWN = 3
"""Keys a message names before it counts the rest; the evidence has all."""

Case = tuple[Published, Symptom]


def diagnose(checkpoint: Checkpoint) -> list[Finding]:
    """The reader's findings, then those of every rule on the keys a loader would find.

    Keys that show the same symptom share one finding, on the checkpoint, with the figures of each in its evidence.
    """
    cases: dict[tuple[str, str, str], list[Case]] = {}
    for published in checkpoint.keys:
        profile = PROFILES.get(published.profile.value or "")
        subject = Subject(published.stats, profile, published.conventions.gripper.value or ())
        for code, symptom in _symptoms(subject):
            cases.setdefault((code, symptom.severity, symptom.headline), []).append((published, symptom))
    own = [_finding(checkpoint, code, alike) for (code, _, _), alike in cases.items()]
    return [*checkpoint.findings, *own, *lookalikes(checkpoint)]


def _symptoms(subject: Subject) -> Iterator[tuple[str, Symptom]]:
    """What every rule sees. Figures may be huge or not finite: what overflows is compared as it is, without a word."""
    for code, rule in RULES.items():
        for check in rule.checks:
            with np.errstate(all="ignore"):
                symptoms = list(check(subject))
            yield from ((code, symptom) for symptom in symptoms)


def _finding(checkpoint: Checkpoint, code: str, cases: list[Case]) -> Finding:
    (first, symptom), *rest = cases
    if rest:
        places = [
            f"{_shown(published.key)}: {_place(*case)}".rstrip(": ") for case in cases[:SHOWN] for published in case[:1]
        ]
        more = f"; and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
        message = f"{symptom.headline}, on {len(cases)} keys ({'; '.join(places)}{more})"
    else:
        place = _place(first, symptom)
        message = f"{symptom.headline} ({place})" if place else symptom.headline
    spared = RULES[code].loud and len(cases) < len(checkpoint.keys)
    return Finding(
        code,
        "warning" if spared else symptom.severity,
        checkpoint.path if rest else f"{checkpoint.path}#{first.key}",
        str(first.sources.get("stats", "")),
        message,
        {"keys": {published.key: {"channels": list(s.channels), **s.evidence} for published, s in cases}},
        symptom.fix,
    )


def _place(published: Published, symptom: Symptom) -> str:
    names = published.conventions.names.value
    channels = ""
    if symptom.channels:
        channels = f"channel{'s' * (len(symptom.channels) > 1)} {spans(symptom.channels)}"
        if names and len(symptom.channels) == 1:
            channels += f" {names[symptom.channels[0]]}"
    return ", ".join(part for part in (channels, symptom.numbers) if part)


def spans(channels: Iterable[int]) -> str:
    """Sorted channel numbers as ranges: `0, 7-21, 34`."""
    runs: list[list[int]] = []
    for channel in channels:
        if runs and channel == runs[-1][1] + 1:
            runs[-1][1] = channel
        else:
            runs.append([channel, channel])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


LOOKALIKES = str.maketrans("аеорсухіјѕԁɡοаνі", "aeopcyxijsdgoavi")
"""Letters of other alphabets that print as Latin ones, the usual suspects of UTS #39."""


def skeleton(name: str) -> str:
    """What a reader takes a name for: no case, no separators, no invisible characters, look-alikes in Latin."""
    plain = unicodedata.normalize("NFKC", name).casefold().translate(LOOKALIKES)
    return "".join(c for c in plain if c.isalnum())


def _misleads(name: str) -> bool:
    """Whether a name is empty, begins or ends in a space, does not print, or mixes alphabets that look alike."""
    mixed = name != name.translate(LOOKALIKES) and any(c.isascii() and c.isalpha() for c in name)
    return not name or name != name.strip() or not name.isprintable() or mixed


def _shown(key: str) -> str:
    return ascii(key) if _misleads(key) else key


def lookalikes(checkpoint: Checkpoint) -> Iterator[Finding]:
    """K4: keys of one checkpoint that a person takes for each other, and keys that do not print as they are."""
    alike: dict[str, list[str]] = {}
    for published in checkpoint.keys:
        alike.setdefault(skeleton(published.key), []).append(published.key)
    for keys in alike.values():
        if len(keys) > 1:
            yield Finding(
                "K4",
                "error",
                checkpoint.path,
                "",
                f"keys that read the same: {', '.join(map(ascii, keys))}",
                {"keys": keys},
                "Rename or remove all but one.",
            )
        elif _misleads(keys[0]):
            yield Finding(
                "K4",
                "error",
                f"{checkpoint.path}#{keys[0]}",
                "",
                f"key is not what it looks like: {keys[0]!a}",
                {"keys": keys},
                "Rename the key.",
            )
