"""Made-up specs for the tests of the guard."""

from __future__ import annotations

import numpy as np
from execspec_fast.conventions import UNKNOWN, Conventions, Fact, declared
from execspec_fast.domain import UNBOUNDED, UNIT_INTERVAL, Domain
from execspec_fast.ops import OpKind, stage, table
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer

NAMES = ("x", "y", "grip")
LOW, HIGH = np.array([-0.5, -0.25, 0.0]), np.array([0.5, 0.75, 1.0])


def bounded(domain: Domain = UNIT_INTERVAL, low=LOW, high=HIGH) -> Unnormalizer:
    """Two channels and a gripper that nothing scales."""
    where = np.array([True, True, False])
    return Unnormalizer(stage(3, OpKind.ENDPOINT, low, high, 0.0, where=where), domain=domain, gripper=(2,))


def stepped(domain: Domain = UNIT_INTERVAL) -> Unnormalizer:
    """The same with a gripper of commands -1 and 1."""
    step = stage(3, OpKind.STEP, 0.5, -1.0, -1.0, 1.0, where=np.array([False, False, True]))
    return Unnormalizer(table(bounded().table(), step), domain=domain, gripper=(2,))


def spec(
    profile: str = "openvla", representation: Fact[str] = UNKNOWN, scale: float = 1.0, key: str = "k", **fields
) -> ExecSpec:
    """An OpenVLA checkpoint of three channels; its domain is the bin centres."""
    stats = NormStats({"q01": LOW * scale, "q99": HIGH * scale}, mask=np.array([True, True, False]))
    facts = Conventions(
        names=declared(NAMES, "here"),
        units=declared(("m", "rad", ""), "here"),
        gripper=declared((2,), "here"),
        representation=representation,
    )
    return ExecSpec("ckpt", key, "openvla", declared(profile, "here"), stats, facts, **fields)


def stepwise(rows: int = 4) -> ExecSpec:
    """Figures of `rows` time steps; u is clipped, so that every channel is bounded."""
    grow = np.arange(1, rows + 1)[:, None] * np.array([0.1, 0.2])
    stats = NormStats({"min": -grow, "max": grow})
    names = Conventions(names=declared(("x", "y"), "here"), representation=declared("relative", "here"))
    return ExecSpec("ckpt", "chunk", "gr00t", declared("gr00t-n1.6-min_max", "here"), stats, names)


DELTA, ABSOLUTE = declared("delta", "config.json"), declared("absolute", "config.json")
FREE = UNBOUNDED
