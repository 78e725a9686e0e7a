"""The op table applied row by row, as in `cpp/include/execspec/ops.hpp`: the same bits, from jitted code."""
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from .. import ops
from ..errors import ShapeMismatchError, StatsError
from ..ops import OpDType, OpFlag, OpKind, OpTable
from .jit import eager, jit

IDENTITY, CLIP, ENDPOINT, ZSCORE, LINEAR, STEP, TO_ENDPOINT, TO_ZSCORE, TO_LINEAR = (int(kind) for kind in OpKind)
EPS_IF_ZERO, HALF_LAST = int(OpFlag.EPS_IF_ZERO), int(OpFlag.HALF_LAST)
SAME, FLOAT32 = int(OpDType.SAME), int(OpDType.FLOAT32)
BLOCK = 64  # rows of one channel that stay in the first cache on their way through the ops

TABLE = nb.types.Array(nb.from_dtype(ops.OP), 2, "C", readonly=True)


def _signatures(*ranks: int) -> list[Any]:
    """Of `(table, values)`, for float32 and float64 arrays of these ranks."""
    floats = (nb.types.float32, nb.types.float64)
    return [(TABLE, nb.types.Array(kind, rank, "C", readonly=True)) for rank in ranks for kind in floats]


@jit
def _width(op, lo, hi, eps):
    w = hi - lo
    if op.flags & EPS_IF_ZERO:
        return eps if w == 0 else w
    return w + eps


@jit
def _apply_op(op, values, out, n):
    """One op on n values: what precedes the parameters in the dtype of `values`, the rest in that of `out`."""
    narrow, wide = values.dtype.type, out.dtype.type
    a, b, c, d = wide(op.p[0]), wide(op.p[1]), wide(op.p[2]), wide(op.p[3])
    kind = op.kind
    if kind == CLIP:
        for i in range(n):
            v = wide(values[i])
            v = a if v < a else v
            out[i] = b if v > b else v
    elif kind == ENDPOINT and op.flags & HALF_LAST:
        w = _width(op, a, b, c)
        for i in range(n):
            out[i] = wide(values[i] + narrow(1)) * w / wide(2) + a
    elif kind == ENDPOINT:
        w = _width(op, a, b, c)
        for i in range(n):
            out[i] = wide(narrow(0.5) * (values[i] + narrow(1))) * w + a
    elif kind == ZSCORE:
        for i in range(n):
            out[i] = wide(values[i]) * (b + c) + a
    elif kind == LINEAR:
        for i in range(n):
            out[i] = wide(values[i]) * a + b
    elif kind == STEP:
        for i in range(n):
            v = wide(values[i])
            out[i] = b if v < a else d if v > a else c if v == a else v
    elif kind == TO_ENDPOINT:
        w = _width(op, a, b, c)
        for i in range(n):
            out[i] = wide(2) * (wide(values[i]) - a) / w - wide(1)
    elif kind == TO_ZSCORE:
        for i in range(n):
            out[i] = (wide(values[i]) - a) / (b + c)
    elif kind == TO_LINEAR:
        for i in range(n):
            out[i] = (wide(values[i]) - b) / a
    elif kind == IDENTITY:
        for i in range(n):
            out[i] = wide(values[i])
    else:
        raise StatsError("the op table holds a kind that this version does not know")


@jit
def apply_rows(table, rows, out):
    stages, dim = table.shape
    float32, float64 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float64)
    for first in range(0, rows.shape[0], BLOCK):
        n = min(BLOCK, rows.shape[0] - first)
        for d in range(dim):
            is_narrow = rows.itemsize == 4
            for r in range(n):
                if is_narrow:
                    float32[r] = rows[first + r, d]
                else:
                    float64[r] = rows[first + r, d]
            for k in range(stages):
                op = table[k, d]
                to_narrow = is_narrow if op.dtype == SAME else op.dtype == FLOAT32
                if is_narrow and to_narrow:
                    _apply_op(op, float32, float32, n)
                elif is_narrow:
                    _apply_op(op, float32, float64, n)
                elif to_narrow:
                    _apply_op(op, float64, float32, n)
                else:
                    _apply_op(op, float64, float64, n)
                is_narrow = to_narrow
            for r in range(n):
                out[first + r, d] = float32[r] if is_narrow else float64[r]


@eager(_signatures(1, 2))
def unnormalize(table: OpTable, u: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Apply an op table to `u`: the bits of `Unnormalizer.__call__`, in u's dtype. Callable from jitted code.

    Args:
        table: `(stages, D)` of dtype `ops.OP`: `spec.unnormalizer.table()`; `spec.normalizer.table()` normalizes.
        u: float32 or float64, C-contiguous, of shape `(D,)`, `(N, D)` or `(N, T, D)`.

    Raises:
        ShapeMismatchError: the last axis of `u` is not the table's.
        StatsError: a table that no `Unnormalizer` has checked.
    """
    if u.shape[-1] != table.shape[1]:
        raise ShapeMismatchError("the last axis of u must hold the channels of the table")
    out = np.empty_like(u)
    if u.size:
        apply_rows(table, u.reshape(-1, table.shape[1]), out.reshape(-1, table.shape[1]))
    return out
