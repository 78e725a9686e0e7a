"""Made-up watches, for their tests."""

from __future__ import annotations

from execspec_fast import Unnormalizer, _core
from execspec_fast.guarding.build import guard_image
from execspec_fast.guarding.image import GuardImage
from execspec_fast.guarding.layout import write
from execspec_fast.guarding.watching import WatchLimits

NAMES, UNITS = ("lift", "turn"), ("m", "rad")
FREE = (-1e6, 1e6)


def limits(**given) -> WatchLimits:
    """Of two channels; wide positions where nothing else is given, since a watch has one limit at least."""
    return WatchLimits(NAMES, UNITS, **({"position": FREE} | given))


def image(mode: str = "enforce", latch: tuple[int, int] = (3, 10), **given) -> GuardImage:
    """Of a policy of one channel, whose width need not be the command's."""
    policy = Unnormalizer.from_bounds([-1.0], [1.0])
    return guard_image(policy, limits=(-1.0, 1.0), relative=True, mode=mode, latch=latch, watch=limits(**given))


def core(kind: type[_core.Watch] = _core.Watch, **given) -> _core.Watch:
    """As C++ makes it."""
    return kind(write(image(**given)))
