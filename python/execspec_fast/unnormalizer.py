"""`Unnormalizer`: what a spec compiles to. Applies the op table literally, holds one map per channel."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from . import _core, arrays, ops
from .domain import UNBOUNDED, Domain
from .errors import DTypeError, ShapeMismatchError
from .ops import OpKind, OpTable

DTypeChoice = Literal["native"] | npt.DTypeLike | None


class Executable(Protocol):
    """Anything that compiles to a map: an `ExecSpec`, or an `Unnormalizer` itself."""

    @property
    def map(self) -> Unnormalizer: ...


class Unnormalizer:
    """A physical action from a normalized one: `a = unnormalizer(u)`.

    Args:
        table: op table of shape `(stages, D)`, see `ops`.
        domain: values one channel of `u` can take.
        gripper: indices of the gripper channels, left out of means over channels; None if unknown.

    Raises:
        StatsError: a parameter no map can be made of, naming the channel.
    """

    __slots__ = ("__weakref__", "_core", "_table", "domain", "gripper")

    def __init__(self, table: OpTable, *, domain: Domain = UNBOUNDED, gripper: tuple[int, ...] | None = None) -> None:
        self._table = ops.table(table)
        self.domain = domain
        self.gripper = gripper
        flags = np.zeros(self._table.shape[1], np.uint8)
        flags[list(gripper or ())] = 1
        self._core = _core.Unnormalizer(self._table, domain.lo, domain.hi, sorted(domain.points), flags.tolist())

    @classmethod
    def from_bounds(
        cls, low: npt.ArrayLike, high: npt.ArrayLike, mask: npt.ArrayLike | None = None, eps: float = 0.0
    ) -> Unnormalizer:
        """`a = 0.5 (u + 1) (high - low + eps) + low`, all in u's dtype with low and high rounded to it first.

        Args:
            low, high: shape `(D,)`, what -1 and +1 stand for.
            mask: bool `(D,)`; False passes `u` through, and such a channel counts as a gripper.
            eps: added to every range.
        """
        return cls._from(OpKind.ENDPOINT, low, high, mask, eps)

    @classmethod
    def from_mean_std(
        cls, mean: npt.ArrayLike, std: npt.ArrayLike, mask: npt.ArrayLike | None = None, eps: float = 0.0
    ) -> Unnormalizer:
        """`a = u (std + eps) + mean`, all in u's dtype; arguments as in `from_bounds`."""
        return cls._from(OpKind.ZSCORE, mean, std, mask, eps)

    @classmethod
    def _from(
        cls, kind: OpKind, first: npt.ArrayLike, second: npt.ArrayLike, mask: npt.ArrayLike | None, eps: float
    ) -> Unnormalizer:
        a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
        keep = None if mask is None else np.asarray(mask, np.bool_)
        if a.ndim != 1 or a.shape != b.shape or (keep is not None and keep.shape != a.shape):
            shapes = [a.shape, b.shape] + ([] if keep is None else [keep.shape])
            raise ShapeMismatchError(f"the two figures (and the mask) must share one shape (D,), got {shapes}")
        gripper = () if keep is None else tuple(int(i) for i in np.flatnonzero(~keep))
        return cls(ops.stage(a.size, kind, a, b, eps, where=keep), gripper=gripper)

    @property
    def dim(self) -> int:
        return self._core.dim

    @property
    def map(self) -> Unnormalizer:
        """Itself: wherever arithmetic wants a spec, an Unnormalizer serves too."""
        return self

    def table(self) -> OpTable:
        """The op table, read-only, shape `(stages, D)`, dtype `ops.OP`."""
        return self._table

    def __call__(
        self,
        u: npt.ArrayLike,
        out: npt.NDArray[Any] | None = None,
        dtype: DTypeChoice = None,
        threads: int | None = None,
    ) -> npt.NDArray[Any]:
        """Un-normalize actions, bit for bit as the ecosystem does.

        Args:
            u: normalized actions `(..., D)`, float32 or float64, any strides; NumPy, torch, JAX or any `__dlpack__`.
                The result is of the same kind, on the same device.
            out: array of the result's shape and dtype, written in place and returned; may be `u` itself.
            dtype: None returns u's dtype; `"native"` what the ecosystem returns for u's dtype; or float32, float64.
            threads: None chooses by size. The bits never depend on it.

        Raises:
            ShapeMismatchError, DTypeError
            ArrayError: an array that cannot be read where it lies.
        """
        name = _dtype_name(dtype)
        if type(u) in arrays.HOST and type(out) in arrays.HOST:
            return self._core.apply(u, out, name, threads)
        return arrays.through(  # type: ignore[no-any-return]
            u,
            out,
            lambda u, out: self._core.apply(u, out, name, threads),
            lambda jax, u: jax.unnormalize(self, u, self._native(u.dtype) if name == "native" else name),
        )

    def inverse(
        self, a: npt.ArrayLike, out: npt.NDArray[Any] | None = None, threads: int | None = None
    ) -> npt.NDArray[Any]:
        """The exact inverse, rounded once to a's dtype. Not the ecosystem's forward map: that may clip and add eps.

        Raises:
            NotInvertibleError: naming the first channel whose map is a constant, a clip or a step.
        """
        if type(a) in arrays.HOST and type(out) in arrays.HOST:
            return self._core.inverse(a, out, threads)
        return arrays.through(  # type: ignore[no-any-return]
            a, out, lambda a, out: self._core.inverse(a, out, threads), name="a"
        )

    def invertible(self) -> npt.NDArray[np.bool_]:
        """Shape `(D,)`: whether the channel's map has an inverse."""
        return np.array([self._core.invertible(d) for d in range(self.dim)], np.bool_)

    def scale_offset(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """`a = scale * u + offset` per channel, each `(D,)`; NaN where the map has more than one piece."""
        scale, offset = np.full((2, self.dim), np.nan)
        for d in range(self.dim):
            pieces = self._core.pieces(d)
            if len(pieces) == 1:
                scale[d], offset[d] = sum(pieces[0][2]), sum(pieces[0][3])
        return scale, offset

    def then(self, stages: OpTable) -> Unnormalizer:
        """The map followed by further stages (a client's gripper ops, a controller's clip)."""
        return Unnormalizer(np.concatenate([self._table, stages]), domain=self.domain, gripper=self.gripper)

    def _native(self, dtype: npt.DTypeLike) -> str:
        return self._core.apply(np.empty((0, self.dim), dtype), None, "native", 1).dtype.name

    def __repr__(self) -> str:
        return f"Unnormalizer({self.dim} channels: {'; '.join(ops.describe(self._table))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (np.array(self._table), self.domain, self.gripper)


def _rebuild(table: OpTable, domain: Domain, gripper: tuple[int, ...] | None) -> Unnormalizer:
    return Unnormalizer(table, domain=domain, gripper=gripper)


def _dtype_name(dtype: DTypeChoice) -> str | None:
    if dtype is None:
        return None
    if isinstance(dtype, str) and dtype == "native":
        return "native"
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in ("float32", "float64"):
        raise DTypeError(f"dtype {name!r}: results are float32, float64 or 'native'")
    return name
