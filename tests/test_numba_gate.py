"""The jitted gate against `Guard`: the same faults, step for step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from execspec_fast import Fault, Guard
from execspec_fast.errors import FormatError, GuardError
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.image import COLUMNS
from execspec_fast.guarding.layout import write
from guards import DELTA, bounded, spec, stepped, stepwise

numba = pytest.importorskip("numba")
from execspec_fast.numba import gate_plan, gate_state, gate_step  # noqa: E402

GUARDS = {
    "enforce": {"mode": "enforce", "latch": (3, 10)},
    "observe": {"mode": "observe", "jump": 0.4, "margin": 0.1},
    "limits": {"mode": "enforce", "latch": (40, 60), "jump": 0.6, "walk": 1.5, "margin": 0.05},
    "fresh": {"mode": "enforce", "latch": (40, 60), "max_age": 0.1},
    "float32": {"mode": "enforce", "latch": (40, 60), "dtype": "float32", "jump": 0.6},
}


def stream(guard: Guard, seed: int, steps: int = 400):
    """Right actions and wrong ones: beyond the tolerance and just within it, out of range, not finite, of a sibling."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if guard.contents.u_dtype == 1 else np.float64
    tolerance = guard.contents.column("tolerance")[0]
    for _ in range(steps):
        u = rng.uniform(-1.3, 1.3, guard.contents.dim).astype(dtype)
        a = np.empty_like(u)
        guard.command(u, a)
        d = rng.integers(u.size)
        match rng.integers(12):
            case 0:
                a[d] += dtype(0.5 * tolerance[d])
            case 1:
                a[d] += dtype(3 * tolerance[d])
            case 2:
                a[d] *= dtype(1.01)
            case 3 if rng.random() < 0.05:
                u[d] = rng.choice([np.nan, np.inf, -np.inf])
            case 4 if rng.random() < 0.05:
                a[d] = np.nan
            case 5:
                u[-1] = 0.5 + rng.integers(-2, 3) * 2.0**-52  # a step's threshold
                guard.command(u, a)
                a[-1] = rng.choice([-1.0, 1.0, a[-1]])
        now = rng.uniform(0.0, 1.0)
        yield u, a, now - rng.choice([0.0, 0.05, 0.2]), now


@pytest.mark.parametrize("make", [lambda: spec(representation=DELTA), bounded, stepped], ids=["spec", "plain", "step"])
@pytest.mark.parametrize("given", GUARDS.values(), ids=GUARDS)
def test_faults_are_those_of_the_compiled_gate(given, make):
    guard = Guard(make(), relative=True, **given)
    plan = gate_plan(guard.image)
    state = gate_state(plan)
    seen = Fault(0)
    for u, a, stamp, now in stream(guard, seed=1):
        faults = guard.step(u, a, stamp, now)
        assert Fault(gate_step(plan, state, u, a, stamp, now)) == Fault(faults)
        seen |= Fault(faults)
        if guard.latched:
            guard.reset(guard.contents.digest)
            state = gate_state(plan)
    assert seen & Fault.MISMATCH
    assert "max_age" not in given or seen & Fault.STALE
    assert "jump" not in given or seen & Fault.JUMP


def test_it_runs_in_jitted_code_and_latches():
    guard = Guard(bounded(), mode="enforce", relative=True)
    plan = gate_plan(guard.image)
    state = gate_state(plan)

    @numba.njit
    def count(plan, state, u, a):
        faulty = 0
        for row in range(len(u)):
            faulty += gate_step(plan, state, u[row], a[row]) != 0
        return faulty

    u = np.random.default_rng(2).uniform(-1, 1, (100, 3))
    a = bounded()(u)
    assert count(plan, state, u, a) == 0
    a[50, 1] = np.nan
    assert count(plan, state, u, a) == 50
    assert Fault(gate_step(plan, state, u[0], a[0])) == Fault.LATCHED
    assert Fault(gate_step(plan, gate_state(plan), u[0, :2], a[0, :2])) == Fault.LENGTH | Fault.LATCHED


def test_a_missing_time_is_stale():
    plan = gate_plan(Guard(bounded(), relative=True, max_age=0.1).image)
    u = np.zeros(3)
    assert Fault(gate_step(plan, gate_state(plan), u, bounded()(u))) == Fault.STALE


def test_what_it_refuses():
    with pytest.raises(GuardError, match="4 time steps"):
        gate_plan(Guard(stepwise()).image)
    with pytest.raises(FormatError):
        gate_plan(Guard(bounded(), relative=True).image[:-1])
    whole = guard_image(bounded(), relative=True)
    columns = whole.columns.copy()
    columns[COLUMNS.index("tolerance")] = np.nan
    with pytest.raises(FormatError, match="contradict"):
        gate_plan(write(replace(whole, columns=columns)))
