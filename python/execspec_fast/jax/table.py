"""Op tables as pytrees, and their literal application: `a = unnormalize(table, u)`.

Every kind of op is one formula, `clip(((v + shift) factor) scale / divisor + offset)`, or a step after it. Neutral
numbers stand for what a kind does not do, and round nothing. They are made once, from the op table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from ..errors import DTypeError, ShapeMismatchError
from ..ops import OpDType, OpFlag, OpKind, OpTable
from ..unnormalizer import Executable, Unnormalizer
from .precision import as_array, checked, widened, working_dtype


class Trained(Protocol):
    """An executable that knows its forward map: an `ExecSpec`."""

    @property
    def normalizer(self) -> Unnormalizer: ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Table:
    """The op tables of one key, or of a stack of K, as arrays `([K,] stages, D)`, for actions of one dtype.

    Stages are filled up with identities to a power of two, so that most stacks share a shape and jitted code is
    compiled once. `table[k]` is the k-th key's; `jax.vmap` runs over keys.

    Attributes:
        shift, factor, scale, divisor, offset, floor, ceiling: of the formula above.
        steps: bool, whether the op is a step; threshold, below, at, above: what it compares with, what it gives.
        early, late: bool, whether the value is a float32 before the op's figures are met, and after, in a wider array.
        actions: the dtype of the actions that the table is for.
    """

    shift: Array
    factor: Array
    scale: Array
    divisor: Array
    offset: Array
    floor: Array
    ceiling: Array
    steps: Array
    threshold: Array
    below: Array
    at: Array
    above: Array
    early: Array
    late: Array
    actions: str = field(metadata={"static": True})

    @classmethod
    def of(cls, specs: Executable | Sequence[Executable], dtype: npt.DTypeLike | None = None) -> Table:
        """Of one executable, or of K of the same D.

        Args:
            dtype: of the actions it is for: float32, float64, or None for the widest that JAX has.

        Raises:
            ShapeMismatchError: different D, or none at all.
            DTypeError: float64 while `jax_enable_x64` is off.
        """
        listed = list(specs) if isinstance(specs, Sequence) else [specs]
        tables = [spec.map.table() for spec in listed]
        if not tables or len({table.shape[1] for table in tables}) > 1:
            raise ShapeMismatchError(f"a stack needs keys of one D, got {[table.shape[1] for table in tables]}")
        stages = power_of_two(max(len(table) for table in tables))
        stacked = np.zeros((len(tables), stages, tables[0].shape[1]), tables[0].dtype)  # all zero is the identity
        for own, table in zip(stacked, tables, strict=True):
            own[: len(table)] = table
        actions = working_dtype(dtype)
        working = widened(actions, bool((stacked["dtype"] == OpDType.FLOAT64).any()))
        numbers = _numbers(stacked, actions == np.float32, working == np.float32)
        if not isinstance(specs, Sequence):
            numbers = {name: values[0] for name, values in numbers.items()}
        with np.errstate(over="ignore"):  # infinite, as where NumPy rounds figures to float32
            leaves = {n: jnp.asarray(x if x.dtype == bool else x.astype(working)) for n, x in numbers.items()}
        return cls(**leaves, actions=actions.name)

    @property
    def precision(self) -> str:
        """The dtype that ops run in."""
        return self.shift.dtype.name

    def __getitem__(self, key: Any) -> Table:
        taken: Table = jax.tree.map(lambda leaf: leaf[key], self)
        return taken


def unnormalize(spec: Executable | Table, u: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """Un-normalize actions as the ecosystem does, op by op in the dtype that each op carries.

    Within 4 eps of max(|lo|, |hi|, |range|) of what `spec.unnormalize` returns, eps that of the result's dtype.

    Args:
        spec: an executable, or the table of one key.
        u: normalized actions `(..., D)`, float32 or float64. Figures of T time steps have T D channels, so that chunks
            `(..., T, D)` are to be flattened.
        dtype: of the result; None for u's own.

    Raises:
        ShapeMismatchError: another D, or the table of many keys.
        DTypeError: a masked array; float16, bfloat16 and integers, which no profile is known to compute in; float64
            asked for while `jax_enable_x64` is off; a table for actions of another dtype.
    """
    array = as_array(u, "u")
    given = widened(checked(array.dtype), wide=False)
    result = given if dtype is None else working_dtype(dtype)
    table = spec if isinstance(spec, Table) else Table.of(spec, given)
    if table.shift.ndim != 2:
        raise ShapeMismatchError(
            f"the table holds {table.shift.shape[0]} keys; take one, table[k], or jax.vmap over them"
        )
    if table.actions != given.name:
        raise DTypeError(f"the table is for {table.actions}, the actions are {given}; Table.of(spec, dtype='{given}')")
    if array.ndim < 1 or array.shape[-1] != table.shift.shape[1]:
        raise ShapeMismatchError(
            f"u has shape {array.shape}, the table {table.shift.shape[1]} channels in its last axis, "
            "time steps included"
        )
    a: Array = _apply(table, jnp.asarray(array), result.name)
    return a


def normalize(spec: Trained | Table, a: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """The ecosystem's forward map, with its own clip and epsilon, of an `ExecSpec` or of `Table.of(spec.normalizer)`.

    Arguments and errors as `unnormalize`.
    """
    return unnormalize(spec if isinstance(spec, Table) else spec.normalizer, a, dtype)


def power_of_two(n: int) -> int:
    """The least that is not below n."""
    return 1 << (n - 1).bit_length()


@partial(jax.jit, static_argnames="result")
def _apply(table: Table, u: Array, result: str) -> Array:
    v = u.reshape(-1, u.shape[-1]).astype(table.shift.dtype)
    for stage in range(table.shift.shape[0]):
        v = _stage(table[stage : stage + 1], v)
    return v.astype(result).reshape(u.shape)


def _stage(op: Table, v: Array) -> Array:
    """One op on `(N, D)`."""
    v = _rounded(_rounded(_rounded(v, op.early) + op.shift, op.early) * op.factor, op.early)
    v = _rounded(_rounded(_rounded(v, op.late) * op.scale, op.late) / op.divisor, op.late)
    v = _rounded(v + op.offset, op.late)
    v = jnp.where(v < op.floor, op.floor, jnp.where(v > op.ceiling, op.ceiling, v))
    stepped = jnp.where(v < op.threshold, op.below, jnp.where(v > op.threshold, op.above, op.at))
    return jnp.where(op.steps & ~jnp.isnan(v), stepped, v)


def _rounded(x: Array, narrow: Array) -> Array:
    """To float32 where the value is one: exactly its arithmetic, since float64 has more than twice its digits."""
    return x if x.dtype == jnp.float32 else jnp.where(narrow, lax.reduce_precision(x, 8, 23), x)


def _numbers(ops: OpTable, narrow: bool, only_float32: bool) -> dict[str, npt.NDArray[Any]]:
    """The leaves of `(K, stages, D)` ops, each number as the op computes it from its parameters in its own dtype.

    Args:
        narrow: whether actions arrive in float32.
        only_float32: whether all is done in it.
    """
    own = [np.full(ops.shape[::2], narrow)]
    for k in range(ops.shape[1]):
        same = ops["dtype"][:, k] == OpDType.SAME
        own.append(np.where(same, own[-1], ops["dtype"][:, k] == OpDType.FLOAT32) | only_float32)
    before, after = np.stack(own[:-1], axis=1) | only_float32, np.stack(own[1:], axis=1)

    def rounded(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.where(after, x.astype(np.float32), x)

    with np.errstate(all="ignore"):
        a, b, c, d = (rounded(ops["p"][..., n]) for n in range(4))
        span = rounded(b - a)
        width = np.where(ops["flags"] & OpFlag.EPS_IF_ZERO, np.where(span == 0, c, span), rounded(span + c))
        deviation = rounded(b + c)
    half_last = (ops["flags"] & OpFlag.HALF_LAST) != 0
    one, kind = np.ones(ops.shape), ops["kind"]

    def of(neutral: float, cases: dict[OpKind, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
        return np.select([kind == k for k in cases], list(cases.values()), neutral)

    divisors = {OpKind.TO_ENDPOINT: width, OpKind.TO_ZSCORE: deviation, OpKind.TO_LINEAR: a}
    return {
        "shift": of(-0.0, {OpKind.ENDPOINT: one, OpKind.TO_ENDPOINT: -a, OpKind.TO_ZSCORE: -a, OpKind.TO_LINEAR: -b}),
        "factor": of(1.0, {OpKind.ENDPOINT: np.where(half_last, 1.0, 0.5), OpKind.TO_ENDPOINT: 2 * one}),
        "scale": of(1.0, {OpKind.ENDPOINT: width, OpKind.ZSCORE: deviation, OpKind.LINEAR: a}),
        "divisor": of(1.0, {OpKind.ENDPOINT: np.where(half_last, 2.0, 1.0), **divisors}),
        "offset": of(-0.0, {OpKind.ENDPOINT: a, OpKind.ZSCORE: a, OpKind.LINEAR: b, OpKind.TO_ENDPOINT: -one}),
        "floor": of(-np.inf, {OpKind.CLIP: a}),
        "ceiling": of(np.inf, {OpKind.CLIP: b}),
        "steps": kind == OpKind.STEP,
        **{"threshold": a, "below": b, "at": c, "above": d},
        "early": np.where(kind == OpKind.ENDPOINT, before, after),  # its `u + 1` happens before the figures are met
        "late": after,
    }
