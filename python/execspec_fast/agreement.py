"""Conventions C1 to C9: what a policy's numbers mean, against what the controller takes them for.

Each row holds both sides with how they are known. Only two declared values that differ are an error; where one was
inferred, by the rule written beside it, a difference is a warning; what neither side says is left unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .controller import Controller
from .conventions import UNKNOWN, Conventions, Fact, declared, inferred
from .deployment import BEYOND, Deployment, crossed_gripper
from .errors import Finding, Severity, ShapeMismatchError
from .inference import infer_gripper, infer_representation
from .motion import rotations
from .rotation import READINGS, Misreading
from .sample import ActionSample
from .spec import ExecSpec

Outcome = Literal["agree", "differ", "unknown", "absent"]

DEGREES = 180 / math.pi
RATE_TOLERANCE = 0.01
LEAP = 0.5
"""Metres that no arm moves in one step: ten times what robosuite and WidowX let through."""

FIXES = {
    "C1": "Convert the action to what the controller takes, or configure it for what the policy was trained on.",
    "C2": "Convert the rotation before it is sent; no scale per channel can.",
    "C3": "Reorder the quaternion before it is sent.",
    "C4": "Express the action in the controller's axes before it is sent, or configure its reference frame.",
    "C5": "Add the client ops of the policy's own rollout script, or name the controller whose gripper this is.",
    "C6": "Name the key whose action this controller takes, or convert the unit before it is sent.",
    "C7": "Send the channels in the controller's order, by name.",
    "C8": "Run the controller at the rate of the training data.",
    "C9": "Name the controller this action is sent to; cut padding before it is sent.",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """One convention on both sides.

    Attributes:
        code, convention: `C1` to `C9`, and what it is about.
        policy, controller: what each side says, and how that is known.
        outcome: `agree`, `differ`, `unknown` (a side does not say), `absent` (the action has no such channels).
        message: one sentence where they differ.
        evidence: the numbers behind it.
    """

    code: str
    convention: str
    policy: Fact[Any]
    controller: Fact[Any]
    outcome: Outcome
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def severity(self) -> Severity | None:
        """None where there is nothing to say."""
        if self.outcome == "differ":
            both = {self.policy.status, self.controller.status} == {"declared"}
            return "error" if both else "warning"
        return "note" if self.outcome == "unknown" else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        return {
            "code": self.code,
            "convention": self.convention,
            "policy": self.policy.to_dict(),
            "controller": self.controller.to_dict(),
            "outcome": self.outcome,
            "severity": self.severity,
            "message": self.message,
            "evidence": dict(self.evidence),
        }


def agree(spec: ExecSpec, controller: Controller, sample: ActionSample | None = None) -> tuple[Agreement, ...]:
    """The nine conventions of a policy and a controller, one row each, C1 to C9.

    Args:
        sample: normalized actions, to say what a difference of rotation costs.
    """
    deployment: Deployment | None = None
    misfit = ""
    try:
        deployment = Deployment(spec, controller)
    except ShapeMismatchError as error:
        misfit = str(error)
    said = spec.conventions
    pose = "m" in controller.unit
    return (
        _representation(spec, controller, deployment),
        _rotation(said, controller, deployment, sample) if pose else _absent("C2", "rotation"),
        _quaternion(said, controller) if pose else _absent("C3", "quaternion order"),
        _equal("C4", "frame", said.frame, controller.frame) if pose else _absent("C4", "frame"),
        _gripper(spec, controller, deployment),
        _units(spec, controller, deployment),
        _order(said.names, controller.names),
        _equal("C8", "rate", said.rate, controller.rate, lambda a, b: abs(a - b) <= RATE_TOLERANCE * abs(b)),
        _width(spec, controller, misfit),
    )


def findings(rows: Sequence[Agreement], target: str) -> Iterator[Finding]:
    """One finding per difference, and one note (`C0`) that lists what neither file nor rule says."""
    for row in rows:
        if row.outcome == "differ" and row.severity:
            yield Finding(row.code, row.severity, target, "", row.message, row.evidence, FIXES[row.code])
    unknown = [row for row in rows if row.outcome == "unknown"]
    if unknown:
        listed = ", ".join(f"{row.convention} ({row.code})" for row in unknown)
        yield Finding(
            "C0",
            "note",
            target,
            "",
            f"not stated by both the policy and the controller, so not compared: {listed}",
            {row.code: {"policy": row.policy.to_dict(), "controller": row.controller.to_dict()} for row in unknown},
            "Check these by hand before the first rollout.",
        )


def _representation(spec: ExecSpec, controller: Controller, deployment: Deployment | None) -> Agreement:
    takes: Fact[str] = UNKNOWN
    if controller.delta.value is not None and controller.unit[0] in ("m", "rad"):
        relative = controller.reference.value == "chunk_start"
        value = "absolute" if not controller.delta.value else "relative" if relative else "delta"
        takes = Fact(value, controller.delta.status, controller.delta.why)
    own = spec.conventions.representation
    if own.status == "unknown" and deployment is not None:
        own = infer_representation(spec, deployment.arm)
    if own.status == "inferred" and {own.value, takes.value} == {"delta", "relative"}:
        return Agreement("C1", "representation", own, takes, "unknown")  # figures cannot tell these two apart
    return _equal("C1", "representation", own, takes)


def _rotation(
    said: Conventions, controller: Controller, deployment: Deployment | None, sample: ActionSample | None
) -> Agreement:
    own, takes = said.rotation, controller.rotation
    if _is_quaternion(own) and _is_quaternion(takes):
        return Agreement("C2", "rotation", own, takes, "agree")
    row = _equal("C2", "rotation", own, takes)
    if row.outcome != "differ" or deployment is None or sample is None or not {own.value, takes.value} <= set(READINGS):
        return row
    rows, description = rotations(deployment, sample)
    if not len(rows):
        return row
    cost = Misreading.over(rows, str(takes.value), str(own.value))
    angles = {"mean_deg": math.degrees(cost.mean), "max_deg": math.degrees(cost.max)}
    words = f"{row.message}: {angles['mean_deg']:.2g} deg apart on average, {angles['max_deg']:.2g} at most"
    return _differ("C2", "rotation", own, takes, words, {**angles, "rotations": cost.count, "sample": description})


def _quaternion(said: Conventions, controller: Controller) -> Agreement:
    own, takes = said.rotation, controller.rotation
    if any(fact.status != "unknown" and not _is_quaternion(fact) for fact in (own, takes)):
        return _absent("C3", "quaternion order")
    return _equal("C3", "quaternion order", own, takes)


def _gripper(spec: ExecSpec, controller: Controller, deployment: Deployment | None) -> Agreement:
    name, reading = "gripper", controller.gripper
    own = infer_gripper(spec)
    gripper = reading.value
    takes = UNKNOWN if gripper is None else Fact((gripper.open, gripper.closed), reading.status, reading.why)
    if deployment is not None and (crossed := crossed_gripper(deployment)):
        own_channels, channels = spec.conventions.gripper, declared(deployment.grippers, controller.source)
        return _differ("C5", name, own_channels, channels, crossed)
    if deployment is not None and not deployment.grippers:
        return _absent("C5", name)
    if deployment is None or own.value is None or gripper is None:
        return Agreement("C5", name, own, takes, "unknown")
    at = list(deployment.grippers)
    opened, closed = deployment.reaction(np.array(own.value)[:, None] * np.ones(spec.dim))[:, at]
    evidence = {"opening_of_open": opened.tolist(), "opening_of_closed": closed.tolist()}
    if (opened == 1).all() and (closed == -1).all():
        return Agreement("C5", name, own, takes, "agree", evidence=evidence)
    if (opened == -1).all() and (closed == 1).all():
        return _differ("C5", name, own, takes, "the gripper closes where the policy opens it", evidence)
    words = f"the policy's open gripper is taken for {opened[0]:.3g} and its closed one for {closed[0]:.3g}, "
    return _differ("C5", name, own, takes, words + "where 1 is open and -1 closed", evidence)


def _units(spec: ExecSpec, controller: Controller, deployment: Deployment | None) -> Agreement:
    own = spec.conventions.units
    if deployment is None:
        return Agreement("C6", "units", own, UNKNOWN, "unknown")
    native = bool((controller.scale == 1).all())  # then what goes in is in the unit of what comes out
    takes: Fact[Any] = inferred(deployment.units[: spec.stats.dim], "it does not scale") if native else UNKNOWN
    if own.value is not None and takes.value is not None:
        both = list(zip(own.value, takes.value, strict=True))
        wrong = [d for d in deployment.arm if d < spec.stats.dim and both[d][0] != both[d][1]]
        if wrong:
            said, taken = both[wrong[0]]
            return _differ("C6", "units", own, takes, f"channel {wrong[0]} is in {said}, the controller takes {taken}")
        return Agreement("C6", "units", own, takes, "agree")
    return _ranges(deployment, own, takes)


def _ranges(deployment: Deployment, own: Fact[Any], takes: Fact[Any]) -> Agreement:
    """Units by size: how far the figures reach, against how far the controller's input goes."""
    controller, arm = deployment.controller, list(deployment.arm)
    reach, limits = deployment.reach[arm], deployment.limits[arm]
    if not arm or not np.isfinite(reach).all() or np.isnan(limits).any():
        return Agreement("C6", "units", own, takes, "unknown")
    if np.isinf(limits).any():
        return _leap(deployment, own, takes)
    ratio = reach / limits
    evidence = {"ratio": [float(x) for x in ratio]}
    seen = inferred(f"up to {ratio.max():.3g} times the input range", "figures at u = -1 and 1, over the input limits")
    taken = declared(f"up to {limits.max():.3g}", controller.source)
    d = int(np.argmax(ratio))
    if ratio[d] > BEYOND:
        words = f"channel {arm[d]} reaches {reach[d]:.4g}, {ratio[d]:.3g} times what the controller takes"
        if controller.unit[0] == "rad" and DEGREES / 5 < ratio[d] < DEGREES * 5:
            words += f"; degrees sent for radians are {DEGREES:.1f} times too large"
        return _differ("C6", "units", seen, taken, words, evidence)
    units = np.array([*controller.unit, ""])[controller.layout(deployment.width)]
    for unit in dict.fromkeys(controller.unit):
        same = ratio[np.tile(units, deployment.steps)[arm] == unit]
        if same.max() < 1 / BEYOND:
            words = f"no channel in {unit} uses more than {100 * same.max():.2g} % of its input range"
            return _differ("C6", "units", seen, taken, words, evidence)
    return Agreement("C6", "units", seen, taken, "agree", evidence=evidence)


def _leap(deployment: Deployment, own: Fact[Any], takes: Fact[Any]) -> Agreement:
    """Units by size where no input is clipped: a step of metres is a command that was never scaled."""
    reach = deployment.reach
    far = [d for d in deployment.arm if deployment.units[d] == "m" and reach[d] > LEAP]
    if not far or not deployment.controller.delta.value or takes.value is None:
        return Agreement("C6", "units", own, takes, "unknown")
    d = max(far, key=lambda channel: float(reach[channel]))
    seen = inferred(f"up to {reach[d]:.3g} in one step", "figures at u = -1 and 1")
    words = f"channel {d} reaches {reach[d]:.4g}, which this controller, without a limit, takes for metres in one step"
    return _differ("C6", "units", seen, takes, words, {"reach": float(reach[d])})


def _order(own: Fact[tuple[str, ...]], takes: Fact[tuple[str, ...]]) -> Agreement:
    """By name: the same names in another order differ; names of another scheme cannot be compared."""
    if own.value is None or takes.value is None or sorted(own.value) != sorted(takes.value):
        return Agreement("C7", "channel order", own, takes, "unknown")
    return _equal("C7", "channel order", own, takes)


def _width(spec: ExecSpec, controller: Controller, misfit: str) -> Agreement:
    channels = controller.input_min.size
    takes: Any = "joints and a gripper, as many as are sent"
    if channels > 1:
        takes = (channels * controller.arms, (channels + 1) * controller.arms)
    own, other = declared(spec.stats.dim, "the figures"), declared(takes, controller.source)
    if not misfit:
        return Agreement("C9", "width", own, other, "agree")
    padding = int(spec.stats.padding.sum())
    words = f"{misfit}; the last {padding} channels are padding" if padding else misfit
    return _differ("C9", "width", own, other, words, {"padding": padding})


def _is_quaternion(fact: Fact[str]) -> bool:
    return fact.value is not None and fact.value.startswith("quat_")


def _equal(
    code: str, name: str, own: Fact[Any], takes: Fact[Any], same: Callable[[Any, Any], bool] = lambda a, b: a == b
) -> Agreement:
    if own.value is None or takes.value is None:
        return Agreement(code, name, own, takes, "unknown")
    if same(own.value, takes.value):
        return Agreement(code, name, own, takes, "agree")
    sides = (f"{fact.value} ({fact.status}: {fact.why})" for fact in (own, takes))
    return _differ(code, name, own, takes, "{} is {}, the controller takes {}".format(name, *sides))


def _differ(
    code: str, name: str, own: Fact[Any], takes: Fact[Any], message: str, evidence: Mapping[str, Any] | None = None
) -> Agreement:
    return Agreement(code, name, own, takes, "differ", message, evidence or {})


def _absent(code: str, name: str) -> Agreement:
    return Agreement(code, name, UNKNOWN, UNKNOWN, "absent")
