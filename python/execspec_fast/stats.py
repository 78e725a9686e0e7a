"""`NormStats`: the published numbers of one key, and the structural laws they must obey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from .errors import MissingStatsError, ShapeMismatchError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FIGURES = ("mean", "std", "min", "max", "q01", "q10", "q50", "q90", "q99")
"""Canonical names of statistics, whatever a file calls them (Octo's `p01` is `q01`)."""

COEFFICIENTS = ("scale", "offset", "delta")
"""What some stacks publish in the place of statistics, or beside them; `delta` is a width."""


@dataclass(frozen=True, eq=False)
class NormStats:
    """The published figures of one key.

    Attributes:
        figures: canonical name (one of `FIGURES` or `COEFFICIENTS`) to float64 array, shape
            `(D,)`, or `(T, D)` where a file publishes one row per time step of an action chunk. Values are the
            published numbers, widened exactly; they may be non-finite, since a file may be (the audit says so).
        mask: shape `(D,)`, False where the un-normalizer passes `u` through; None if the file has no mask.
        modes: by channel, the name of the figures it is scaled by, where the files say so for single channels
            (GR00T's groups: `min_max`, `percentiles`, `mean_std`); None where one mode holds for all.
        count: samples behind the figures, None if the file does not say.
        estimator: how the quantiles were estimated (`np.quantile`, `histogram`, `merged`), None if unknown.
        float32: True if the figures are stored in float32 (safetensors), so that they load as such.
    """

    figures: Mapping[str, FloatArray]
    mask: BoolArray | None = None
    modes: tuple[str, ...] | None = None
    count: int | None = None
    estimator: str | None = None
    float32: bool = False

    def __post_init__(self) -> None:
        if not self.figures:
            raise MissingStatsError("no figures at all: a key needs at least one of " + ", ".join(FIGURES))
        unknown = sorted(set(self.figures) - {*FIGURES, *COEFFICIENTS})
        if unknown:
            names = ", ".join((*FIGURES, *COEFFICIENTS))
            raise MissingStatsError(f"unknown figure {unknown[0]!r}; the canonical names are {names}")
        frozen = {name: _frozen(np.asarray(value, np.float64)) for name, value in self.figures.items()}
        shapes = {value.shape for value in frozen.values()}
        if len(shapes) > 1 or any(len(s) not in (1, 2) for s in shapes):
            listed = ", ".join(f"{name} {value.shape}" for name, value in frozen.items())
            raise ShapeMismatchError(f"figures of one key must share one shape (D,) or (T, D), got {listed}")
        object.__setattr__(self, "figures", MappingProxyType(frozen))
        if self.mask is not None:
            mask = _frozen(np.asarray(self.mask, np.bool_))
            if mask.shape != (self.dim,):
                raise ShapeMismatchError(f"mask has shape {mask.shape}, the figures have {self.dim} channels")
            object.__setattr__(self, "mask", mask)
        if self.modes is not None and len(self.modes) != self.dim:
            raise ShapeMismatchError(f"{len(self.modes)} modes for {self.dim} channels of figures")

    @property
    def shape(self) -> tuple[int, ...]:
        return next(iter(self.figures.values())).shape

    @property
    def dim(self) -> int:
        return self.shape[-1]

    @property
    def padding(self) -> BoolArray:
        """`(D,)`: channels from which on every figure is zero to the end, the tail that fills a fixed action width."""
        dead = np.all([(value == 0).reshape(-1, self.dim).all(axis=0) for value in self.figures.values()], axis=0)
        return np.logical_and.accumulate(dead[::-1])[::-1]

    @property
    def flat(self) -> NormStats:
        """The same figures with the D channels of each of T time steps side by side, shape `(T * D,)`."""
        if len(self.shape) == 1:
            return self
        steps = self.shape[0]
        return replace(
            self,
            figures={name: value.reshape(-1) for name, value in self.figures.items()},
            mask=None if self.mask is None else np.tile(self.mask, steps),
            modes=None if self.modes is None else self.modes * steps,
        )

    def __contains__(self, name: str) -> bool:
        return name in self.figures

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __getitem__(self, name: str) -> FloatArray:
        try:
            return self.figures[name]
        except KeyError:
            raise MissingStatsError(f"no {name!r} among the published figures: {', '.join(self.figures)}") from None


def _frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
