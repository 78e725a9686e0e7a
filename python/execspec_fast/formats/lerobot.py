"""LeRobot policies: what they publish (`lerobot_policy`), and what only a reader of their files can see.

LeRobot returns `u` unchanged, and says nothing, where its statistics have no `action` block or its `norm_map` no
ACTION; a block under another name is as good as none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import Finding, FormatError, Severity
from ..stats import FIGURES, NormStats
from .figures import describe, disagreement
from .lerobot_buffers import Buffers
from .lerobot_pipelines import POST, SCALING, Step
from .lerobot_policy import (
    ACTION,
    CONFIG,
    ECOSYSTEM,
    MODES,
    Policy,
    action_blocks,
    keys_of,
    open_policy,
    stats_of,
)
from .published import Checkpoint, Published
from .tree import Folder

FETCH = "Fetch the whole checkpoint; a Git LFS pointer or a cut download does not load."
TRAINED = "Execute with the statistics the policy was trained with."
STORE = "Store the statistics of the data this policy was trained on under 'action'."


def read(folder: Folder) -> Checkpoint | None:
    """What a LeRobot policy in this folder publishes; None if there is none."""
    policy = open_policy(folder)
    if policy is None:
        return None
    keys, unused = keys_of(policy)
    findings = (
        *_absent(policy),
        *_inert(policy),
        *_inert_observations(policy),
        *_near_misses(policy),
        *_widths(policy, keys),
        *_disagreements(policy, keys),
    )
    return Checkpoint(folder.path, ECOSYSTEM, keys, unused, findings, policy.records, folder.repo, folder.revision)


def _say(
    policy: Policy,
    code: str,
    severity: Severity,
    place: str,
    message: str,
    fix: str,
    evidence: Mapping[str, Any] | None = None,
    key: str = ACTION,
) -> Finding:
    target = f"{policy.folder.path}#{key}" if key else policy.folder.path
    return Finding(code, severity, target, place, message, evidence or {}, fix)


def _absent(policy: Policy) -> Iterator[Finding]:
    """S1: statistics that are named and not there, or not there at all."""

    def missing(severity: Severity, place: str, message: str, fix: str = FETCH) -> Finding:
        return _say(policy, "S1", severity, place, message, fix, key="")

    for error in policy.broken:
        yield missing("error", f"{error.file}#{error.pointer}", f"the statistics cannot be read: {error}")
    for pipeline in (policy.post, policy.pre):
        if pipeline and pipeline.step and pipeline.step.problem:
            yield missing("error", pipeline.step.place, f"the statistics are missing: {pipeline.step.problem}")
    if policy.post and policy.post.step and not policy.post.entries:
        message = f"{POST}.json is missing: LeRobot does not load these statistics, and their mode is not recorded"
        yield missing("warning", policy.post.step.place, message, f"Fetch {POST}.json.")
    if policy.post or policy.broken:
        return
    if policy.pre:
        message = f"no {POST}.json beside the pre-processor: nothing un-normalizes the action"
        yield missing("error", str(policy.folder.path), message)
    elif not policy.buffers:
        place = policy.folder.files[CONFIG].path
        if policy.weights:
            yield missing("error", place, "no statistics: no processor files, and no buffers in the weights")
        else:
            yield missing("warning", place, "no statistics: no processor files, and no weights that may hold buffers")


def _inert(policy: Policy) -> Iterator[Finding]:
    """K3: an action that LeRobot does not un-normalize. T1: one that other code un-normalizes as well."""
    post = policy.post
    if post is None:
        return
    others = [e for e in post.entries if "unnormal" in e.name and (post.step is None or e.place != post.step.place)]
    if others:
        names = ", ".join(repr(entry.name) for entry in others)
        message = f"{names} un-normalizes too, by code and statistics that are not audited"
        yield _say(policy, "T1", "warning", others[0].place, message, "Compare the running policy with these figures.")
    elif post.step is None:
        message = f"the pipeline has no {SCALING[POST]}: u is sent as the action"
        fix = "None needed if the policy itself emits physical actions."
        yield _say(policy, "K3", "warning", post.files[0].path, message, fix)
    if post.step is not None and not post.step.problem:
        yield from _inert_step(policy, post.step)


def _inert_step(policy: Policy, step: Step) -> Iterator[Finding]:
    place = f"{step.place}/config/norm_map/ACTION"
    if step.norm_map is not None and "ACTION" not in step.norm_map:
        message = "norm_map has no ACTION, so LeRobot returns u unchanged"
        fix = "Add the mode the policy was trained with to norm_map."
        yield _say(policy, "K3", "error", place, message, fix, {"norm_map": dict(step.norm_map)})
    elif step.mode == "IDENTITY":
        message = "the mode of ACTION is IDENTITY: u is sent as the action"
        yield _say(policy, "K3", "note", place, message, "None needed if the policy itself emits physical actions.")
    elif step.mode is not None and step.mode not in MODES:
        message = f"mode {step.mode!r} is none that LeRobot knows: {', '.join(MODES)}"
        yield _say(policy, "S7", "error", place, message, "Name the mode the policy was trained with.")
    elif ACTION not in step.blocks:
        found = action_blocks(step)
        stored = ", ".join(map(repr, found or list(step.blocks))) or "nothing"
        message = f"no statistics under 'action', so LeRobot returns u unchanged; stored is {stored}"
        yield _say(policy, "K3", "error", step.place, message, STORE, {"found": found, "stored": list(step.blocks)})
    for name in action_blocks(step):
        if isinstance(error := stats_of(step.blocks[name]), FormatError):
            code = "S6" if set(step.blocks[name].values) & set(FIGURES) else "S1"
            yield _say(policy, code, "error", f"{error.file}#{error.pointer}", str(error), STORE)


def _inert_observations(policy: Policy) -> Iterator[Finding]:
    """K3 and K4: a declared observation that has a mode and no statistics, so that it reaches the policy raw."""
    step = policy.pre.step if policy.pre else None
    if step is None or step.problem or not step.norm_map:
        return
    for name, feature in step.features.items():
        kind = feature.get("type") if isinstance(feature, dict) else None
        mode = step.norm_map.get(kind, "IDENTITY") if isinstance(kind, str) else "IDENTITY"
        if kind in ("ACTION", "VISUAL") or mode == "IDENTITY" or name in step.blocks:
            continue
        alike = [block for block in step.blocks if _skeleton(block) == _skeleton(name)]
        message = f"{name!r} is declared {mode} and has no statistics, so it reaches the policy raw"
        if alike:
            message += f"; they are stored as {alike[0]!r}"
        fix = f"Store its statistics under {name!r}."
        yield _say(policy, "K4" if alike else "K3", "warning", step.place, message, fix, {"stored": list(step.blocks)})


def _near_misses(policy: Policy) -> Iterator[Finding]:
    """K4: figures under a name that LeRobot does not read."""
    for pipeline in (policy.post, policy.pre):
        for feature, block in (pipeline.step.blocks if pipeline and pipeline.step else {}).items():
            misnamed = {name: figure for name in block.values if (figure := _meant(name)) not in (name, None)}
            if misnamed:
                listed = ", ".join(f"{name!r} for {figure!r}" for name, figure in misnamed.items())
                message = f"figures of {feature!r} under names LeRobot does not read: {listed}"
                fix = "Rename them, or recompute the statistics."
                yield _say(policy, "K4", "warning", str(block.source), message, fix, {"names": misnamed})


_QUANTILE = re.compile(r"(?:q|p|quantile|percentile)0*(\d{1,2})")
_SYNONYMS = {"minimum": "min", "maximum": "max", "average": "mean", "avg": "mean", "stdev": "std", "stddev": "std"}


def _meant(name: str) -> str | None:
    """The figure a name seems to mean, None if it means none."""
    plain = _skeleton(name)
    quantile = _QUANTILE.fullmatch(plain)
    figure = f"q{int(quantile[1]):02}" if quantile else _SYNONYMS.get(plain, plain)
    return figure if figure in FIGURES else None


def _skeleton(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _widths(policy: Policy, keys: Sequence[Published]) -> Iterator[Finding]:
    for key in keys:
        if policy.width.value not in (None, key.stats.dim):
            yield Finding(
                "S6",
                "error",
                f"{policy.folder.path}#{key.key}",
                str(key.sources["stats"]),
                f"statistics of {key.stats.dim} channels for an action of {policy.width.value} ({policy.width.why})",
                {"statistics": key.stats.dim, "action": policy.width.value},
                TRAINED,
            )


def _disagreements(policy: Policy, keys: Sequence[Published]) -> Iterator[Finding]:
    """P2: copies of the action's statistics and mode that differ."""

    def differ(severity: Severity, place: str, message: str, a: NormStats, b: NormStats, key: str) -> Iterator[Finding]:
        if evidence := disagreement(a, b):
            yield _say(policy, "P2", severity, place, f"{message}: {describe(evidence)}", TRAINED, evidence, key)

    executed = next((key.stats for key in keys if key.key == ACTION), None)
    for buffers in policy.buffers:
        place = str(buffers.source)
        if policy.post is None and buffers.trained:
            message = "normalize_targets and unnormalize_outputs disagree"
            yield from differ("error", place, message, buffers.trained, buffers.stats, buffers.key)
        if policy.post is None:
            yield from _stale_mode(policy, buffers)
        if policy.post and executed:
            message = f"buffers in the weights, which LeRobot no longer reads, disagree with {POST}"
            yield from differ("warning", place, message, buffers.stats, executed, ACTION)
    post, pre = (pipeline.step if pipeline else None for pipeline in (policy.post, policy.pre))
    if not post or not pre:
        return
    trained = stats_of(pre.blocks[ACTION]) if ACTION in pre.blocks else None
    if executed and isinstance(trained, NormStats):
        message = f"training normalized by the pre-processor's copy, which disagrees with {POST}"
        yield from differ("error", str(pre.blocks[ACTION].source), message, trained, executed, ACTION)
    if post.mode is not None and pre.mode is not None and post.mode != pre.mode:
        message = f"training normalized the action by {pre.mode}, {post.mode} un-normalizes it"
        yield _say(policy, "P2", "error", f"{post.place}/config/norm_map/ACTION", message, TRAINED)


def _stale_mode(policy: Policy, buffers: Buffers) -> Iterator[Finding]:
    """P2: buffers of another mode than `config.json` names, which LeRobot up to 0.3 would create and then not fill."""
    mode = policy.setting(str, "normalization_mapping", "ACTION")
    stored = [str(name).removeprefix("lerobot-0.3-").upper() for name in (buffers.profile.value, *buffers.alternatives)]
    if mode.value is not None and mode.value not in stored:
        message = f"{CONFIG} says {mode.value} for the action, the weights hold the figures of {' and '.join(stored)}"
        evidence = {"config": mode.value, "weights": stored}
        yield _say(policy, "P2", "warning", mode.why, message, TRAINED, evidence, buffers.key)
