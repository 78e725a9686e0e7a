"""The profiles: whose un-normalizer runs. One table, each row the formula, figures, epsilons and dtype of one stack.

Rows state what the named repository evaluates. `table` compiles a row and the figures of a key into ops from `u` to
`a`; `forward` into the ops from `a` to `u` that the policy was trained on, which is seldom the exact inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .domain import UNBOUNDED, Domain
from .errors import MissingStatsError, ShapeMismatchError, UnknownProfileError
from .ops import OpDType, OpFlag, OpKind, OpTable, stage, table
from .stats import FloatArray, NormStats

FORWARD = {
    OpKind.ENDPOINT: OpKind.TO_ENDPOINT,
    OpKind.ZSCORE: OpKind.TO_ZSCORE,
    OpKind.IDENTITY: OpKind.IDENTITY,
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One un-normalizer.

    Attributes:
        name: how users call it, after the `@` of `PATH#KEY@PROFILE`.
        ecosystem: whose code it is.
        kind: formula from `u` to `a`: `ENDPOINT`, `ZSCORE` or `IDENTITY`.
        needs: the figures the formula reads, in the order of its parameters.
        eps: what un-normalizing adds to the range or the std, 0 for nothing.
        forward_eps: what normalizing adds.
        dtype: in which the figures meet the value; before that the value keeps its own.
        flags: how the formula uses `eps`, and its order of products.
        open_x: channels whose published mask is False pass through, cast to the dtype the others end in, and
            normalizing is done by the Open-X data pipeline (see `forward`).
        domain: what the policy head can emit.
    """

    name: str
    ecosystem: str
    kind: OpKind
    needs: tuple[str, ...]
    eps: float
    forward_eps: float
    dtype: OpDType
    flags: OpFlag = OpFlag.NONE
    open_x: bool = False
    domain: Domain = UNBOUNDED

    def table(self, stats: NormStats, eps: float | None = None) -> OpTable:
        """The ops from `u` to `a`, shape `(1, D)`.

        Args:
            stats: figures of shape `(D,)`.
            eps: takes the place of the profile's epsilon, where it has one (LeRobot's is a field of the checkpoint).

        Raises:
            MissingStatsError: a figure in `needs` is not published.
            ShapeMismatchError: the figures have one row per time step.
            StatsError: a figure is not finite or beyond the domain of validity, with the channel.
        """
        figures = self._figures(stats, self.needs)
        return table(self._stage(self.kind, stats, figures, self.eps, eps))

    def forward(self, stats: NormStats, eps: float | None = None) -> OpTable:
        """The ops from `a` to `u` of the training pipeline, shape `(stages, D)`; arguments and errors as `table`.

        The Open-X pipeline takes float32 actions. NumPy forms `hi - lo + eps` in float64, TensorFlow rounds it to
        float32 and divides by it, clips to [-1, 1] where the mask is true, and then sets channels whose `min` equals
        their `max` to 0, whatever their mask says.
        """
        if not self.open_x:
            figures = self._figures(stats, self.needs)
            return table(self._stage(FORWARD[self.kind], stats, figures, self.forward_eps, eps))
        lo, hi, least, most = self._figures(stats, (*self.needs, "min", "max"))
        width = hi - lo + self.forward_eps
        return table(
            stage(stats.dim, OpKind.LINEAR, 1.0, -lo, dtype=OpDType.FLOAT32, where=stats.mask),
            stage(stats.dim, OpKind.TO_ENDPOINT, 0.0, width, 0.0, dtype=OpDType.FLOAT32, where=stats.mask),
            stage(stats.dim, OpKind.CLIP, -1.0, 1.0, where=stats.mask),
            stage(stats.dim, OpKind.STEP, 0.0, 0.0, 0.0, 0.0, where=least == most),
        )

    def _stage(
        self, kind: OpKind, stats: NormStats, figures: tuple[FloatArray, ...], own_eps: float, eps: float | None
    ) -> OpTable:
        mask = stats.mask if self.open_x else None
        if not figures:
            return stage(stats.dim, kind, dtype=self.dtype, where=mask)
        added = own_eps if eps is None or own_eps == 0 else eps
        return stage(stats.dim, kind, *figures, added, dtype=self.dtype, flags=self.flags, where=mask)

    def _figures(self, stats: NormStats, names: tuple[str, ...]) -> tuple[FloatArray, ...]:
        if len(stats.shape) != 1:
            raise ShapeMismatchError(
                f"profile {self.name!r} reads one row of D figures and got {stats.shape}, one row per time step; "
                "it has no per-step form"
            )
        missing = [name for name in names if name not in stats]
        if missing:
            raise MissingStatsError(
                f"profile {self.name!r} needs {', '.join(names)}, and {', '.join(missing)} is not published "
                f"(published: {', '.join(stats)}); recompute the figures, or name another profile as PATH#KEY@PROFILE"
            )
        return tuple(stats[name] for name in names)


def _bin_centres() -> Domain:
    """The 255 centres of 256 edges on [-1, 1] that OpenVLA's tokens decode to; they stop short of the ends."""
    edges = np.linspace(-1.0, 1.0, 256)
    points = tuple(float(p) for p in (edges[:-1] + edges[1:]) / 2)
    return Domain(points[0], points[-1], points, "255 bin centres")


ENDPOINT, ZSCORE, IDENTITY = OpKind.ENDPOINT, OpKind.ZSCORE, OpKind.IDENTITY
MOMENTS, BOUNDS, QUANTILES, DECILES = ("mean", "std"), ("min", "max"), ("q01", "q99"), ("q10", "q90")
F64, SAME = OpDType.FLOAT64, OpDType.SAME
IF_ZERO, HALF_LAST = OpFlag.EPS_IF_ZERO, OpFlag.EPS_IF_ZERO | OpFlag.HALF_LAST

# OpenVLA and OFT hold their JSON figures in float64, so a float32 `u` widens when it meets them; the mask is applied
# as np.where(mask, f(u), u). openpi does the same without a mask, and pads `u` to its model's width with channels that
# mean nothing: D is the width of the figures. LeRobot casts its figures to the dtype of the tensor it is given; those
# of 0.3 are parameters of the policy and share its dtype.
_TABLE = (
    Profile("openvla", "openvla", ENDPOINT, QUANTILES, 0.0, 1e-8, F64, open_x=True, domain=_bin_centres()),
    Profile("openvla-oft", "openvla-oft", ENDPOINT, QUANTILES, 1e-8, 1e-8, F64, open_x=True),
    Profile("openvla-oft-minmax", "openvla-oft", ENDPOINT, BOUNDS, 1e-8, 1e-8, F64, open_x=True),
    Profile("openpi-zscore", "openpi", ZSCORE, MOMENTS, 1e-6, 1e-6, F64),
    Profile("openpi-quantile", "openpi", ENDPOINT, QUANTILES, 1e-6, 1e-6, F64),
    Profile("lerobot-mean_std", "lerobot", ZSCORE, MOMENTS, 0.0, 1e-8, SAME),
    Profile("lerobot-min_max", "lerobot", ENDPOINT, BOUNDS, 1e-8, 1e-8, SAME, IF_ZERO),
    Profile("lerobot-quantiles", "lerobot", ENDPOINT, QUANTILES, 1e-8, 1e-8, SAME, HALF_LAST),
    Profile("lerobot-quantile10", "lerobot", ENDPOINT, DECILES, 1e-8, 1e-8, SAME, HALF_LAST),
    Profile("lerobot-identity", "lerobot", IDENTITY, (), 0.0, 0.0, SAME),
    Profile("lerobot-0.3-mean_std", "lerobot", ZSCORE, MOMENTS, 0.0, 1e-8, SAME),
    Profile("lerobot-0.3-min_max", "lerobot", ENDPOINT, BOUNDS, 0.0, 1e-8, SAME),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _TABLE})


def find_profile(name: str) -> Profile:
    """The profile of that name; `UnknownProfileError` lists the names there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfileError(name, PROFILES) from None
