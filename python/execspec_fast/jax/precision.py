"""In which dtype a device computes, and what is said about it.

Nothing here flips `jax_enable_x64`. Without it figures published in float64 run in float32, which is said once in a
process and can be read off every pytree (`.precision`); only an explicit request for float64 is refused.
"""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from ..errors import DTypeError
from ..ops import LIMIT

_said = False


class PrecisionWarning(UserWarning):
    """Figures or actions in float64 run in float32, because `jax_enable_x64` is off. Said once in a process."""


def working_dtype(asked: npt.DTypeLike | None = None) -> np.dtype[Any]:
    """The dtype asked for, else the widest that JAX has.

    Raises:
        DTypeError: float64 was asked for while `jax_enable_x64` is off, or what is neither float32 nor float64.
    """
    widest = np.dtype(jax.dtypes.canonicalize_dtype(np.float64))
    dtype = widest if asked is None else checked(asked)
    if dtype.itemsize > widest.itemsize:
        raise DTypeError(
            "float64 was asked for, and jax_enable_x64 is off; call jax.config.update('jax_enable_x64', True)"
        )
    return dtype


def widened(dtype: np.dtype[Any], wide: bool) -> np.dtype[Any]:
    """float64 for what needs it, `dtype` itself or what is `wide`; float32 where JAX has none, which is said once."""
    widest = working_dtype()
    if not wide and dtype == np.float32:
        return dtype
    if widest == np.float32:
        _say_once()
    return widest


def checked(dtype: Any) -> np.dtype[Any]:
    """float32 or float64.

    Raises:
        DTypeError: anything else, and why.
    """
    found: np.dtype[Any] = jnp.dtype(dtype)
    if found.name in ("float32", "float64"):
        return found
    reason = "such numbers are no actions"
    if jnp.issubdtype(found, jnp.floating):
        reason = "stacks cast to float32 before they un-normalize, and no profile says how it would round in between"
    raise DTypeError(f"{found.name}: {reason}; pass float32 or float64, as by u.astype('float32')")


def as_array(array: Any, name: str) -> Any:
    """An array of JAX as it is, anything else as one of NumPy.

    Raises:
        DTypeError: a masked array, whose mask JAX does not know.
    """
    if isinstance(array, np.ma.MaskedArray):
        raise DTypeError(f"{name} is a masked array, whose mask would be lost; pass .filled(value)")
    return array if isinstance(array, jax.Array) else np.asarray(array)


def limit(dtype: Any) -> float:
    """The largest magnitude of an action whose products with others stay finite."""
    return LIMIT if jnp.dtype(dtype) == np.float64 else 1e18


def _say_once() -> None:
    global _said
    if not _said:
        _said = True
        warnings.warn(
            "jax_enable_x64 is off: float64 figures run in float32, within the bounds in README; for "
            "float64 call jax.config.update('jax_enable_x64', True) first",
            PrecisionWarning,
            stacklevel=4,
        )
