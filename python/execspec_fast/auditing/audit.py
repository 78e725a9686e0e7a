"""`audit`: every checkpoint below a path, what it would make the robot do, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..actions import Actions, load_actions
from ..controller import GIVEN, Controller, at_rate
from ..errors import Finding, ShapeMismatchError, TargetNotFoundError, UnsafePathError
from ..formats.controller_files import load_controller
from ..formats.tree import Folder, Tree
from .batch import Progress, Task, answer_all
from .cache import Cache, default_path
from .config import Entry, load_config
from .inspection import Answer, Service
from .outcome import AuditReport, FailOn
from .question import Question
from .verdict import Verdict, lost

SHOWN = 3
"""Maps that a message about one key names before it counts the rest."""


def audit(
    path: str | os.PathLike[str],
    actions: npt.ArrayLike | Actions | str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    controller: str | os.PathLike[str] | Controller | None = None,
    rate: float | None = None,
    jobs: int = 1,
    cache: bool = True,
    fail_on: FailOn = "error",
    progress: Progress | None = None,
) -> AuditReport:
    """Audit every checkpoint below a path.

    Args:
        path: a checkpoint, a folder of many, a Hugging Face cache, or one file.
        actions: physical actions, an array `(N, D)` or a file `load_actions` reads, to measure drift over instead of
            the figures each checkpoint publishes; used for specs of their width.
        config: file with `[[deployment]]` tables; by default `execspec.toml`, or `[tool.execspec]` of
            `pyproject.toml`, in the audited folder or the current one.
        controller: what actions are sent to, where no deployment says otherwise: a `Controller`, or a file or name
            `load_controller` knows. Drift is then of what it makes of actions, in millimetres and degrees per step,
            its clip and its gripper included; saturation and motion are told. C9 if it fits no key.
        rate: actions per second in Hz, of every controller that a deployment sets none for.
        jobs: processes.
        cache: keep results by the digests of the files, and use those kept.
        fail_on: the least severity that fails the audit, `never` for none.
        progress: called with the number of folders done, and of all.

    Raises:
        TargetNotFoundError: no such path.
        FormatError: a configuration, controller or actions file that does not parse.
        UnknownControllerError: a controller that is neither a file nor a name.
        ShapeMismatchError: actions of a width that no key has.
        ExecSpecError: a rate without a controller.
    """
    tree = Tree(path)
    entries = load_config(path, config).deployments
    if isinstance(controller, str | os.PathLike):
        controller = load_controller(controller)
    used = controller is not None or not any(entry.controller for entry in entries)
    question = Question(_actions(actions), at_rate(controller, rate if used else None, GIVEN))
    tasks, absent = _assign(tree, entries, question.controller, rate)
    answers = answer_all(tasks, question, jobs, Cache(default_path()) if cache else None, progress)
    flat = [answer for group in answers for answer in group]
    _check_width(question.actions, flat)
    _add_homonyms(flat)
    order = tuple(entry.name for entry in entries)
    return AuditReport(
        os.fspath(path), tuple(flat), absent, order, fail_on, _unfit(os.fspath(path), question.controller, flat)
    )


def _actions(actions: Any) -> Actions | None:
    if actions is None or isinstance(actions, Actions):
        return actions
    if isinstance(actions, str | os.PathLike):
        return load_actions(actions)
    values = np.array(actions)
    if values.ndim != 2:
        raise ShapeMismatchError(f"actions must have shape (N, D), got {values.shape}")
    return Actions(values, (len(values),), "the given array")


def _check_width(actions: Actions | None, answers: Sequence[Answer]) -> None:
    """Raise if actions were given and nothing can be executed with them, so that they never go unused in silence."""
    widths = sorted({spec["dim"] for answer in answers for spec in answer["specs"]})
    if actions and widths and actions.values.shape[-1] not in widths:
        raise ShapeMismatchError(
            f"{actions.source}: actions of {actions.values.shape[-1]} channels, while the keys found here have "
            f"{', '.join(map(str, widths))}; name the actions of one of these robots"
        )


def _unfit(path: str, controller: Controller | None, answers: Sequence[Answer]) -> tuple[Finding, ...]:
    """C9 if the controller given can be meant for no key at all, so that it is not named in vain in silence."""
    able = [answer for answer in answers if answer["specs"]]
    if controller is None or not able or not all(answer["unfit"] for answer in able):
        return ()
    why = {answer["path"]: answer["unfit"] for answer in able}
    first = next(iter(why.items()))
    message = f"{controller.name} cannot be what any key found here is sent to: drift is told in controller units"
    fix = "Name the controller of this robot."
    return (Finding("C9", "warning", path, "", f"{message} ({first[0]}: {first[1]})", why, fix),)


def _assign(
    tree: Tree, entries: Sequence[Entry], controller: Controller | None, rate: float | None
) -> tuple[list[Task], tuple[Verdict, ...]]:
    """Every folder below the target with the deployments that run from it; and verdicts on those that run from none.

    A deployment's checkpoint that lies outside the target is audited too. Its actions go to the controller it names,
    else to `controller`.
    """
    folders = {folder.location: folder for folder in tree.folders}
    services: dict[str, list[Service]] = {}
    absent = []
    for entry in entries:
        own = entry.robot(controller, rate)
        place = Path(os.path.realpath(entry.checkpoint))
        home = place.parent if place.is_file() else place
        folder = folders.get(str(home)) or _outside(place)
        if folder is None:
            absent.append(lost(entry, f"no checkpoint at {entry.checkpoint}"))
            continue
        folders.setdefault(folder.location, folder)
        services.setdefault(folder.location, []).append((entry, own))
    return [(folder, services.get(place, ())) for place, folder in folders.items()], tuple(absent)


def _outside(checkpoint: Path) -> Folder | None:
    """The folder of a checkpoint that is not below the target, its files named in full; None if there is none."""
    try:
        tree = Tree(checkpoint)
    except (TargetNotFoundError, UnsafePathError):
        return None
    folder = next((folder for folder in tree.folders if folder.location == str(tree.root)), None)
    if folder is None:
        return None
    files = {name: replace(file, path=f"{tree.root}/{file.path}") for name, file in folder.files.items()}
    return replace(folder, path=str(tree.root), files=files)


def _add_homonyms(answers: Sequence[Answer]) -> None:
    """K2: a key that several checkpoints publish, under one un-normalizer, as different maps.

    Names that choose nothing, being the only key wherever they occur (`action`), are no homonyms.
    """
    found: dict[tuple[str, str], dict[str, list[Answer]]] = {}
    for answer in answers:
        for spec in answer["specs"]:
            if not spec["shadowed"]:
                digests = found.setdefault((spec["key"], spec["profile"]["value"]), {})
                digests.setdefault(spec["digest"], []).append(answer)
    for (key, profile), digests in found.items():
        owners = [answer for alike in digests.values() for answer in alike]
        if len(digests) == 1 or all(answer["keys"] == 1 for answer in owners):
            continue
        told = [f"{digest[:12]} in {_several(alike)}" for digest, alike in list(digests.items())[:SHOWN]]
        more = [f"{len(digests) - SHOWN} more"] if len(digests) > SHOWN else []
        for digest, alike in digests.items():
            for answer in alike:
                finding = Finding(
                    "K2",
                    "note",
                    f"{answer['path']}#{key}",
                    "",
                    f"key {key!a} is {len(digests)} different maps under {profile}: {'; '.join(told + more)}",
                    {"digest": digest, "maps": len(digests)},
                    "Pin the digest of the one that is meant.",
                )
                answer["findings"].append(finding.to_dict())


def _several(answers: Sequence[Answer]) -> str:
    more = f" and {len(answers) - 1} more" if len(answers) > 1 else ""
    return f"{answers[0]['path']}{more}"
