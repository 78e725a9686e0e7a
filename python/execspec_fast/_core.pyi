from typing import Any

import numpy as np
import numpy.typing as npt

__version__: str

def isa_active() -> str: ...
def isa_available() -> tuple[str, ...]: ...
def isa_use(name: str) -> None: ...

class Unnormalizer:
    def __init__(
        self, table: npt.NDArray[np.void], lo: float, hi: float, points: list[float], gripper: list[int]
    ) -> None: ...
    @property
    def dim(self) -> int: ...
    def apply(
        self, u: npt.ArrayLike, out: npt.NDArray[Any] | None, dtype: str | None, threads: int | None
    ) -> npt.NDArray[Any]: ...
    def inverse(self, a: npt.ArrayLike, out: npt.NDArray[Any] | None, threads: int | None) -> npt.NDArray[Any]: ...
    def invertible(self, channel: int) -> bool: ...
    def pieces(
        self, channel: int
    ) -> list[tuple[tuple[float, float], bool, tuple[float, float], tuple[float, float]]]: ...

class ActionSample:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    @staticmethod
    def from_rows(actions: npt.ArrayLike, dim: int, threads: int | None) -> ActionSample | None: ...
    @staticmethod
    def from_laws(laws: list[list[tuple[float, float, float]] | tuple[float, float]]) -> ActionSample: ...
    @property
    def dim(self) -> int: ...
    @property
    def rows(self) -> npt.NDArray[np.float64] | None: ...

def float_array(array: object, name: str) -> npt.NDArray[Any]: ...
def mismatch(
    intended: Unnormalizer, executed: Unnormalizer
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]: ...
def separable(
    out: npt.NDArray[np.float64],
    intended: list[Unnormalizer],
    executed: list[Unnormalizer],
    samples: list[ActionSample],
    metric: str,
    parameter: float,
    threads: int | None,
) -> None: ...
def mean(
    out: npt.NDArray[np.float64],
    intended: list[Unnormalizer],
    executed: list[Unnormalizer],
    samples: list[ActionSample],
    excluded: list[list[int]],
    threads: int | None,
) -> None: ...
def joint(
    out: npt.NDArray[np.float64],
    intended: list[Unnormalizer],
    executed: list[Unnormalizer],
    samples: list[ActionSample],
    excluded: list[list[int]],
    metric: str,
    parameter: float,
    threads: int | None,
) -> None: ...
def joint_pairs(
    out: npt.NDArray[np.float64],
    specs: list[Unnormalizer],
    i: npt.NDArray[np.intp],
    j: npt.NDArray[np.intp],
    sample: ActionSample,
    excluded: list[int],
    metric: str,
    parameter: float,
    threads: int | None,
) -> None: ...
def joint_pair(
    intended: Unnormalizer,
    executed: Unnormalizer,
    sample: ActionSample,
    channels: list[int],
    metric: str,
    parameter: float,
) -> float: ...
def mean_l2_bounds(
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    specs: list[Unnormalizer],
    sample: ActionSample,
    channels: list[int],
    count: int,
    threads: int | None,
) -> int: ...
def outside(
    unnormalizer: Unnormalizer, sample: ActionSample, lo: list[float], hi: list[float]
) -> npt.NDArray[np.float64]: ...
def geodesic(
    rotations: npt.ArrayLike, read_as: str, instead_of: str, threads: int | None
) -> npt.NDArray[np.float64]: ...
