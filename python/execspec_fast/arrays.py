"""Any array in, the same kind out: NumPy, torch, JAX, and whatever else speaks DLPack.

What the host can read goes to the compiled core where it lies, uncopied, and gets its bits. What it cannot (CUDA, a JAX
tracer, a sharded array) goes to `execspec_fast.jax`. No array library is imported here: who holds an array has one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import NoneType
from typing import Any

import numpy as np

from .errors import ArrayError, DTypeError, MissingDependencyError

HOST = frozenset({np.ndarray, NoneType})
"""Types that go to the core as they are."""

_HOST_DEVICES = (1, 3)  # kDLCPU, kDLCUDAHost (pinned memory) of DLPack
_UNREADABLE = (AttributeError, BufferError, RuntimeError, TypeError, ValueError)  # each library has its own


def through(
    array: Any,
    out: Any,
    on_host: Callable[[Any, Any], Any],
    on_device: Callable[[Any, Any], Any] | None = None,
    *,
    name: str = "u",
    rounded: bool = False,
) -> Any:
    """The result for `array`, as an array of its kind on its device, or `out` if that is given.

    Args:
        array, out: of any kind; NumPy arrays, lists, None and what is no array reach `on_host` as they are.
        on_host: `(array, out)` to the result, a NumPy array; `out` is written in place.
        on_device: `(execspec_fast.jax, array)` to the result, for what the host cannot read; None if there is no way.
        name: of `array` in errors.
        rounded: a kind that cannot hold a float64 result gets it as float32; else that is an error.

    Raises:
        DTypeError: half precision; a result of a dtype that the kind does not have.
        ArrayError: an array that cannot be read where it lies, or not without losing a gradient.
    """
    if _is_foreign(array):
        _check(array, name)
        if on_device is not None and not _is_on_host(array):
            return _on_device(array, out, on_device, name)
    result = on_host(host(array, name), _target(out))
    if out is not None:
        return out
    return _like(result, array, rounded) if _is_foreign(array) else result


def host(array: Any, name: str) -> Any:
    """What the core reads: an array of another kind as a NumPy array of the same memory, all else as it is.

    Raises:
        DTypeError, ArrayError: as `through`; also for an array on a device.
    """
    if not _is_foreign(array):
        return array
    _check(array, name)
    if not _is_on_host(array):
        raise ArrayError(
            f"{_place(array, name)}, and this call works on the host; pass a copy there, outside of jit, "
            "or see execspec_fast.jax"
        )
    try:
        return np.asarray(array) if hasattr(array, "__array__") else np.from_dlpack(array)
    except _UNREADABLE as error:
        raise ArrayError(f"{name}, a {_kind(array)}, cannot be read: {error}") from error


def elsewhere(array: Any, name: str) -> tuple[Any, Any] | None:
    """`execspec_fast.jax` and the array as one of JAX's, where the host cannot read it; None for all else.

    Raises:
        DTypeError, ArrayError: as `through`; also for an array that JAX traces, which has no numbers to give back.
    """
    if not _is_foreign(array) or _is_on_host(array):
        return None
    _check(array, name)
    if _is_traced(array):
        host(array, name)
    return _in_jax(array, name)


def _is_foreign(array: Any) -> bool:
    return hasattr(array, "__dlpack__") and not isinstance(array, np.ndarray | np.generic)


def _check(array: Any, name: str) -> None:
    dtype = str(getattr(array, "dtype", ""))
    if dtype.endswith("float16"):
        raise DTypeError(
            f"{name} has dtype {dtype}: stacks that un-normalize in half precision round the figures to it too, each "
            "in its own way, which no profile describes; convert to float32 first, which is exact"
        )
    if getattr(array, "requires_grad", False):
        raise ArrayError(f"{name} requires a gradient, which the result would not carry; pass {name}.detach()")


def _is_on_host(array: Any) -> bool:
    try:
        return array.__dlpack_device__()[0] in _HOST_DEVICES
    except _UNREADABLE:
        return False


def _target(out: Any) -> Any:
    """`out` as a NumPy array of the same memory."""
    view = host(out, "out")
    if view is out:
        return out
    if not view.flags.writeable:
        raise DTypeError(f"out is read-only: a {_kind(out)} cannot be written in place")
    if not np.may_share_memory(view, np.from_dlpack(out)):
        raise ArrayError(f"out, a {_kind(out)}, gives a copy of its memory; pass a NumPy array")
    return view


def _on_device(array: Any, out: Any, on_device: Callable[[Any, Any], Any], name: str) -> Any:
    if out is not None:
        raise ArrayError(f"{_place(array, name)}: such results are new arrays, pass no out")
    ours, there = _in_jax(array, name)
    result = on_device(ours, there)
    return result if there is array else _like(result, array, rounded=True)


def _in_jax(array: Any, name: str) -> tuple[Any, Any]:
    """`execspec_fast.jax`, and the array as one of JAX's, in the same memory."""
    place = _place(array, name)
    try:  # by name, since it stands above every module that uses this one
        ours = import_module("execspec_fast.jax")
    except MissingDependencyError as error:
        raise ArrayError(
            f"{place}, where only the JAX path can reach it ({error}); or copy {name} to the host"
        ) from error
    jax = sys.modules["jax"]
    if isinstance(array, jax.Array):
        return ours, array
    try:
        there = jax.numpy.from_dlpack(array)
    except _UNREADABLE as error:
        raise ArrayError(
            f"{place}, where the JAX path cannot reach it: {error}; install JAX with CUDA (pip install 'jax[cuda13]'), "
            f"or copy {name} to the host"
        ) from error
    if _dtype(there) != _dtype(array):
        raise DTypeError(f"{name} is {_dtype(array)} on a device, where JAX has it only with jax_enable_x64")
    return ours, there


def _like(result: Any, array: Any, rounded: bool) -> Any:
    """`result`, which has `__dlpack__`, as the kind of `array` and on its device; its memory is not copied."""
    made = _library(array).from_dlpack(result)
    if not rounded and _dtype(made) != _dtype(result):
        raise DTypeError(
            f"the result is {_dtype(result)}, which a {_kind(array)} cannot hold here; pass NumPy's, or a dtype"
        )
    device = getattr(array, "device", None)
    return made if device is None or made.device == device else made.to_device(device)


def _library(array: Any) -> Any:
    """The module whose arrays these are: by the array API standard, or by where the type was defined."""
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    for base in type(array).__mro__:
        module = sys.modules.get(base.__module__.partition(".")[0])
        if hasattr(module, "from_dlpack"):
            return module
    raise ArrayError(f"no from_dlpack makes a {_kind(array)}; pass numpy.from_dlpack of it, and get a NumPy array")


def _kind(array: Any) -> str:
    return f"{type(array).__module__}.{type(array).__qualname__}"


def _is_traced(array: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.core.Tracer)


def _place(array: Any, name: str) -> str:
    if _is_traced(array):
        return f"{name} is traced by JAX and has no numbers yet"
    return f"{name} is on {getattr(array, 'device', 'a device')}"


def _dtype(array: Any) -> str:
    return str(array.dtype).rpartition(".")[2]
