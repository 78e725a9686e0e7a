"""The verdict on one deployment: may this checkpoint run on that robot, with that key?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ExecSpecError, Finding
from ..formats.published import Checkpoint, Published
from ..spec import ExecSpec
from .config import Deployment
from .question import Question
from .rules import skeleton


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason not to deploy, as a `Finding` has it."""

    code: str
    message: str
    fix: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a deployment; it passes if there is no failure.

    Attributes:
        path: of its checkpoint, as reports name it.
        failures: why it does not pass.
        profile, digest: of the spec that runs, None if none can.
        siblings: the wrong keys, as `Siblings.to_dict`.
    """

    deployment: Deployment
    path: str
    failures: tuple[Failure, ...] = ()
    profile: str | None = None
    digest: str | None = None
    siblings: Mapping[str, Any] | None = None

    def findings(self) -> list[Finding]:
        """One error per reason."""
        name, target, where = self.deployment.name, f"{self.path}#{self.deployment.key}", self.deployment.where
        return [
            Finding(f.code, "error", target, where, f"deployment {name}: {f.message}", f.evidence, f.fix)
            for f in self.failures
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        return {
            "name": self.deployment.name,
            "verdict": "FAIL" if self.failures else "PASS",
            "reasons": [failure.message for failure in self.failures],
            "checkpoint": self.path,
            "key": self.deployment.key,
            "profile": self.profile,
            "digest": self.digest,
            "max_drift": self.deployment.max_drift,
            "siblings": self.siblings,
        }


def judge(deployment: Deployment, checkpoint: Checkpoint, question: Question) -> Verdict:
    """Judge a deployment from this checkpoint.

    It passes if its key resolves and can run, its digest is the pinned one, and the worst plausible wrong key of the
    same checkpoint drifts by less than `max_drift`.
    """
    published = {each.key: each for each in reversed(checkpoint.keys)}.get(deployment.key)
    if published is None:
        return Verdict(deployment, checkpoint.path, (_unresolved(checkpoint, deployment.key),))
    try:
        spec = _run(deployment, checkpoint, published)
    except ExecSpecError as error:
        failure = Failure("S7", str(error), "Name a profile that this checkpoint has the figures for.")
        return Verdict(deployment, checkpoint.path, (failure,))
    loaded = [spec, *_runnable(deployment, checkpoint, (each for each in checkpoint.keys if each is not published))]
    shadowed = _runnable(deployment, checkpoint, checkpoint.shadowed)
    siblings = question.siblings(loaded, shadowed, [spec])
    failures = tuple(_failures(deployment, spec, siblings))
    return Verdict(deployment, checkpoint.path, failures, spec.profile, spec.digest, siblings)


def lost(deployment: Deployment, why: str) -> Verdict:
    """The verdict on a deployment whose checkpoint is not there."""
    failure = Failure("K1", why, "Name the folder that holds the checkpoint.")
    return Verdict(deployment, str(deployment.checkpoint), (failure,))


def _run(deployment: Deployment, checkpoint: Checkpoint, published: Published) -> ExecSpec:
    return ExecSpec.from_published(published, checkpoint.path, checkpoint.ecosystem, deployment.profile)


def _runnable(deployment: Deployment, checkpoint: Checkpoint, keys: Iterable[Published]) -> list[ExecSpec]:
    """Those keys that the deployment's un-normalizer could run by mistake."""
    specs = []
    for published in keys:
        try:
            specs.append(_run(deployment, checkpoint, published))
        except ExecSpecError:
            continue
    return specs


def _unresolved(checkpoint: Checkpoint, key: str) -> Failure:
    import difflib

    keys = [published.key for published in checkpoint.keys]
    alike = [other for other in keys if skeleton(other) == skeleton(key)]
    near = alike or difflib.get_close_matches(key, keys, n=3)
    lost = any(published.key == key for published in checkpoint.shadowed)
    where = ", though a file that the loader does not read here has it" if lost else ""
    listed = ", ".join(map(ascii, near or keys[:5])) or "none"
    return Failure(
        "K1",
        f"no key {key!a}{where}; {'nearest' if near else 'published'}: {listed}",
        "Name a key the policy was trained with; if none of these is, the checkpoint has no right key.",
        {"key": key, "keys": keys, "shadowed": lost},
    )


def _failures(deployment: Deployment, spec: ExecSpec, siblings: Mapping[str, Any] | None) -> Iterator[Failure]:
    if deployment.digest not in (None, spec.digest):
        yield Failure(
            "P1",
            f"digest {spec.digest[:12]} is not the pinned {str(deployment.digest)[:12]}",
            "Find out what changed (figures, un-normalizer, conventions) before this runs; then pin the new digest.",
            {"digest": spec.digest, "pinned": deployment.digest},
        )
    worst = siblings and siblings["worst"]
    if worst and deployment.max_drift is not None and worst["mean"] >= deployment.max_drift:
        yield Failure(
            "K2",
            f"executing {worst['executed']!a} instead drifts by {worst['mean']:.4g}, "
            f"which is not below {deployment.max_drift:.4g}",
            "Remove keys that this robot never uses from the checkpoint, or accept the risk with a larger max_drift.",
            {"executed": worst["executed"], "mean": worst["mean"], "max_drift": deployment.max_drift},
        )
