"""`guard_image`: a spec and what a user adds, as a guard image."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt

from ..controller import Controller
from ..errors import GuardError
from ..formats.controller_files import load_controller
from ..ops import OpDType
from ..spec import ExecSpec
from ..unnormalizer import Unnormalizer
from .bands import MOST_ULPS, ULPS, Bands
from .envelope import commands
from .given import NOT_CHECKED, seconds, whole
from .image import COLUMNS, MAX_CHANNELS, MAX_LATCH, MAX_ROWS, MAX_SIBLINGS, MAX_STAGES, Candidate, Channel, GuardImage
from .limits import Range, Sources, limits_of
from .status import Mode
from .subject import DELTAS, STAGES, Stage, Subject
from .watching import WatchLimits

DType = Literal["float32", "float64"]
DTYPES = {"float32": OpDType.FLOAT32, "float64": OpDType.FLOAT64}
LATCH = (3, 10)


class Options(TypedDict, total=False):
    """The types of what `guard_image` takes beside the spec."""

    stage: Stage
    limits: Range | None
    controller: Controller | str | os.PathLike[str] | None
    margin: npt.ArrayLike | None
    jump: npt.ArrayLike | None
    walk: npt.ArrayLike | None
    max_age: float | None
    relative: bool | None
    siblings: Iterable[ExecSpec | Unnormalizer]
    dtype: DType | tuple[DType, DType]
    mode: str
    latch: tuple[int, int]
    ulps: float | None
    watch: WatchLimits | None
    sources: Sources | None


def guard_image(
    spec: ExecSpec | Unnormalizer,
    *,
    stage: Stage = "command",
    limits: Range | None = None,
    controller: Controller | str | os.PathLike[str] | None = None,
    margin: npt.ArrayLike | None = None,
    jump: npt.ArrayLike | None = None,
    walk: npt.ArrayLike | None = None,
    max_age: float | None = None,
    relative: bool | None = None,
    siblings: Iterable[ExecSpec | Unnormalizer] = (),
    dtype: DType | tuple[DType, DType] = "float64",
    mode: str = "observe",
    latch: tuple[int, int] = LATCH,
    ulps: float | None = None,
    watch: WatchLimits | None = None,
    sources: Sources | None = None,
) -> GuardImage:
    """What a guard of `spec` checks.

    Args:
        stage: where `a` is taken: as the `command` that a client sends, after its own ops (the spec's `post`, or those
            of the script for this controller), or `unnormalized`, before them.
        limits: low and high of an action, each a number or `(D,)`; needed where neither the domain of u nor the
            controller bounds a channel.
        controller: what the action is sent to, or its file or name: its input range holds too.
        margin: how far beyond the envelope still passes, and is counted: a share of its width, a number or `(D,)`; at
            least the tolerance.
        jump: largest change of an action, a number (of the arm) or `(D,)`, in units of the action; None: not checked.
        walk: largest sum of deltas since the last reset; as `jump`.
        max_age: seconds an action may be old; None: not checked.
        relative: whether actions are deltas, where files do not say and figures do not show it.
        siblings: keys that might run in the spec's place, at most 64.
        dtype: of u and a, `float32` or `float64`; a pair where they differ.
        mode: `observe`, `warn` or `enforce`.
        latch: so many soft faults within so many steps latch.
        ulps: how far a may be from U(u), in units of the channel's scale; None for 8.
        watch: limits of the command at the controller's rate.
        sources: where the numbers are from, if not all from the user.

    Raises:
        GuardError: a bad limit, one that is missing, or siblings of another shape.
        UnknownControllerError, FormatError: of a controller's name or file.
        ShapeMismatchError: a controller for actions of another width.
    """
    sources = sources or Sources()
    if stage not in STAGES:
        raise GuardError(f"stage {stage!r}: `a` is taken at one of {', '.join(STAGES)}")
    if not isinstance(mode, str) or mode.upper() not in Mode.__members__:
        raise GuardError(f"mode {mode!r}: one of {', '.join(one.name.lower() for one in Mode)} is wanted")
    if relative is not None and not isinstance(relative, bool):
        raise GuardError(
            f"relative = {relative!r}: True for deltas, False for absolute actions, None for what is known"
        )
    if watch is not None and not isinstance(watch, WatchLimits):
        raise GuardError(f"watch takes WatchLimits, got {type(watch).__name__}")
    robot = load_controller(controller) if isinstance(controller, str | os.PathLike) else controller
    if robot is not None and not isinstance(robot, Controller):
        raise GuardError(f"controller takes a Controller, its file or its name, got {type(robot).__name__}")
    subject = Subject.of(spec, stage, robot).told(relative)
    for what, most, count in (
        ("channels", MAX_CHANNELS, subject.dim),
        ("time steps", MAX_ROWS, subject.steps),
        ("stages of ops", MAX_STAGES, len(subject.map.table())),
    ):
        if count > most:
            raise GuardError(f"{subject.name} has {count} {what}; a guard takes {most}")
    held = subject.representation.value
    if Mode[mode.upper()] is Mode.ENFORCE and held is None:
        raise GuardError(
            "mode enforce holds the robot still where an action is refused, and no file says whether the actions of "
            f"{subject.name} are deltas or absolute: say relative=True or relative=False"
        )
    u_dtype, a_dtype = _dtypes(dtype)
    scale = _ulps(ulps)
    bands = Bands.of(subject.map, u_dtype, a_dtype, scale)
    found = limits_of(subject, bands, stage, limits, robot, margin, jump, walk, sources)
    others = [subject.sibling(sibling, stage) for sibling in _few(siblings)]
    candidates = [(subject, bands), *((other, Bands.of(other.map, u_dtype, a_dtype, scale)) for other in others)]
    numbers = {**bands.lines, "near": bands.near, "tolerance": bands.tolerance, **found.columns}
    digits = f"{scale:g} ULP of {{}}, {'default' if ulps is None else sources.numbers}"
    return GuardImage(
        spec=subject.name,
        digest=subject.digest,
        stage=stage,
        source=sources.built,
        mode=Mode[mode.upper()],
        channels=tuple(
            Channel(
                subject.names[d],
                subject.units[d],
                held in DELTAS and d not in subject.grippers,
                _commands(subject, d),
                {**found.sources[d], "tolerance": digits.format(bands.dtype[d].name.lower())},
            )
            for d in range(subject.dim)
        ),
        ops=subject.map.table(),
        columns=np.stack([np.reshape(numbers[name], (subject.steps, subject.dim)) for name in COLUMNS]),
        candidates=tuple(Candidate(one.name, one.digest) for one, _ in candidates),
        lines=np.stack([one.evidence for _, one in candidates], axis=-1),
        u_dtype=u_dtype,
        a_dtype=a_dtype,
        latch=_latch(latch),
        max_age=seconds("max_age", max_age),
        max_age_source=NOT_CHECKED if max_age is None else sources.numbers,
        watch=None if watch is None else watch.watched(),
    )


def _commands(subject: Subject, d: int) -> tuple[float, ...]:
    """Of a gripper, the same in every time step."""
    found = {commands(subject.map, column) for column in range(d, subject.map.dim, subject.dim)}
    return found.pop() if len(found) == 1 else ()


def _dtypes(dtype: DType | tuple[DType, DType]) -> tuple[OpDType, OpDType]:
    pair = tuple(dtype) if isinstance(dtype, list | tuple) else (dtype, dtype)
    if len(pair) != 2 or not all(isinstance(one, str) and one in DTYPES for one in pair):
        raise GuardError(f"dtype {dtype!r}: {' or '.join(DTYPES)}, of u and a, or a pair of them")
    return DTYPES[pair[0]], DTYPES[pair[1]]


def _ulps(ulps: float | None) -> float:
    if ulps is None:
        return float(ULPS)
    if isinstance(ulps, bool) or not isinstance(ulps, int | float) or not 1 <= ulps <= MOST_ULPS:
        raise GuardError(f"ulps = {ulps!r}: a number from 1 to {MOST_ULPS} is wanted")
    return float(ulps)


def _latch(latch: tuple[int, int]) -> tuple[int, int]:
    try:
        faults, steps = latch
    except (TypeError, ValueError):
        raise GuardError(f"latch = {latch!r}: a pair (faults, steps) is wanted") from None
    within = whole("latch: steps", steps, 1, MAX_LATCH)
    return whole("latch: faults", faults, 1, within), within


def _few(given: Iterable[ExecSpec | Unnormalizer]) -> Sequence[ExecSpec | Unnormalizer]:
    if isinstance(given, ExecSpec | Unnormalizer) or not isinstance(given, Iterable):
        raise GuardError(f"siblings takes several specs, a list of them, got {type(given).__name__}")
    siblings = tuple(given)
    if len(siblings) > MAX_SIBLINGS:
        raise GuardError(f"{len(siblings)} siblings; at most {MAX_SIBLINGS} are told apart: leave the nearest")
    return siblings
