"""The verdict on one deployment: may this checkpoint run on that robot, with that key?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..agreement import Agreement, findings
from ..errors import ExecSpecError, Finding, Severity
from ..formats.published import Checkpoint, Published
from ..spec import ExecSpec
from .config import Entry
from .question import Question
from .rules import skeleton
from .units import ACTION_UNITS


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong with a deployment, as a `Finding` has it; an error is a reason not to deploy."""

    code: str
    message: str
    fix: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a deployment; it passes if no remark is an error.

    Attributes:
        path: of its checkpoint, as reports name it.
        profile, digest: of the spec that runs, None if none can.
        siblings: the wrong keys, as `Siblings.to_dict`.
        motion: what the robot does, as `Question.motion`; None if no controller is named, or none that can be meant.
        agreement: C1 to C9, if the deployment itself names a controller.
    """

    entry: Entry
    path: str
    remarks: tuple[Remark, ...] = ()
    profile: str | None = None
    digest: str | None = None
    siblings: Mapping[str, Any] | None = None
    motion: Mapping[str, Any] | None = None
    agreement: tuple[Agreement, ...] = ()

    def findings(self) -> list[Finding]:
        """One per remark."""
        name, target, where = self.entry.name, f"{self.path}#{self.entry.key}", self.entry.where
        return [
            Finding(r.code, r.severity, target, where, f"deployment {name}: {r.message}", r.evidence, r.fix)
            for r in self.remarks
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        reasons = [remark.message for remark in self.remarks if remark.severity == "error"]
        return {
            "name": self.entry.name,
            "verdict": "FAIL" if reasons else "PASS",
            "reasons": reasons,
            "checkpoint": self.path,
            "key": self.entry.key,
            "profile": self.profile,
            "digest": self.digest,
            "max_drift": self.entry.max_drift,
            "siblings": self.siblings,
            "motion": self.motion,
            "agreement": [row.to_dict() for row in self.agreement],
        }


def judge(entry: Entry, checkpoint: Checkpoint, question: Question) -> Verdict:
    """Judge a deployment from this checkpoint.

    It passes if its key resolves and can run, its digest is the pinned one, the worst plausible wrong key of the same
    checkpoint drifts by less than `max_drift`, and nothing that is declared of its action differs from what is declared
    of its controller.
    """
    published = {each.key: each for each in reversed(checkpoint.keys)}.get(entry.key)
    if published is None:
        return Verdict(entry, checkpoint.path, (_unresolved(checkpoint, entry.key),))
    try:
        spec = _run(entry, checkpoint, published)
    except ExecSpecError as error:
        failure = Remark("S7", str(error), "Name a profile that this checkpoint has the figures for.")
        return Verdict(entry, checkpoint.path, (failure,))
    loaded = [spec, *_runnable(entry, checkpoint, (each for each in checkpoint.keys if each is not published))]
    shadowed = _runnable(entry, checkpoint, checkpoint.shadowed)
    limits = entry.max_drift if isinstance(entry.max_drift, Mapping) else None
    siblings = question.siblings(loaded, shadowed, [spec], limits)
    agreement = question.agreement(spec) if entry.controller else ()
    remarks = (
        *_failures(entry, spec, siblings),
        *(Remark(f.code, f.message, f.fix, f.evidence, f.severity) for f in findings(agreement, spec.name)),
    )
    return Verdict(
        entry, checkpoint.path, remarks, spec.profile, spec.digest, siblings, question.motion(spec), agreement
    )


def lost(entry: Entry, why: str) -> Verdict:
    """The verdict on a deployment whose checkpoint is not there."""
    failure = Remark("K1", why, "Name the folder that holds the checkpoint.")
    return Verdict(entry, str(entry.checkpoint), (failure,))


def _run(entry: Entry, checkpoint: Checkpoint, published: Published) -> ExecSpec:
    return ExecSpec.from_published(published, checkpoint.path, checkpoint.ecosystem, entry.profile)


def _runnable(entry: Entry, checkpoint: Checkpoint, keys: Iterable[Published]) -> list[ExecSpec]:
    """Those keys that the deployment's un-normalizer could run by mistake."""
    specs = []
    for published in keys:
        try:
            specs.append(_run(entry, checkpoint, published))
        except ExecSpecError:
            continue
    return specs


def _unresolved(checkpoint: Checkpoint, key: str) -> Remark:
    import difflib

    keys = [published.key for published in checkpoint.keys]
    alike = [other for other in keys if skeleton(other) == skeleton(key)]
    near = alike or difflib.get_close_matches(key, keys, n=3)
    lost = any(published.key == key for published in checkpoint.shadowed)
    where = ", though a file that the loader does not read here has it" if lost else ""
    listed = ", ".join(map(ascii, near or keys[:5])) or "none"
    return Remark(
        "K1",
        f"no key {key!a}{where}; {'nearest' if near else 'published'}: {listed}",
        "Name a key the policy was trained with; if none of these is, the checkpoint has no right key.",
        {"key": key, "keys": keys, "shadowed": lost},
    )


def _failures(entry: Entry, spec: ExecSpec, siblings: Mapping[str, Any] | None) -> Iterator[Remark]:
    if entry.digest is not None and not spec.digest.startswith(entry.digest):
        yield Remark(
            "P1",
            f"digest {_apart(spec.digest, entry.digest)} is not the pinned {_apart(entry.digest, spec.digest)}",
            "Find out what changed (figures, un-normalizer, conventions) before this runs; then pin the new digest.",
            {"digest": spec.digest, "pinned": entry.digest},
        )
    if entry.max_drift is not None and siblings:
        yield from _too_far(entry.max_drift, siblings)


def _too_far(accepted: float | Mapping[str, float], siblings: Mapping[str, Any]) -> Iterator[Remark]:
    """What `max_drift` has against the wrong keys, among them those nobody measured in its units."""
    if siblings["unranked"]:
        yield Remark(
            "K2",
            f"{siblings['unranked']:,} wrong keys are too many to rank, so that they stay below max_drift is not shown",
            "Remove keys that this robot never uses from the checkpoint.",
            {"unranked": siblings["unranked"], "max_drift": accepted},
        )
    worst = siblings["worst"]
    if not worst:
        return
    limits = accepted if isinstance(accepted, Mapping) else {ACTION_UNITS: accepted}
    read = {**worst["read"], ACTION_UNITS: worst["mean"]}
    unread = [unit for unit in limits if unit not in read]
    if unread:
        yield Remark(
            "K2",
            f"max_drift is in {unread[0]}, and no controller is known that makes {unread[0]} of this action, so that "
            "wrong keys stay below it is not shown",
            "Name the controller that this action is sent to, or give max_drift as a number, in controller units.",
            {"unread": unread, "max_drift": accepted},
        )
    beyond = {unit: limit for unit, limit in limits.items() if unit in read and read[unit] >= limit}
    if beyond:
        told = [f"{read[unit]:.4g} {unit}".removesuffix(f" {ACTION_UNITS}") for unit in beyond]
        most = [f"{limit:.4g} {unit}".removesuffix(f" {ACTION_UNITS}") for unit, limit in beyond.items()]
        yield Remark(
            "K2",
            f"executing {worst['executed']!a} instead drifts by {' and '.join(told)}, "
            f"which is not below {' and '.join(most)}",
            "Remove keys that this robot never uses from the checkpoint, or accept the risk with a larger max_drift.",
            {"executed": worst["executed"], "mean": worst["mean"], "read": worst["read"], "max_drift": accepted},
        )


def _apart(digest: str, other: str) -> str:
    """As much of a digest as tells it from another one."""
    same = next((n for n, (a, b) in enumerate(zip(digest, other, strict=False)) if a != b), 0)
    return digest[: max(12, same + 4)]
