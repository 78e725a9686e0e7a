"""The literal formulas of the stacks, as op kinds with their parameters, both ways.

A formula takes the figures a profile names and an epsilon. `unnormalize` is what the stack evaluates on `u`;
`normalize` is its algebraic reverse on `a`, with the epsilon of the training side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ShapeMismatchError
from .ops import OpDType, OpKind
from .stats import BoolArray, FloatArray

Ops = tuple[tuple[Any, ...], ...]  # (kind, *parameters), each a number or shape (D,)


@dataclass(frozen=True, slots=True)
class Formula:
    """From `u` to `a`, and back."""

    unnormalize: Callable[..., Ops]
    normalize: Callable[..., Ops]


def _span(low: FloatArray, width: FloatArray, eps: float) -> Ops:
    return (OpKind.ENDPOINT, -0.0, width, eps), (OpKind.LINEAR, 1.0, low)  # x + -0.0 is x, whatever its sign


def _to_span(low: FloatArray, width: FloatArray, eps: float) -> Ops:
    return (OpKind.LINEAR, 1.0, -low), (OpKind.TO_ENDPOINT, 0.0, width, eps)


ENDPOINT = Formula(
    lambda lo, hi, eps: ((OpKind.ENDPOINT, lo, hi, eps),),
    lambda lo, hi, eps: ((OpKind.TO_ENDPOINT, lo, hi, eps),),
)
SPAN = Formula(_span, _to_span)
"""An endpoint form of `low` and a published width."""

WIDTH = Formula(
    lambda lo, hi, eps: _span(lo, hi - lo + eps, 0.0),
    lambda lo, hi, eps: _to_span(lo, hi - lo + eps, 0.0),
)
"""The endpoint form where the range is formed in float64 and only then rounded to the op's dtype."""

FRACTION = Formula(
    lambda lo, hi, eps: ((OpKind.ZSCORE, lo, hi - lo, eps),),
    lambda lo, hi, eps: ((OpKind.TO_ZSCORE, lo, hi - lo, eps),),
)
"""`u` of the way from lo to hi, for a `u` in [0, 1]."""

ZSCORE = Formula(
    lambda mean, std, eps: ((OpKind.ZSCORE, mean, std, eps),),
    lambda mean, std, eps: ((OpKind.TO_ZSCORE, mean, std, eps),),
)
DEVIATION = Formula(
    lambda mean, std, eps: ((OpKind.ZSCORE, mean, std + eps, 0.0),),
    lambda mean, std, eps: ((OpKind.TO_ZSCORE, mean, std + eps, 0.0),),
)
"""The z-score where `std + eps` is formed in float64 and only then rounded to the op's dtype."""

LINEAR = Formula(
    lambda scale, offset, eps: ((OpKind.LINEAR, scale, offset),),
    lambda scale, offset, eps: ((OpKind.TO_LINEAR, scale, offset),),
)
TO_LINEAR = Formula(LINEAR.normalize, LINEAR.unnormalize)
BINARY = Formula(
    lambda eps: ((OpKind.STEP, 0.5, 0.0, 0.0, 1.0),),
    lambda eps: ((OpKind.STEP, 0.5, 0.0, 0.0, 1.0),),
)
IDENTITY = Formula(lambda eps: ((OpKind.IDENTITY,),), lambda eps: ((OpKind.IDENTITY,),))


def gains(factors: Mapping[int, float]) -> Formula:
    """`u` times a constant of the code on some channels, as it is on the others; of the figures only D is read."""

    def scale(figure: FloatArray) -> FloatArray:
        if max(factors) >= figure.size:
            raise ShapeMismatchError(f"the code scales channel {max(factors)} (from 0), and there are {figure.size}")
        found = np.ones(figure.size)
        found[list(factors)] = list(factors.values())
        return found

    return Formula(  # x + -0.0 and x - 0.0 are x, whatever its sign
        lambda figure, eps: ((OpKind.LINEAR, scale(figure), -0.0),),
        lambda figure, eps: ((OpKind.TO_LINEAR, scale(figure), 0.0),),
    )


@dataclass(frozen=True, slots=True)
class Which:
    """Channels told by their figures: `test` gets those of `names` and returns a bool array of their shape."""

    names: tuple[str, ...]
    test: Callable[..., BoolArray]


def equal(lo: str, hi: str) -> Which:
    return Which((lo, hi), lambda a, b: np.asarray(a == b))


def close(lo: str, hi: str) -> Which:
    """Equal to `np.isclose` (rtol 1e-5, atol 1e-8 of `lo`)."""
    return Which((lo, hi), lambda a, b: np.asarray(np.isclose(b, a)))


NO_STD = Which(("std",), lambda std: np.asarray(std == 0))


@dataclass(frozen=True, slots=True)
class Training:
    """How a stack normalizes the actions its policy learns from.

    Attributes:
        eps: what is added to the range or the std, 0 for nothing.
        clip: bound on the magnitude of `u`, 0 for none.
        still: channels taken for constant; None where none are told apart.
        zeroes: whether those become 0; else they stay as they are.
        open_x: the formula of the Open-X data pipeline, which honours the mask; None where the stack reverses its own.
        dtype: in which the figures meet the value; None for the profile's.
    """

    eps: float = 0.0
    clip: float = 0.0
    still: Which | None = None
    zeroes: bool = False
    open_x: Formula | None = None
    dtype: OpDType | None = None

    @property
    def amplifies(self) -> bool:
        """Whether a small range makes large values of `u`: no bound holds them and no rule spares the channel."""
        return not self.clip and self.still is None
