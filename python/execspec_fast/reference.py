"""The oracle: what an op table means, in plain NumPy, one channel and one op at a time.

Slow and literal on purpose. It is the only second definition of the ops and exists to be compared with; nothing else
in the package calls it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ShapeMismatchError
from .ops import OpDType, OpFlag, OpKind, OpTable

FloatArray = npt.NDArray[np.float64]


def unnormalize(table: OpTable, u: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Apply a table to `u`, with the dtype flow of its ops.

    Args:
        table: ops of shape `(stages, D)`.
        u: float32 or float64, shape `(..., D)`.

    Returns:
        Shape `(..., D)`, in the widest dtype a channel ends in.
    """
    if u.ndim == 0 or u.shape[-1] != table.shape[1]:
        raise ShapeMismatchError(f"u has shape {u.shape}, the table has {table.shape[1]} channels in its last axis")
    columns = []
    for channel in range(table.shape[1]):
        v = u[..., channel]
        for op in table[:, channel]:
            v = _apply(op, v)
        columns.append(v)
    return np.stack(columns, axis=-1)


def evaluate(table: OpTable, channel: int, u: npt.ArrayLike) -> FloatArray:
    """`f(u)` of one channel, every op in float64 whatever dtype it carries; the shape of `u`.

    Which side of a step an action is on is a matter of rounding, and is what applying finds for a float64 `u`.
    """
    v: npt.NDArray[np.floating[Any]] = np.asarray(u, np.float64)
    applied = v
    for op in table[:, channel]:
        if op["kind"] == OpKind.STEP:
            side = op.copy()
            side["p"][1:] = -1.0, 0.0, 1.0
            v = op["p"][2 + _apply(side, applied).astype(np.intp)]
        else:
            wide = op.copy()
            wide["dtype"] = OpDType.FLOAT64
            v = _apply(wide, v)
        applied = _apply(op, applied)
    return np.asarray(v, np.float64)


def drift(table_i: OpTable, table_j: OpTable, u: npt.ArrayLike) -> dict[str, Any]:
    """What executing `j` where `i` was meant does, by brute force over the rows of `u`, shape `(N, D)`.

    With `delta = f_j(u) - f_i(u)` in float64: `mean_abs = mean |delta|`, `bias = mean delta`,
    `rms = sqrt(mean delta^2)`, `max = max |delta|`, each of shape `(D,)`, and the scalar
    `mean_l2 = mean ||delta||_2` over all channels.
    """
    rows = np.asarray(u, np.float64)
    channels = range(table_i.shape[1])
    delta = np.stack([evaluate(table_j, d, rows[:, d]) - evaluate(table_i, d, rows[:, d]) for d in channels], axis=1)
    return {
        "mean_abs": np.abs(delta).mean(axis=0),
        "bias": delta.mean(axis=0),
        "rms": np.sqrt((delta**2).mean(axis=0)),
        "max": np.abs(delta).max(axis=0),
        "mean_l2": float(np.sqrt((delta**2).sum(axis=1)).mean()),
    }


def mismatch(table_i: OpTable, table_j: OpTable) -> tuple[FloatArray, FloatArray]:
    """`scale` and `offset`, each `(D,)`, of the map `T(a) = scale * a + offset` from what `i` meant to what `j` does.

    With `f(u) = s u + c` on both sides, `scale = s_j / s_i` and `offset = c_j - scale c_i`. NaN where `s_i` is zero
    or a channel clips or steps.
    """
    (s_i, c_i), (s_j, c_j) = _affine(table_i), _affine(table_j)
    with np.errstate(all="ignore"):
        scale = np.where(s_i == 0, np.nan, s_j / s_i)
        return scale, c_j - scale * c_i


def _affine(table: OpTable) -> tuple[FloatArray, FloatArray]:
    """Slope and intercept of each channel, each `(D,)`; NaN where it clips or steps."""
    slope, intercept = np.ones(table.shape[1]), np.zeros(table.shape[1])
    for d in range(table.shape[1]):
        for op in table[:, d]:
            s, c = _line(op)
            slope[d], intercept[d] = s * slope[d], s * intercept[d] + c
    return slope, intercept


def _line(op: np.void) -> tuple[float, float]:
    p = op["p"]
    match OpKind(int(op["kind"])):
        case OpKind.IDENTITY:
            return 1.0, 0.0
        case OpKind.LINEAR:
            return p[0], p[1]
        case OpKind.ZSCORE:
            return p[1] + p[2], p[0]
        case OpKind.TO_ZSCORE:
            return 1 / (p[1] + p[2]), -p[0] / (p[1] + p[2])
        case OpKind.TO_LINEAR:
            return 1 / p[0], -p[1] / p[0]
        case OpKind.ENDPOINT:
            return _width(op, p) / 2, p[0] + _width(op, p) / 2
        case OpKind.TO_ENDPOINT:
            return 2 / _width(op, p), -2 * p[0] / _width(op, p) - 1
        case _:
            return np.nan, np.nan


def _width(op: np.void, p: npt.NDArray[Any]) -> Any:
    """`hi - lo + eps`, or by flag `hi - lo` with `eps` in the place of an exact zero, in the dtype of `p`."""
    lo, hi, eps = p[0], p[1], p[2]
    width = hi - lo
    if op["flags"] & OpFlag.EPS_IF_ZERO:
        return eps if width == 0 else width
    return width + eps


def _apply(op: np.void, v: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    before = v.dtype.type
    after = {OpDType.SAME: before, OpDType.FLOAT32: np.float32, OpDType.FLOAT64: np.float64}[OpDType(int(op["dtype"]))]
    with np.errstate(all="ignore"):
        p = op["p"].astype(after)
        x: npt.NDArray[np.floating[Any]] = v.astype(after)
        match OpKind(int(op["kind"])):
            case OpKind.IDENTITY:
                return x
            case OpKind.CLIP:
                return np.where(x < p[0], p[0], np.where(x > p[1], p[1], x))
            case OpKind.ENDPOINT:
                if op["flags"] & OpFlag.HALF_LAST:
                    return np.asarray((v + before(1)).astype(after) * _width(op, p) / after(2) + p[0])
                return np.asarray((before(0.5) * (v + before(1))).astype(after) * _width(op, p) + p[0])
            case OpKind.ZSCORE:
                return np.asarray(x * (p[1] + p[2]) + p[0])
            case OpKind.LINEAR:
                return np.asarray(x * p[0] + p[1])
            case OpKind.STEP:
                return np.select([x < p[0], x == p[0], x > p[0]], [p[1], p[2], p[3]], default=after(np.nan))
            case OpKind.TO_ENDPOINT:
                return np.asarray(after(2) * (x - p[0]) / _width(op, p) - after(1))
            case OpKind.TO_ZSCORE:
                return np.asarray((x - p[0]) / (p[1] + p[2]))
            case OpKind.TO_LINEAR:
                return np.asarray((x - p[1]) / p[0])
