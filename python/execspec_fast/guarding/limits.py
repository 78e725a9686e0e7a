"""The limits of a guard, column by column: from the spec's domain and what a user adds, each with its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..controller import Controller
from ..errors import GuardError
from ..ops import OpKind
from ..stats import FloatArray
from .bands import Bands
from .envelope import image_of
from .given import BY_USER, NOT_CHECKED, bounds, limit, per_channel
from .subject import Stage, Subject

Range = tuple[npt.ArrayLike, npt.ArrayLike]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers of a guard are from.

    Attributes:
        built: what the guard is built from: a certificate, or `user`.
        domain: of the spec's image; empty to name domain and profile.
        controller: of its input range; empty to name the controller.
        limits: of low and high.
        numbers: of every other number.
    """

    built: str = "user"
    domain: str = ""
    controller: str = ""
    limits: str = BY_USER
    numbers: str = BY_USER


@dataclass(frozen=True, eq=False)
class Limits:
    """What an action is held against besides the spec's own map.

    Attributes:
        columns: `low`, `high`, `margin`, `middle`, `inverse`, `jump`, `walk`, each `(T, D)`.
        sources: of each channel, by name of `image.SOURCES` but the tolerance.
    """

    columns: dict[str, FloatArray]
    sources: tuple[dict[str, str], ...]


def limits_of(
    subject: Subject,
    bands: Bands,
    stage: Stage,
    limits: Range | None,
    controller: Controller | None,
    margin: npt.ArrayLike | None,
    jump: npt.ArrayLike | None,
    walk: npt.ArrayLike | None,
    sources: Sources,
) -> Limits:
    """
    Args:
        limits: low and high, given.
        controller: whose input range holds too.

    Raises:
        GuardError: a bad limit; a channel that nothing bounds, or whose limits leave nothing of the spec; a walk of
            actions that are no deltas.
    """
    shape = (subject.steps, subject.dim)
    image = image_of(subject.map, bands.wider).reshape(2, *shape)
    allowed = {
        f"image of {subject.domain}" if not sources.domain else sources.domain: image,
        f"limits {sources.limits}": _given(limits, subject),
        sources.controller or _named(controller): _inputs(controller, subject, stage),
    }
    low = np.maximum.reduce([np.broadcast_to(ends[0], shape) for ends in allowed.values()])
    high = np.minimum.reduce([np.broadcast_to(ends[1], shape) for ends in allowed.values()])
    _check(low, high, image, subject)
    width = high - low
    share = _shares(margin, subject.names)
    with np.errstate(over="ignore", divide="ignore"):
        inverse = 2 / width
    jumps, walks = _of_arm("jump", jump, subject), _walks(walk, subject)
    columns = {
        "low": low,
        "high": high,
        "margin": np.maximum(share * width, bands.tolerance.reshape(shape)),
        "middle": low / 2 + high / 2,
        "inverse": np.where(np.isfinite(inverse), inverse, 0.0),
        "jump": np.broadcast_to(jumps, shape),
        "walk": np.broadcast_to(walks, shape),
    }
    room = "" if margin is None else f"; margin {sources.numbers}"

    def envelope(d: int) -> str:
        """What binds a channel: the image, and the limits that take something of it away."""
        texts = [
            text
            for text, ends in allowed.items()
            if ends is image or ((ends[0] > image[0])[..., d] | (ends[1] < image[1])[..., d]).any()
        ]
        return ", within ".join(texts) + room

    return Limits(
        columns,
        tuple(
            {
                "envelope": envelope(d),
                "jump": sources.numbers if np.isfinite(jumps[d]) else NOT_CHECKED,
                "walk": f"{sources.numbers if np.isfinite(walks[d]) else NOT_CHECKED}; {_held(subject, d)}",
            }
            for d in range(subject.dim)
        ),
    )


def _given(limits: Range | None, subject: Subject) -> FloatArray:
    """`(2, D)`; infinite where nothing is said."""
    return bounds("limits", limits, subject.names)


def _inputs(controller: Controller | None, subject: Subject, stage: Stage) -> FloatArray:
    """`(2, D)`, what a controller takes; infinite for channels that its client changes only after this stage."""
    ends = np.array([[-np.inf], [np.inf]]) * np.ones(subject.dim)
    if controller is None:
        return ends
    reading = controller.gripper.value
    gripper = (-np.inf, np.inf) if reading is None else reading.range
    inputs = controller.input_min, controller.input_max
    taken = np.stack([controller.spread(own, end, subject.dim) for own, end in zip(inputs, gripper, strict=True)])
    if stage == "unnormalized" and subject.post is not None:
        changed = (subject.post["kind"] != OpKind.IDENTITY).any(axis=0).reshape(-1, subject.dim).any(axis=0)
        taken[:, changed] = ends[:, changed]
    return taken


def _check(low: FloatArray, high: FloatArray, image: FloatArray, subject: Subject) -> None:
    for step, d in np.argwhere(~(np.isfinite(low) & np.isfinite(high)))[:1]:
        raise GuardError(
            f"channel {subject.names[d]}: from {low[step, d]:.6g} to {high[step, d]:.6g}, nothing bounds it: not "
            f"{subject.domain}, and no limit; say what the controller takes, limits=(low, high)"
        )
    for step, d in np.argwhere(~(low <= high))[:1]:
        raise GuardError(
            f"channel {subject.names[d]}: the spec gives {image[0, step, d]:.6g} to {image[1, step, d]:.6g}, and the "
            "limits leave none of it; they may be of another unit or another robot"
        )


def _shares(margin: npt.ArrayLike | None, names: Sequence[str]) -> FloatArray:
    share = per_channel("margin", 0.0 if margin is None else margin, names)
    for d in np.flatnonzero(~((share >= 0) & (share <= 1)))[:1]:
        raise GuardError(
            f"channel {names[d]}: margin = {share[d]:.9g} is no share of the envelope's width, from 0 to 1"
        )
    return share


def _of_arm(name: str, value: npt.ArrayLike | None, subject: Subject) -> FloatArray:
    """`(D,)`; a single number is not meant for grippers, which open and close at once."""
    full = limit(name, value, subject.names)
    if value is not None and np.ndim(value) == 0:
        full[list(subject.grippers)] = np.inf
        if np.isinf(full).all():
            raise GuardError(f"{name}: one number is for the arm, and every channel is a gripper: give {full.size}")
    return full


def _walks(walk: npt.ArrayLike | None, subject: Subject) -> FloatArray:
    full = _of_arm("walk", walk, subject)
    told = subject.representation
    if walk is not None and told.value != "delta":
        why = f"{told.value} ({told.why})" if told.value else "not known to be: say relative=True if they are"
        raise GuardError(f"walk limits what deltas add up to, and the actions of {subject.name} are {why}")
    for d in subject.grippers:
        if np.isfinite(full[d]):
            raise GuardError(
                f"channel {subject.names[d]}: walk limits what deltas add up to, and a gripper is absolute"
            )
    return full


def _held(subject: Subject, d: int) -> str:
    if d in subject.grippers:
        return "absolute (a gripper)"
    told = subject.representation
    return f"{told.value} ({told.status}: {told.why})" if told.value else "deltas or absolute: unknown"


def _named(controller: Controller | None) -> str:
    return f"controller {controller.name} ({controller.source})" if controller else "no controller"
