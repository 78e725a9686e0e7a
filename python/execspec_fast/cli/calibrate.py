"""`execspec guard`: what is made before a policy runs, for what watches it while it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..actions import load_actions
from ..guarding.calibration import Calibration, calibrate
from ..guarding.eprocess import ALPHA, fewest_episodes
from ..registry import load_spec
from .describe import lines, number
from .paper import escape

if TYPE_CHECKING:
    from argparse import Namespace


def calibration(options: Namespace) -> tuple[bytes, str]:
    """The calibration file of `execspec guard calibrate`, and what to say of it."""
    spec = load_spec(options.spec)
    recorded = [load_actions(file) for file in options.actions]
    made = calibrate(
        spec,
        [episode for actions in recorded for episode in actions.episodes],
        block=options.block,
        confidence=options.confidence,
        sources=[actions.source for actions in recorded],
    )
    return made.to_json(), _told(made, options.output)


def _told(made: Calibration, file: str) -> str:
    longest = f"{made.most_blocks} block{'s' * (made.most_blocks > 1)} of {made.block} steps"
    head = [
        ("spec", f"{made.spec}  {made.digest[:12]}"),
        ("episodes", f"{made.episodes}, {made.steps:,} steps; the longest has {longest}"),
        ("p0", f"{made.p0:.3g} at most is the chance that a correct episode passes a limit, of {made.count}, at "
               f"confidence {made.confidence:g}"),
        ("alarm", f"a wrong key takes {fewest_episodes(made.p0)} episodes at least (alpha {ALPHA:g})"),
        *(("no limits", f"{name}: {why}") for name, why in made.excluded.items()),
        *(("from", source) for source in made.sources),
        ("written", file),
    ]  # fmt: skip
    table: list[tuple[str, ...]] = [("CHANNEL", "LOW DECILE OF u", "", "HIGH DECILE OF u", "")]
    table += [(escape(one.name), *map(number, (*one.low_decile, *one.high_decile))) for one in made.limits]
    return "\n".join([*lines([(name, escape(text)) for name, text in head]), "", *lines(table, range(1, 5)), ""])
