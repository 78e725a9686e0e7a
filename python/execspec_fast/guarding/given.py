"""Limits that users give, checked: a bad one is an error that names the channel, never a weaker guard."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import GuardError
from ..stats import FloatArray

BY_USER = "given by the user"
NOT_CHECKED = "not checked (default)"


def per_channel(name: str, value: npt.ArrayLike, channels: Sequence[str]) -> FloatArray:
    """A number for all channels, or one for each, as float64 `(D,)`.

    Raises:
        GuardError: another shape, not numbers, or NaN.
    """
    wanted = f"{name} must be a number or {len(channels)} numbers"
    if isinstance(value, np.ma.MaskedArray):
        raise GuardError(f"{wanted}, got a masked array, whose mask would be lost; pass .filled(value)")
    try:
        plain = np.asarray(value)
        given = plain.astype(np.float64)
    except (TypeError, ValueError):
        raise GuardError(f"{wanted}, got {value!r}") from None
    if plain.size and plain.dtype.kind not in "iuf":  # text and truth values convert, and were hardly meant
        raise GuardError(f"{wanted}, got {value!r}")
    if given.shape not in ((), (len(channels),)):
        raise GuardError(f"{wanted}, one per channel; got {given.shape}")
    full = np.broadcast_to(given, len(channels)).copy()
    _refuse(name, np.isnan(full), full, channels, "is no limit")
    return full


def limit(name: str, value: npt.ArrayLike | None, channels: Sequence[str]) -> FloatArray:
    """A positive limit per channel, `(D,)`; inf where none is given, or for single channels that have none.

    Raises:
        GuardError: zero, negative, NaN, another shape, or infinite on every channel.
    """
    if value is None:
        return np.full(len(channels), np.inf)
    full = per_channel(name, value, channels)
    _refuse(name, ~(full > 0), full, channels, "must be positive")
    if np.isinf(full).all():
        raise GuardError(f"{name} is infinite on every channel and limits nothing; leave it out")
    return full


def bounds(name: str, value: tuple[npt.ArrayLike, npt.ArrayLike] | None, channels: Sequence[str]) -> FloatArray:
    """`(2, D)`: low and high of every channel, infinite where none is given; single ends may be infinite.

    Raises:
        GuardError: not a pair, crossed, NaN, another shape, or infinite throughout.
    """
    if value is None:
        return np.array([[-np.inf], [np.inf]]) * np.ones(len(channels))
    try:
        low, high = value
    except (TypeError, ValueError):
        raise GuardError(f"{name} must be a pair (low, high), got {value!r}") from None
    ends = np.stack([per_channel(f"{name}: low", low, channels), per_channel(f"{name}: high", high, channels)])
    _refuse(f"{name}: low", ~(ends[0] <= ends[1]), ends[0], channels, "is above high", ends[1])
    if np.isinf(ends).all():
        raise GuardError(f"{name}: low and high are infinite on every channel and limit nothing; leave them out")
    return ends


def seconds(name: str, value: float | None) -> float:
    """A positive time; inf for None.

    Raises:
        GuardError: zero, negative, NaN, infinite, or no number.
    """
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < math.inf:
        raise GuardError(f"{name} = {value!r}: a positive number of seconds is wanted; leave it out to check no time")
    return float(value)


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number from `least` to `most`.

    Raises:
        GuardError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise GuardError(f"{name} = {value!r}: a whole number from {least} to {most} is wanted")
    return int(value)


def _refuse(
    name: str,
    bad: npt.NDArray[np.bool_],
    values: FloatArray,
    channels: Sequence[str],
    rule: str,
    other: FloatArray | None = None,
) -> None:
    for d in np.flatnonzero(bad)[:1]:
        beside = "" if other is None else f" = {other[d]:.9g}"
        raise GuardError(f"channel {channels[d]}: {name} = {values[d]:.9g} {rule}{beside}")
