"""The one op table: what an un-normalizer does to a channel, as rows of plain numbers.

A table is a structured array of shape `(stages, D)`: stage `k` of channel `d` is `table[k, d]`, applied top
to bottom. C++, numba, JAX, the guard and its binary image read this table and nothing else. `Op` mirrors
`struct Op` of `cpp/include/execspec/ops.hpp`, byte for byte.

Every op carries the dtype in which its parameters meet the value (`same`: the value's own). What happens to
the value before that (the `u + 1` of an endpoint form) happens in the dtype the value arrives in, as NumPy
does it with a Python scalar. The result has the op's dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

from .errors import StatsError


class OpKind(IntEnum):
    """Formulas, with parameters `p` in the order given. `v` is the value on entry."""

    IDENTITY = 0  # v; with a dtype: a cast
    CLIP = 1  # lo, hi: min(max(v, lo), hi), NaN stays NaN
    ENDPOINT = 2  # lo, hi, eps: 0.5 (v + 1) w + lo, w = hi - lo + eps
    ZSCORE = 3  # mean, std, eps: v (std + eps) + mean
    LINEAR = 4  # scale, offset: v scale + offset
    STEP = 5  # threshold, below, at, above: by the sign of v - threshold, NaN stays NaN
    TO_ENDPOINT = 6  # lo, hi, eps: 2 (v - lo) / w - 1, w as in ENDPOINT
    TO_ZSCORE = 7  # mean, std, eps: (v - mean) / (std + eps)
    TO_LINEAR = 8  # scale, offset: (v - offset) / scale


class OpFlag(IntFlag):
    NONE = 0
    EPS_IF_ZERO = 1  # w = hi - lo, replaced by eps where it is exactly zero in the op's dtype
    HALF_LAST = 2  # ENDPOINT as (v + 1) w / 2 + lo: other bits only where a product under- or overflows


class OpDType(IntEnum):
    SAME = 0
    FLOAT32 = 1
    FLOAT64 = 2


OP = np.dtype([("kind", "<i4"), ("flags", "<i2"), ("dtype", "<i2"), ("p", "<f8", (4,))])
"""One op, 40 bytes."""

PARAMETERS = {
    OpKind.IDENTITY: (),
    OpKind.CLIP: ("lo", "hi"),
    OpKind.ENDPOINT: ("lo", "hi", "eps"),
    OpKind.ZSCORE: ("mean", "std", "eps"),
    OpKind.LINEAR: ("scale", "offset"),
    OpKind.STEP: ("threshold", "below", "at", "above"),
    OpKind.TO_ENDPOINT: ("lo", "hi", "eps"),
    OpKind.TO_ZSCORE: ("mean", "std", "eps"),
    OpKind.TO_LINEAR: ("scale", "offset"),
}

LIMIT = 1e150
"""Domain of validity: every finite parameter and every value drift is asked about is at most this large."""

OpTable = npt.NDArray[np.void]


def stage(
    dim: int,
    kind: OpKind,
    *parameters: npt.ArrayLike,
    dtype: OpDType = OpDType.SAME,
    flags: OpFlag = OpFlag.NONE,
    where: npt.ArrayLike | None = None,
) -> OpTable:
    """One row of a table: the same op on every channel, parameters scalars or of shape `(dim,)`.

    Channels where `where` (bool, `(dim,)`) is False get the identity with the same dtype, which is what
    `np.where(mask, f(u), u)` does to the channels it passes through.
    """
    row = np.zeros((1, dim), OP)
    row["kind"], row["flags"], row["dtype"] = kind, flags, dtype
    for k, value in enumerate(parameters):
        row["p"][0, :, k] = value
    if where is not None:
        keep = np.asarray(where, np.bool_)
        row["kind"][0, ~keep] = OpKind.IDENTITY
        row["flags"][0, ~keep] = 0
        row["p"][0, ~keep] = 0.0
    return row


def table(*stages: OpTable) -> OpTable:
    """Stack stages into a checked, read-only table of shape `(stages, D)`."""
    ops = np.concatenate(stages, axis=0)
    validate(ops)
    ops.flags.writeable = False
    return ops


def validate(ops: OpTable) -> None:
    """Raise `StatsError` naming the first channel whose parameters no map can be made of."""
    p = ops["p"]
    bad = ~(np.abs(p) <= LIMIT)
    infinite_clip = (ops["kind"] == OpKind.CLIP)[..., None] & np.isinf(p)
    bad &= ~infinite_clip
    if bad.any():
        k, d, n = (int(i) for i in np.argwhere(bad)[0])
        kind = OpKind(int(ops["kind"][k, d]))
        raise StatsError(
            f"channel {d}: {kind.name.lower()} parameter {PARAMETERS[kind][n]} = {p[k, d, n]!r} is not a finite number "
            f"of magnitude <= {LIMIT:g}; repair or recompute the statistics of this channel"
        )
    flat = (ops["kind"] == OpKind.TO_LINEAR) & (np.abs(p[..., 0]) < 1 / LIMIT)
    if flat.any():
        k, d = (int(i) for i in np.argwhere(flat)[0])
        raise StatsError(
            f"channel {d}: cannot divide by scale = {float(p[k, d, 0])!r}; its magnitude must be {1 / LIMIT:g} or more"
        )
    clip = ops["kind"] == OpKind.CLIP
    crossed = clip & (p[..., 0] > p[..., 1])
    if crossed.any():
        k, d = (int(i) for i in np.argwhere(crossed)[0])
        raise StatsError(f"channel {d}: clip bounds are crossed, lo = {p[k, d, 0]!r} > hi = {p[k, d, 1]!r}")


def describe(ops: OpTable) -> Sequence[str]:
    """The ops of each channel in words, e.g. `clip(-1, 1) | endpoint(-0.03, 0.03, 1e-08)`; `D` strings."""
    return [" | ".join(_one(ops[k, d]) for k in range(ops.shape[0])) for d in range(ops.shape[1])]


def _one(op: np.void) -> str:
    kind = OpKind(int(op["kind"]))
    names = PARAMETERS[kind]
    inside = ", ".join(f"{name}={value:.9g}" for name, value in zip(names, op["p"], strict=False))
    return f"{kind.name.lower()}({inside})" if names else kind.name.lower()
