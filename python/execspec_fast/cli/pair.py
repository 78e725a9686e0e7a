"""`execspec drift`: what executing one specification where another was meant does, on a robot if one is named."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..auditing.outcome import SCHEMA_VERSION
from ..auditing.units import ACTION_UNITS, Units
from ..deployment import Deployment, deploy, doubt, misfit
from ..drift import Drift, drift
from ..ops import describe
from ..registry import load_spec
from ..spec import ExecSpec
from .describe import lines, number
from .inputs import chosen_controller, chosen_sample
from .paper import Paper, escape
from .report import as_json

if TYPE_CHECKING:
    from argparse import Namespace

METRICS = ("mean_abs", "bias", "rms", "max", "worst_case")


def drift_of(options: Namespace, paper: Paper) -> str:
    """The drift of the two specs that the options name, in the format they choose."""
    intended, executed = load_spec(options.intended), load_spec(options.executed)
    sample, controller = chosen_sample(options, intended), chosen_controller(options, intended)
    if controller is None:
        found, units, notes = drift(intended, executed, sample), Units.plain(intended.dim), {}
    else:
        found = drift(deploy(intended, controller.unscaled), deploy(executed, controller.unscaled), sample)
        meant, run = deploy(intended, controller), deploy(executed, controller)
        units, notes = Units.of(meant), _robot_notes(meant, run)
    if sample.excluded:
        whys = (f"{intended.channels[d]}: {why}" for d, why in sample.excluded.items())
        notes = {**notes, "no mean": "; ".join(whys)}
    if options.format == "json":
        names = (*METRICS, "channels_used", "mean", "mean_l2", "mean_l2_interval", "sample", "assumes", "reason")
        plain = {
            "schema_version": SCHEMA_VERSION,
            "intended": intended.to_dict(),
            "executed": executed.to_dict(),
            "controller": controller and controller.to_dict(),
            "notes": notes,
            "drift": {name: _plain(getattr(found, name)) for name in names},
            "read": units.read(found.mean_abs, found.channels_used),
        }
        return as_json(plain)
    return _text(intended, executed, found, units, notes, paper)


def _robot_notes(intended: Deployment, executed: Deployment) -> dict[str, str]:
    """What a robot has to say about two specs that run on it, by subject."""
    scripts = ["nothing" if d.spec.post is None else describe(d.spec.post)[d.grippers[0]] for d in (intended, executed)]
    notes = {"client": f"on the gripper: {scripts[0]}"} if scripts != ["nothing"] * 2 else {}
    if scripts[0] != scripts[1]:
        notes["client"] += f" as intended, {scripts[1]} as executed; the drift holds the difference"
    whys = [(d.spec.name, misfit(d.spec, d.controller) or doubt(d)) for d in (intended, executed)]
    doubts = [f"{name}: {why}" for name, why in whys if why]
    return {**notes, "doubtful": "; ".join(doubts)} if doubts else notes


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _text(
    intended: ExecSpec, executed: ExecSpec, found: Drift, units: Units, notes: dict[str, str], paper: Paper
) -> str:
    """What executing one spec in place of another does to every channel, and on average."""
    table: list[tuple[str, ...]] = [("CHANNEL", "MEAN |D|", "BIAS", "RMS", "MAX", "WORST CASE", "UNIT", "")]
    for d, name in enumerate(intended.channels):
        unit, factor = (units.names[d], units.factor[d]) if units.names[d] else (ACTION_UNITS, 1.0)
        counted = "" if d in found.channels_used else "not in the mean"
        table.append((escape(name), *(number(getattr(found, m)[d] * factor) for m in METRICS), unit, counted))
    low, high = found.mean_l2_interval
    l2 = number(found.mean_l2) if math.isfinite(found.mean_l2) else f"between {number(low)} and {number(high)}"
    read = [f"{number(value)} {unit}" for unit, value in units.read(found.mean_abs, found.channels_used).items()]
    summary = [
        ("mean |d|", ", ".join(read) + (f" per step of {units.controller}" if units.controller else "")),
        ("mean L2", f"{l2} {ACTION_UNITS}"),
        *notes.items(),
        ("actions", found.sample),
        *(("assumes", text) for text in found.assumes),
        *([("reason", found.reason)] if found.reason else []),
    ]
    return "\n".join(
        [
            f"intended  {paper.paint(escape(intended.name), 'bold')}  {intended.profile}  {intended.digest[:12]}",
            f"executed  {paper.paint(escape(executed.name), 'bold')}  {executed.profile}  {executed.digest[:12]}",
            "",
            *lines(table, right=tuple(range(1, 6))),
            "",
            *(f"{name:10}{paper.wrap(escape(text), 10)}" for name, text in summary),
            "",
        ]
    )
