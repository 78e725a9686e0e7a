"""A made-up policy of a pose and a gripper, and the robot it is for."""

from __future__ import annotations

import numpy as np
from execspec_fast.client import client_ops
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import Conventions, declared
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats

LIBERO = CONTROLLERS["libero"]
MASK = np.array([True] * 6 + [False])


def spec(reach: float = 1.0, post: str | None = None, gripper: tuple[int, ...] = (6,)) -> ExecSpec:
    """An Open-X policy of a pose and a gripper, whose arm channels reach `reach` at u = 1."""
    high = np.append(np.full(6, reach), 1.0)
    stats = NormStats({"q01": -high, "q99": high}, mask=MASK)
    conventions = Conventions(gripper=declared(gripper, "here"))
    ops = None if post is None else client_ops(post, 7, (6,))
    return ExecSpec("a", "k", "openvla", declared("openvla", "here"), stats, conventions, post=ops)
