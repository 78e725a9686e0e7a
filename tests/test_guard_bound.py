"""`bind` and `tick`: the arrays that a gate holds, steps as they are now, and gives back."""

from __future__ import annotations

import array
import gc
import weakref

import numpy as np
import pytest
from execspec_fast import _core
from execspec_fast.errors import DTypeError, GuardError, ShapeMismatchError
from gates import MISMATCH, D, U, action, gate


def test_tick_steps_what_is_bound_as_it_is_now():
    g = gate()
    u, a = U.copy(), action(g)
    g.bind(u, a)
    assert g.tick() == 0
    a[2] += 1e-3
    assert g.tick() == MISMATCH
    u[:] = 0
    g.command(u, a)
    assert g.tick() == 0
    g.unbind()
    with pytest.raises(GuardError, match="bind"):
        g.tick()
    assert g.counters["steps"] == 3


def test_bound_arrays_are_kept_and_not_resized():
    g = gate()
    u, a = U.copy(), action(g)
    g.bind(u, a)
    with pytest.raises(ValueError, match="cannot resize"):
        a.resize(2 * D)
    expected, u, a = g.step(u, a), None, None
    gc.collect()
    np.ones((1000, D))
    assert g.tick() == expected == 0
    lent = array.array("d", U)
    g.bind(lent, action(g))
    with pytest.raises(BufferError):
        lent.append(1.0)
    g.unbind()
    lent.append(1.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.resize(1000, refcheck=False),
        lambda a: a.resize(D - 1, refcheck=False),
        lambda a: setattr(a, "shape", (1, D)),
        lambda a: a.resize(0, refcheck=False),
    ],
)
@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
def test_an_array_changed_in_place_while_bound_is_no_step(change):
    g = gate()
    a = action(g)
    g.bind(U, a)
    change(a)
    with pytest.raises(ShapeMismatchError, match="bind again"):
        g.tick()
    assert g.counters["steps"] == 0


def test_binding_again_gives_the_first_arrays_back():
    g = gate()
    lent = array.array("d", action(g))
    g.bind(U, lent)
    g.bind(U, action(g))
    lent.append(1.0)
    with pytest.raises(DTypeError):
        g.bind(U, None)
    assert g.tick() == 0, "a bind that fails leaves the one before"


def test_a_cycle_through_a_bound_array_is_collected():
    class Held(np.ndarray):
        pass

    g, a = gate(type("Sub", (_core.Gate,), {})), action(gate()).view(Held)
    a.guard = g
    g.bind(U, a)
    gone = weakref.ref(g)
    del g, a
    gc.collect()
    assert gone() is None
