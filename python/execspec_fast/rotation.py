"""Three numbers read as a rotation in two ways: the angle between the readings.

`axis_angle`: unit axis times angle (robosuite). `euler_xyz`: about fixed axes x, y, z (DROID, bridge, transforms3d
`sxyz`). `euler_XYZ`: about the moving ones (robosuite 1.4 `euler2mat`). All in radians; lower and upper case as in
`scipy.spatial.transform`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import _core
from .stats import FloatArray

READINGS = ("axis_angle", "euler_xyz", "euler_XYZ")


def geodesic(rotations: npt.ArrayLike, read_as: str, instead_of: str, threads: int | None = None) -> FloatArray:
    """The angle in rad, from 0 to pi, between `rotations` read in one way and in another.

    Args:
        rotations: `(..., 3)`, rad.
        read_as, instead_of: of `READINGS`; the angle is symmetric in them.
        threads: None chooses by size. The bits never depend on it.

    Returns:
        float64 `(...,)`; NaN where a number is not finite.

    Raises:
        ShapeMismatchError, DTypeError, ExecSpecError (unknown reading)
    """
    return _core.geodesic(rotations, read_as, instead_of, threads)


@dataclass(frozen=True, slots=True)
class Misreading:
    """What reading the same rotations in another way costs, angles in rad over `count` of them."""

    read_as: str
    instead_of: str
    mean: float
    max: float
    count: int

    @classmethod
    def over(cls, rotations: FloatArray, read_as: str, instead_of: str) -> Misreading:
        """Of rotations `(N, 3)`, N > 0."""
        angles = geodesic(rotations, read_as, instead_of)
        return cls(read_as, instead_of, float(np.mean(angles)), float(np.max(angles)), angles.size)
