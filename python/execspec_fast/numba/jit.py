"""How everything here is compiled: kept on disk, without fast-math, and with C++'s division by zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba as nb

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compiled for the types of the first call."""
    return eager(None)(function)


def eager(signatures: Any) -> Callable[[F], F]:
    """Compiled for these types at import, or loaded from the cache; others are refused."""
    return nb.njit(signatures, cache=True, fastmath=False, error_model="numpy")  # type: ignore[no-any-return]
