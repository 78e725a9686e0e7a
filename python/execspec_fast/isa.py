"""The instruction set that the compiled kernels run on. Results have the same bits on each; only their time differs.

The best one that the CPU has is chosen at import. `EXECSPEC_ISA=NAME` in the environment forces another from the start;
a name that the machine lacks makes the import fail.
"""

from __future__ import annotations

from . import _core


def available() -> tuple[str, ...]:
    """Names that this machine can run, slowest first: baseline, avx2, avx512."""
    return _core.isa_available()


def active() -> str:
    """Name of the one in use."""
    return _core.isa_active()


def use(name: str) -> None:
    """Run all kernels on `name` from now on, in every thread.

    Raises:
        UnsupportedIsaError: a name that is not in `available()`.
    """
    _core.isa_use(name)
