"""What several commands read from their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    return ActionSample.gaussian(intended) if options.sample == "gaussian" else ActionSample.from_stats(intended)
