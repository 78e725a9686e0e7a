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
from ..controllers import Controller
from ..errors import Finding, ShapeMismatchError, TargetNotFoundError, UnsafePathError
from ..formats.tree import Folder, Tree
from .batch import Progress, Task, answer_all
from .cache import Cache, default_path
from .config import Deployment, load_config
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
        controller: robosuite controller file, to read drift in millimetres and degrees.
        rate: actions per second, Hz, to read it per second.
        jobs: processes.
        cache: keep results by the digests of the files, and use those kept.
        fail_on: the least severity that fails the audit, `never` for none.
        progress: called with the number of folders done, and of all.

    Raises:
        TargetNotFoundError: no such path.
        FormatError: a configuration, controller or actions file that does not parse.
        ShapeMismatchError: actions of a width that no key has.
    """
    tree = Tree(path)
    deployments = load_config(path, config).deployments
    if isinstance(controller, str | os.PathLike):
        controller = load_controller(controller)
    question = Question(_actions(actions), controller, rate)
    tasks, absent = _assign(tree, deployments)
    answers = answer_all(tasks, question, jobs, Cache(default_path()) if cache else None, progress)
    flat = [answer for group in answers for answer in group]
    _check_width(question.actions, flat)
    _add_homonyms(flat)
    return AuditReport(os.fspath(path), tuple(flat), absent, tuple(d.name for d in deployments), fail_on)


def load_controller(path: str | os.PathLike[str]) -> Controller:
    """The controller a robosuite JSON file configures; `FILE::PART` for one part of a composite."""
    from ..formats.robosuite import read_controller

    file, _, part = os.fspath(path).partition("::")
    return read_controller(Tree(file).files[0], part)


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


def _assign(tree: Tree, deployments: Sequence[Deployment]) -> tuple[list[Task], tuple[Verdict, ...]]:
    """Every folder below the target with the deployments that run from it; and verdicts on those that run from none.

    A deployment's checkpoint that lies outside the target is audited too.
    """
    folders = {folder.location: folder for folder in tree.folders}
    services: dict[str, list[Service]] = {}
    absent = []
    for deployment in deployments:
        controller = load_controller(deployment.controller) if deployment.controller else None
        place = Path(os.path.realpath(deployment.checkpoint))
        home = place.parent if place.is_file() else place
        folder = folders.get(str(home)) or _outside(place)
        if folder is None:
            absent.append(lost(deployment, f"no checkpoint at {deployment.checkpoint}"))
            continue
        folders.setdefault(folder.location, folder)
        services.setdefault(folder.location, []).append((deployment, controller))
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
