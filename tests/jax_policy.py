"""How JAX is set for the tests: no silent promotion of dtypes or ranks, and float64 where a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def strict(*, x64: bool) -> Iterator[None]:
    with jax.enable_x64(x64), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@contextmanager
def compilations() -> Iterator[list[str]]:
    """A list that grows by one name for every program that XLA compiles."""
    names: list[str] = []

    def listen(event: str, _: float, **details: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(details.get("fun_name", event)))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
