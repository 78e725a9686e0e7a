"""The gate's step for jitted loops, as in `cpp/include/execspec/guard/gate.hpp`: the same faults from an image."""
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import GuardError
from ..guarding.guard import Guard
from ..guarding.image import COLUMNS
from ..guarding.status import HARD, Fault, Mode
from ..ops import OpDType, OpKind, OpTable
from .apply import apply_rows
from .jit import jit

NOT_FINITE, LENGTH, MISMATCH, ENVELOPE, JUMP, WALK, GRIPPER, STALE, LATCHED = (
    int(fault)
    for fault in (
        Fault.NOT_FINITE, Fault.LENGTH, Fault.MISMATCH, Fault.ENVELOPE, Fault.JUMP, Fault.WALK, Fault.GRIPPER,
        Fault.STALE, Fault.LATCHED,
    )
)  # fmt: skip
SOFT = ~int(HARD)
STEP, SAME, FLOAT64 = int(OpKind.STEP), int(OpDType.SAME), int(OpDType.FLOAT64)
TOLERANCE, LOW, HIGH, MARGIN, JUMPS, WALKS = (
    COLUMNS.index(name) for name in ("tolerance", "low", "high", "margin", "jump", "walk")
)


class Plan(NamedTuple):
    """What a gate checks: arrays of a guard image, read-only.

    Attributes:
        ops: `(stages, D)`.
        columns: `(len(image.COLUMNS), D)`.
        relative: `(D,)`, 1 where a channel is a delta.
        values: `(D, 3)`, a gripper's commands; NaN where there are fewer.
        u_zero, a_zero: arrays of one number, of the dtypes in which the ops begin and end.
        latch: faults, steps; and whether faults are enforced.
        max_age: seconds; infinite where not checked.
    """

    ops: OpTable
    columns: npt.NDArray[np.float64]
    relative: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    u_zero: npt.NDArray[Any]
    a_zero: npt.NDArray[Any]
    latch: tuple[int, int, bool]
    max_age: float


class State(NamedTuple):
    """What a gate remembers.

    Attributes:
        last, walk: `(D,)`, the last action that ran, and what deltas add up to.
        flags: whether an action ran, the level of the latch, whether it latched.
    """

    last: npt.NDArray[np.float64]
    walk: npt.NDArray[np.float64]
    flags: npt.NDArray[np.int64]


MOVED, LEVEL, SHUT = range(3)


def gate_plan(image: bytes) -> Plan:
    """The gate of a guard image (`Guard.image`), for `gate_step`.

    Raises:
        FormatError: no whole guard image.
        GuardError: figures per time step, which only `Guard.accept` checks.
    """
    own = Guard.from_image(image).contents  # its loader refuses numbers that no limit can be
    if own.steps > 1:
        raise GuardError(f"{own.spec}: figures of {own.steps} time steps are checked by the chunk, with Guard.accept")
    values = np.full((own.dim, 3), np.nan)
    for d, channel in enumerate(own.channels):
        values[d, : len(channel.values)] = channel.values
    narrow = {OpDType.FLOAT32: np.float32, OpDType.FLOAT64: np.float64}
    return Plan(
        np.ascontiguousarray(own.ops),
        np.ascontiguousarray(own.columns[:, 0]),
        np.array([float(channel.relative) for channel in own.channels]),
        values,
        np.zeros(1, narrow[own.u_dtype]),
        np.zeros(1, narrow[own.a_dtype]),
        (*own.latch, own.mode == Mode.ENFORCE),
        own.max_age,
    )


def gate_state(plan: Plan) -> State:
    """A gate that nothing has passed yet."""
    dim = plan.relative.size
    return State(np.zeros(dim), np.zeros(dim), np.zeros(3, np.int64))


@jit
def gate_step(
    plan: Plan,
    state: State,
    u: npt.NDArray[Any],
    a: npt.NDArray[Any],
    stamp: float = np.nan,
    now: float = np.nan,
) -> int:
    """Check one action, as `Guard.step`: the same faults, bit for bit, and the same state after them.

    Counters, records and attribution are `Guard`'s alone.

    Args:
        plan: from `gate_plan`.
        state: from `gate_state`; written.
        u, a: `(D,)`, what the policy emits and what is to be executed.
        stamp, now: seconds of one monotonic clock, where the guard has a `max_age`.

    Returns:
        The bits of `Fault`; 0 is a clean step.
    """
    dim = plan.relative.size
    if state.flags[SHUT]:
        return int(_settle(plan, state, 0))
    if u.size != dim or a.size != dim:
        return int(_settle(plan, state, LENGTH))
    faults = 0 if _fresh(stamp, now, plan.max_age) else STALE
    for d in range(dim):
        if not (np.isfinite(u[d]) and np.isfinite(a[d])):
            return int(_settle(plan, state, faults | NOT_FINITE))
    last, walk = np.empty(dim), np.empty(dim)
    for d in range(dim):
        value = np.float64(a[d])
        jump = abs(value - state.last[d]) if state.flags[MOVED] else 0.0
        last[d], walk[d] = value, state.walk[d] + plan.relative[d] * value
        low, high, margin = plan.columns[LOW, d], plan.columns[HIGH, d], plan.columns[MARGIN, d]
        if not _agrees(plan, d, np.float64(u[d]), value):
            faults |= MISMATCH
        if not _known_command(plan, d, value):
            faults |= GRIPPER
        if not (value >= low and value <= high) and not (value >= low - margin and value <= high + margin):
            faults |= ENVELOPE
        if not jump <= plan.columns[JUMPS, d]:
            faults |= JUMP
        if not abs(walk[d]) <= plan.columns[WALKS, d]:
            faults |= WALK
    decided = int(_settle(plan, state, faults))
    if decided == 0 or not plan.latch[2]:
        state.last[:], state.walk[:] = last, walk
        state.flags[MOVED] = 1
    return decided


@jit
def _fresh(stamp, now, max_age):
    return not np.isfinite(max_age) or (now - stamp >= 0.0 and now - stamp <= max_age)


@jit
def _scale(u):
    return max(min(abs(u), 1e150), 1.0)


@jit
def _apply(ops, value, zero):
    """One channel of a table on one value, which begins in the dtype of `zero`; float64."""
    start, end = np.empty_like(zero).reshape(1, 1), np.empty((1, 1))
    start[0, 0] = value
    apply_rows(ops, start, end)
    return end[0, 0]


@jit
def _close(plan, value, a, allowed):
    rounded = np.empty_like(plan.a_zero)
    rounded[0] = value
    return abs(a - np.float64(rounded[0])) <= allowed


@jit
def _agrees(plan, d, u, a):
    ops, tolerance = plan.ops[:, d : d + 1], plan.columns[TOLERANCE, d]
    allowed = tolerance * _scale(u)
    if _close(plan, _apply(ops, u, plan.u_zero), a, allowed):
        return True
    wide = plan.u_zero.itemsize == 8
    for k in range(len(ops)):
        op = ops[k, 0]
        wide = wide if op.dtype == SAME else op.dtype == FLOAT64
        if op.kind != STEP:
            continue
        before = _apply(ops[:k], u, plan.u_zero)
        if not abs(before - op.p[0]) <= tolerance * _scale(before):
            continue
        for side in (op.p[1], op.p[2], op.p[3]):
            rest = (
                _apply(ops[k + 1 :], side, np.zeros(1)) if wide else _apply(ops[k + 1 :], side, np.zeros(1, np.float32))
            )
            if _close(plan, rest, a, allowed):
                return True
    return False


@jit
def _known_command(plan, d, a):
    return np.isnan(plan.values[d, 0]) or (np.abs(a - plan.values[d]) <= plan.columns[TOLERANCE, d]).any()


@jit
def _settle(plan, state, faults):
    """The latch, and what a refusal leaves behind: a delta is held by zero."""
    weight = plan.latch[1]
    enforce = plan.latch[2]
    state.flags[LEVEL] = max(state.flags[LEVEL] - 1, 0)
    if faults & SOFT:
        state.flags[LEVEL] += weight
    if faults & ~SOFT or state.flags[LEVEL] > (plan.latch[0] - 1) * weight:
        state.flags[SHUT], state.flags[LEVEL] = enforce, 0
        faults |= LATCHED
    if state.flags[SHUT]:
        faults |= LATCHED
    if faults and enforce:
        for d in range(plan.relative.size):
            if plan.relative[d] > 0.0:
                state.last[d] = 0.0
    return faults
