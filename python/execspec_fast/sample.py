"""`ActionSample`: a distribution of normalized actions that drift can be integrated against exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _core, arrays
from .errors import MissingStatsError, ShapeMismatchError, StatsError
from .ops import LIMIT, OpKind
from .stats import NormStats
from .unnormalizer import Executable, Unnormalizer

Segment = tuple[float, float, float]  # lo, hi, mass; an atom where lo == hi
Law = list[Segment] | tuple[float, float]  # uniform pieces in increasing order, or (mean, std) of a normal law

LEVELS = {"min": 0.0, "q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99, "max": 1.0}


class Published(Executable, Protocol):
    """An executable that knows the figures it was made from: an `ExecSpec`."""

    @property
    def stats(self) -> NormStats: ...


class ActionSample:
    """Normalized actions, as an array or as a law per channel.

    Args:
        u: normalized actions `(..., D)`, at least one, finite, of any kind that the host can read. Rows are kept, so
            joint metrics are exact.
        description: how reports name the sample.

    Attributes:
        dim: channels.
        count: rows; None for a law.
        description: what the sample is, for reports.
        excluded: channel to reason, where the sample says nothing (a constant channel has no inverse).

    Raises:
        ShapeMismatchError, DTypeError, ArrayError
        StatsError: no rows, or a value that is not finite or larger than `ops.LIMIT`; names row and channel.
    """

    __slots__ = ("_core", "_laws", "count", "description", "dim", "excluded")

    def __init__(self, u: npt.ArrayLike, description: str = "actions", *, threads: int | None = None) -> None:
        array = _floats(u)
        if array.ndim < 1 or array.shape[-1] == 0:
            raise ShapeMismatchError(f"actions have shape {array.shape}; the last axis must hold the channels")
        rows = array.reshape(-1, array.shape[-1])
        if not rows.shape[0]:
            raise StatsError("no actions at all: a sample needs at least one row")
        core = _core.ActionSample.from_rows(rows, rows.shape[1], threads)
        if core is None:
            raise _not_finite(rows)
        self.dim = rows.shape[1]
        self.count: int | None = rows.shape[0]
        self.description = description
        self.excluded: Mapping[int, str] = {}
        self._laws: list[Law] | None = None
        self._core = core

    @classmethod
    def _from_laws(cls, laws: list[Law], description: str, excluded: Mapping[int, str] | None = None) -> ActionSample:
        sample = cls.__new__(cls)
        sample.dim, sample.count, sample.description = len(laws), None, description
        sample.excluded = dict(excluded or {})
        sample._laws = laws
        sample._core = _core.ActionSample.from_laws(laws)
        return sample

    @classmethod
    def merge(cls, samples: Sequence[ActionSample], description: str = "") -> ActionSample:
        """One sample of all rows, in their order: what a quantile over several shards needs, since those of the shards
        do not add up to it.

        Raises:
            StatsError: no samples, one without rows, or samples that exclude different channels.
            ShapeMismatchError: different D.
        """
        parts = [rows for sample in samples if (rows := sample._core.rows) is not None]
        if not parts or len(parts) < len(samples):
            raise StatsError("merge needs samples, each with rows; of a law, draw some first (see .independent)")
        if len({sample.dim for sample in samples}) > 1:
            raise ShapeMismatchError(f"samples of {', '.join(str(sample.dim) for sample in samples)} channels")
        if any(dict(sample.excluded) != dict(samples[0].excluded) for sample in samples):
            raise StatsError("the samples exclude different channels; make them with one spec")
        names = list(dict.fromkeys(sample.description for sample in samples))
        merged = cls(np.concatenate(parts), description or " and ".join(names))
        merged.excluded = samples[0].excluded
        return merged

    @classmethod
    def from_physical(cls, a: npt.ArrayLike, spec: Executable, description: str = "physical actions") -> ActionSample:
        """The normalized actions that `spec` executes as `a`, by its exact inverse (not its forward map's clip).

        Channels without an inverse (constant, clipped, stepped) are excluded, with the reason.
        """
        inverse = ExactInverse(spec)
        sample = cls(inverse(a), description)
        sample.excluded = inverse.excluded
        return sample

    @classmethod
    def from_stats(cls, spec: Published) -> ActionSample:
        """The physical actions behind the published figures, normalized by `spec`'s exact inverse.

        Uniform between published quantiles (min, q01, …, max), with the mass the levels leave; if min or max is
        missing, the tail's mass is spread inside. What lies outside the spec's domain is moved to its end. Channels
        with mean and std alone are normal.

        Raises:
            MissingStatsError: neither two quantiles nor mean and std.
            StatsError: quantiles that decrease.
        """
        knots = [name for name in LEVELS if name in spec.stats]
        if len(knots) < 2:
            return cls.gaussian(spec)
        unnormalizer, values = _unclipped(spec.map), _per_channel(spec.stats, knots)
        excluded = _without_inverse(unnormalizer)
        scale, offset = unnormalizer.scale_offset()
        laws: list[Law] = []
        for d in range(unnormalizer.dim):
            if d in excluded:
                laws.append([(0.0, 0.0, 1.0)])
                continue
            if (np.diff(values[:, d]) < 0).any():
                listed = ", ".join(f"{name} {value:.6g}" for name, value in zip(knots, values[:, d], strict=True))
                raise StatsError(f"channel {d}: published quantiles decrease ({listed}); recompute them")
            domain = unnormalizer.domain  # a head that cannot emit an outlier was trained on its nearest value
            ends = np.clip((values[:, d] - offset[d]) / scale[d], domain.lo, domain.hi)
            masses = np.diff([LEVELS[name] for name in knots])
            pieces = [
                (float(min(lo, hi)), float(max(lo, hi)), float(mass / masses.sum()))
                for lo, hi, mass in zip(ends[:-1], ends[1:], masses, strict=True)
            ]
            laws.append(pieces if scale[d] > 0 else pieces[::-1])
        return cls._from_laws(laws, f"published quantiles ({', '.join(knots)}), uniform between", excluded)

    @classmethod
    def uniform(cls, dim: int, low: float = -1.0, high: float = 1.0) -> ActionSample:
        """Every channel uniform on `[low, high]`.

        Raises:
            StatsError: no channels, or bounds that are not finite and increasing.
        """
        if dim < 1 or not (-LIMIT <= low < high <= LIMIT):
            raise StatsError(
                f"uniform needs at least one channel and finite bounds low < high, got {dim}, [{low}, {high}]"
            )
        return cls._from_laws([[(low, high, 1.0)] for _ in range(dim)], f"uniform on [{low:g}, {high:g}]")

    @classmethod
    def gaussian(cls, spec: Published) -> ActionSample:
        """Every channel normal with the published mean and std, normalized by `spec`'s exact inverse.

        Raises:
            MissingStatsError: no mean or no std.
        """
        mean, std = _per_channel(spec.stats, ["mean", "std"])
        unnormalizer = _unclipped(spec.map)
        excluded = _without_inverse(unnormalizer)
        scale, offset = unnormalizer.scale_offset()
        laws: list[Law] = []
        for d in range(unnormalizer.dim):
            if d in excluded:
                laws.append([(0.0, 0.0, 1.0)])
                continue
            centre, width = float((mean[d] - offset[d]) / scale[d]), float(abs(std[d] / scale[d]))
            laws.append((centre, width) if width > 0 else [(centre, centre, 1.0)])
        return cls._from_laws(laws, "normal with the published mean and std", excluded)

    @property
    def joint(self) -> bool:
        """Whether rows are known, so that metrics over several channels at once are exact."""
        return self._laws is None

    def independent(self, count: int, seed: int = 0) -> ActionSample:
        """`count` rows drawn channel by channel from the laws: a joint sample under an assumption, so labelled.

        Raises:
            StatsError: the sample already has rows.
        """
        if self._laws is None:
            raise StatsError("the sample has rows of its own; independent draws are for laws")
        rng = np.random.default_rng(seed)
        columns = [_draw(law, count, rng) for law in self._laws]
        label = f"{count} independent-channel draws (seed {seed}) of: {self.description}"
        sample = ActionSample(np.stack(columns, axis=1), label)
        sample.excluded = self.excluded
        return sample

    def __repr__(self) -> str:
        size = f"{self.count} x {self.dim}" if self.count else f"{self.dim} channels"
        return f"ActionSample({size}: {self.description})"


class ExactInverse:
    """`u` of the physical action `a = U(u)`, in every channel whose map has an inverse, its leading clip of `u` aside.

    Attributes:
        dim: channels.
        excluded: channel to reason, where there is no inverse (constant, clipped, stepped); `u` is 0 there.
    """

    __slots__ = ("_map", "dim", "excluded")

    def __init__(self, spec: Executable) -> None:
        unnormalizer = _unclipped(spec.map)
        self.dim = unnormalizer.dim
        self.excluded: Mapping[int, str] = _without_inverse(unnormalizer)
        table = np.array(unnormalizer.table())
        table["kind"][:, list(self.excluded)] = OpKind.IDENTITY
        self._map = Unnormalizer(table)

    def __call__(self, a: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Normalized actions `(..., D)` of physical ones.

        Raises:
            ShapeMismatchError, DTypeError
            StatsError: a value that is not finite or larger than `ops.LIMIT`; names row and channel.
        """
        array = _floats(a)
        if array.ndim < 1 or array.shape[-1] != self.dim:
            raise ShapeMismatchError(f"actions have shape {array.shape}, the spec {self.dim} channels")
        rows = array.reshape(-1, self.dim)
        if not _within(rows).all():
            raise _not_finite(rows)
        u = self._map.inverse(array.astype(np.float64, copy=False))
        u[..., list(self.excluded)] = 0.0
        return u


def _draw(law: Law, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    if isinstance(law, tuple):
        return rng.normal(law[0], law[1], count)
    lo, hi, mass = np.array(law).T
    piece = rng.choice(len(law), count, p=mass / mass.sum())
    return np.asarray(lo[piece] + (hi - lo)[piece] * rng.random(count))


def _floats(actions: npt.ArrayLike) -> npt.NDArray[Any]:
    """float32 or float64, whatever converts to it exactly; the rest is refused by name."""
    return _core.float_array(arrays.host(actions, "actions"), "actions")


def _not_finite(rows: npt.NDArray[Any]) -> StatsError:
    bad = ~_within(rows)
    row, channel = (int(i) for i in np.argwhere(bad)[0])
    value = float(rows[row, channel])
    return StatsError(
        f"row {row}, channel {channel}: {value!r} is not a finite number of magnitude <= {LIMIT:g}; "
        f"{int(bad.any(axis=1).sum())} of {rows.shape[0]} rows are affected, drop or repair them first"
    )


def _within(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    limit = np.float64(LIMIT)  # a plain float would be rounded to float32, where it is infinite
    return np.asarray(np.abs(rows) <= limit)


def _unclipped(unnormalizer: Unnormalizer) -> Unnormalizer:
    """The map without the clip of `u` it may begin with: its inverse is that of every action the clip lets through."""
    ops = np.array(unnormalizer.table())
    begins = np.logical_and.accumulate(np.isin(ops["kind"], (OpKind.CLIP, OpKind.IDENTITY)), axis=0)
    ops[begins & (ops["kind"] == OpKind.CLIP)] = np.zeros((), ops.dtype)
    return Unnormalizer(ops, domain=unnormalizer.domain, gripper=unnormalizer.gripper)


def _without_inverse(unnormalizer: Unnormalizer) -> dict[int, str]:
    flat = np.flatnonzero(~unnormalizer.invertible())
    return {int(d): "its map is a constant, a clip or a step and has no inverse" for d in flat}


def _per_channel(stats: NormStats, names: Sequence[str]) -> npt.NDArray[np.float64]:
    missing = [name for name in names if name not in stats]
    if missing:
        raise MissingStatsError(f"a sample from figures alone needs {missing[0]!r}; published: {', '.join(stats)}")
    return np.stack([stats.flat[name] for name in names])
