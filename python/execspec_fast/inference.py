"""What a policy's figures give away where no file says it, each with the rule that was used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .conventions import UNKNOWN, Fact, inferred
from .spec import ExecSpec
from .stats import FloatArray


def ends(spec: ExecSpec) -> FloatArray:
    """`(2, D)`: what -1 and 1 are un-normalized to."""
    return np.asarray(spec.unnormalizer(np.array([[-1.0], [1.0]]) * np.ones(spec.dim)))


def infer_representation(spec: ExecSpec, arm: Sequence[int]) -> Fact[str]:
    """`absolute` or `delta`, by where the figures put `u` = -1 and 1 on the arm channels.

    Absolute: on some channel both have one sign; a step that is never zero could not stop. Delta: on every channel
    zero lies in the middle half of them, as for a step that goes either way.
    """
    low, high = np.sort(ends(spec)[:, list(arm)], axis=0)
    if not arm or not np.isfinite([low, high]).all():
        return UNKNOWN
    never = np.flatnonzero((low > 0) | (high < 0))
    if never.size:
        d = int(never[0])
        return inferred("absolute", f"channel {arm[d]} is never zero, from {low[d]:.4g} to {high[d]:.4g}")
    if (np.abs(low + high) <= (high - low) / 2).all() and (high > low).all():
        return inferred("delta", "zero lies in the middle half of every arm channel's range")
    return UNKNOWN


def infer_gripper(spec: ExecSpec) -> Fact[tuple[float, float]]:
    """What a policy emits for an open and a closed gripper: 1 and 0, where a mask passes the gripper through.

    Open-X pipelines write 1 for open and 0 for closed, and leave the gripper alone unmasked.
    """
    mask, grippers = spec.stats.mask, spec.conventions.gripper.value
    if mask is None or not grippers or mask[list(grippers)].any():
        return UNKNOWN
    return inferred((1.0, 0.0), "the gripper is unmasked, and Open-X pipelines write 1 for open, 0 for closed")
