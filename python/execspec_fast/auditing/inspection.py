"""The audit of one folder: from its files, and from what is asked, to plain data.

The answer is JSON-serializable, so that it travels between processes, and into the cache, as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..controller import Controller
from ..errors import Finding
from ..formats import read_folder
from ..formats.published import Checkpoint
from ..formats.tree import Folder
from ..registry import compile_key
from ..spec import ExecSpec
from .candidates import undecided
from .config import Entry
from .question import Question
from .rules import diagnose
from .verdict import Verdict, judge

Answer = dict[str, Any]

Service = tuple[Entry, Controller | None]
"""A deployment, and what its actions are sent to."""


def inspect(folder: Folder, question: Question, services: Sequence[Service] = ()) -> list[Answer]:
    """Audit one folder, and the deployments that run from it.

    Returns:
        One answer per checkpoint in it: `path`, `ecosystem`, `repo`, `revision`; `files`, `specs` and `findings`, as
        their `to_dict`; `keys` and `shadowed`, how many keys the ecosystem's loader finds, and how many more lie in
        the files; `intended`, the key that is meant or None, and `bound_by`, how that is known; `siblings`, the wrong
        keys of the intended one; `motion`, what the only key makes the robot do, where no deployment tells that of
        its own; `unfit`, why the controller can be meant for none of the keys, if one is named; `deployments`, the
        verdict on each.
    """
    checkpoints = read_folder(folder)
    answers = [_answer(checkpoint, question) for checkpoint in checkpoints]
    for entry, controller in services:
        having = [n for n, c in enumerate(checkpoints) if any(entry.key == p.key for p in c.keys)]
        home = having[0] if having else 0
        asked = replace(question, controller=controller)
        _bind(answers[home], judge(entry, checkpoints[home], asked))
    return answers


def _answer(checkpoint: Checkpoint, question: Question) -> Answer:
    compiled = [compile_key(checkpoint, published) for published in checkpoint.keys]
    specs = [one for one in compiled if isinstance(one, ExecSpec)]
    hidden = [compile_key(checkpoint, published) for published in checkpoint.shadowed]
    shadowed = [one for one in hidden if isinstance(one, ExecSpec)]
    findings = diagnose(checkpoint)
    findings += [one for one in compiled if isinstance(one, Finding) and not _explained(one, checkpoint, findings)]
    only = specs[0] if len(compiled) == len(specs) == 1 else None
    siblings = question.siblings(specs, shadowed, [only] if only else specs)
    findings += _gripper(checkpoint, specs, siblings)
    findings += undecided(checkpoint.path, specs, question.sample)
    return {
        "path": checkpoint.path,
        "ecosystem": checkpoint.ecosystem,
        "repo": checkpoint.repo,
        "revision": checkpoint.revision,
        "files": [record.to_dict() for record in checkpoint.files],
        "specs": [{**spec.to_dict(), "shadowed": spec in shadowed} for spec in (*specs, *shadowed)],
        "findings": [finding.to_dict() for finding in findings],
        "keys": len(checkpoint.keys),
        "shadowed": len(checkpoint.shadowed),
        "intended": only.key if only else None,
        "bound_by": "only key" if only else "unknown",
        "siblings": siblings,
        "motion": question.motion(only) if only else None,
        "unfit": question.unfit(specs),
        "deployments": [],
    }


def _explained(broken: Finding, checkpoint: Checkpoint, findings: Iterable[Finding]) -> bool:
    """Whether a rule says, with the figures, why this key cannot run."""
    key = broken.target.removeprefix(f"{checkpoint.path}#")
    told = [finding for finding in findings if key in finding.evidence.get("keys", ())]
    return any(finding.severity == "error" or finding.code == broken.code for finding in told)


def _gripper(checkpoint: Checkpoint, specs: Iterable[ExecSpec], siblings: Any) -> Iterator[Finding]:
    """What a mean over the channels that are no gripper takes for granted where nobody knows the gripper."""
    unknown = [spec.key for spec in specs if spec.gripper is None]
    if unknown and siblings["plausible"]:
        message = "no file says which channel is the gripper: drift is averaged over all channels"
        fix = "Read the drift per channel, or declare the gripper in the checkpoint's files."
        yield Finding("C5", "note", checkpoint.path, "", message, {"keys": unknown}, fix)


def _bind(answer: Answer, verdict: Verdict) -> None:
    """A deployment binds the checkpoint's intended key; of several, the one that could drift furthest is shown."""
    bound = bool(answer["deployments"])
    answer["findings"] += [finding.to_dict() for finding in verdict.findings()]
    answer["deployments"].append(verdict.to_dict())
    answer["motion"] = None
    if not bound or worst_drift(verdict.siblings) > worst_drift(answer["siblings"]):
        binding = {"intended": verdict.entry.key, "bound_by": f"deployment {verdict.entry.name}"}
        answer.update(binding, siblings=verdict.siblings)


def worst_drift(siblings: Any) -> float:
    """Mean |delta| of the worst plausible wrong key, -1 if there is none; takes `Siblings.to_dict` or None."""
    worst = (siblings or {}).get("worst")
    return float(worst["mean"]) if worst else -1.0
