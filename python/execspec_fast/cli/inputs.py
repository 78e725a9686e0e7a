"""What several commands read from their options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..auditing.config import Entry, load_config
from ..controller import GIVEN, Controller, at_rate
from ..errors import ExecSpecError, MissingStatsError
from ..formats.controller_files import load_controller
from ..sample import ActionSample
from ..spec import ExecSpec

if TYPE_CHECKING:
    from argparse import Namespace


def given_actions(options: Namespace, intended: ExecSpec) -> ActionSample | None:
    """The actions of `--actions`, physical unless `--normalized`; None without it."""
    from ..actions import load_actions

    if not options.actions:
        return None
    actions = load_actions(options.actions)
    if options.normalized:
        return ActionSample(actions.values, actions.description)
    return ActionSample.from_physical(actions.values, intended, actions.description)


def chosen_sample(options: Namespace, intended: ExecSpec) -> ActionSample:
    """The actions of `--actions`, else the law of `--sample`."""
    if given := given_actions(options, intended):
        return given
    if options.sample == "uniform":
        return ActionSample.uniform(intended.dim)
    try:
        return ActionSample.gaussian(intended) if options.sample == "gaussian" else ActionSample.from_stats(intended)
    except MissingStatsError as error:
        raise MissingStatsError(f"{error}; name recorded actions with --actions, or take --sample uniform") from None


def named_controller(options: Namespace) -> Controller | None:
    """The controller of `--controller`, at `--rate`; None without.

    Raises:
        ExecSpecError: a rate without a controller.
    """
    return at_rate(load_controller(options.controller) if options.controller else None, options.rate, GIVEN)


def chosen_controller(options: Namespace, intended: ExecSpec) -> Controller | None:
    """The controller of `--controller`, else the one that a deployment of this spec is configured with; None without.

    Configurations are looked for beside the checkpoint, one folder above, and in the current folder.

    Raises:
        ExecSpecError: deployments of this spec on several robots; or a rate without a controller.
    """
    if options.controller:
        return named_controller(options)
    robots = {entry.controller: entry for entry in _deployments(options, intended) if entry.controller}
    if len(robots) > 1:
        raise ExecSpecError(f"{intended.name} is deployed on {', '.join(map(str, robots))}: name one with --controller")
    for entry in robots.values():
        return at_rate(entry.robot(None, options.rate), entry.rate, GIVEN)
    return named_controller(options)


def _deployments(options: Namespace, spec: ExecSpec) -> list[Entry]:
    home = Path(os.path.realpath(spec.path))
    home = home.parent if home.is_file() else home
    places = [home] if options.config else [home, home.parent]
    entries = [entry for place in places for entry in load_config(place, options.config).deployments]
    return [
        entry
        for entry in entries
        if Path(os.path.realpath(entry.checkpoint)) in (home, Path(os.path.realpath(spec.path)))
        and entry.key == spec.key
        and entry.profile in (None, spec.profile)
    ]
