"""A gate over seven channels, from an image made here, and the faults that tests expect of it."""

from __future__ import annotations

import numpy as np
from execspec_fast import Unnormalizer, _core
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.layout import write

D = 7
LOW, HIGH = -np.linspace(0.5, 1.0, D), np.linspace(1.0, 0.6, D)
U = np.linspace(-0.9, 0.9, D)
MISMATCH, NOT_FINITE, STALE = 1 << 3, 1 << 0, 1 << 8
PASS, HOLD, STOP = 0, 1, 2


def image(**changes):
    options = {"limits": (-1.0, 1.0), "relative": True, "mode": "enforce", **changes}
    return guard_image(Unnormalizer.from_bounds(LOW, HIGH), **options)


def gate(kind=_core.Gate, **changes):
    return kind(write(image(**changes)))


def action(g, u=U, dtype=np.float64):
    out = np.empty(D, dtype)
    g.command(u.astype(dtype), out)
    return out
