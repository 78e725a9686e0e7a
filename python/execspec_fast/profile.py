"""`Profile`: one un-normalizer, and its compilation to ops.

`table` compiles a profile and the figures of a key into ops from `u` to `a`; `forward` into the ops from `a` to `u`
that the policy was trained on, which is seldom the exact inverse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .domain import UNBOUNDED, Domain
from .errors import MissingStatsError, ShapeMismatchError
from .formulas import Formula, Ops, Training, Which
from .ops import OP, OpDType, OpFlag, OpKind, OpTable, stage, table
from .stats import BoolArray, FloatArray, NormStats

AS_IT_IS = Training()


@dataclass(frozen=True, slots=True)
class Profile:
    """One un-normalizer.

    Attributes:
        name: how users call it, after the `@` of `PATH#KEY@PROFILE`.
        ecosystem: whose code it is.
        formula: from `u` to `a`, and back; None where `by_mode` has one for each channel.
        needs: the figures the formula reads, in the order of its parameters.
        eps: what un-normalizing adds to the range or the std, 0 for nothing.
        dtype: in which the figures meet the value; before that the value keeps its own. `FLOAT32` casts `u` first.
        training: how the actions that the policy learned from were normalized.
        flags: how the formula uses `eps`, and its order of products.
        mask: whether channels whose published mask is False pass through, cast to the dtype the others end in.
        passes: further channels that pass through.
        clip: whether `u` is clipped to [-1, 1] first, on every channel.
        binary: the channel of `u` that then becomes 0 below one half, and 1 from there on.
        per_step: whether figures may have one row per time step.
        by_mode: the profiles that figures name by channel (`NormStats.modes`).
        domain: what the policy head can emit.
    """

    name: str
    ecosystem: str
    formula: Formula | None
    needs: tuple[str, ...]
    eps: float
    dtype: OpDType
    training: Training = AS_IT_IS
    flags: OpFlag = OpFlag.NONE
    mask: bool = False
    passes: Which | None = None
    clip: bool = False
    binary: int | None = None
    per_step: bool = False
    by_mode: Mapping[str, Profile] | None = None
    domain: Domain = UNBOUNDED

    def table(self, stats: NormStats, eps: float | None = None) -> OpTable:
        """The ops from `u` to `a`, shape `(stages, D)`, or `(stages, T * D)` for figures per time step.

        Args:
            stats: figures of shape `(D,)`, or `(T, D)` where `per_step`.
            eps: takes the place of the profile's epsilon, where it has one (LeRobot's is a field of the checkpoint).

        Raises:
            MissingStatsError: a figure in `needs` is not published.
            ShapeMismatchError: the figures have one row per time step, or the `binary` channel does not exist.
            StatsError: a figure is not finite or beyond the domain of validity, with the channel.
        """
        stats = self._flat(stats)
        if self.formula is None:
            return self._compose(stats, lambda profile: profile.table(stats))
        ops = self.formula.unnormalize(*self._figures(stats, self.needs), _eps(self.eps, eps))
        scaled = stats.mask if self.mask else None
        if self.passes:
            scaled = _both(scaled, ~self.passes.test(*self._figures(stats, self.passes.names)))
        return table(*self._before(stats.dim), *self._stages(ops, stats.dim, self.dtype, scaled))

    def forward(self, stats: NormStats, eps: float | None = None) -> OpTable:
        """The ops from `a` to `u` of the training pipeline; shape, arguments and errors as `table`.

        The Open-X pipeline takes float32 actions. NumPy forms `hi - lo + eps` in float64, TensorFlow rounds it to
        float32 and divides by it, clips to [-1, 1] where the mask is true, and then sets channels whose `min` equals
        their `max` to 0, whatever their mask says (Octo's leaves them).
        """
        stats, training = self._flat(stats), self.training
        if self.formula is None:
            return self._compose(stats, lambda profile: profile.forward(stats))
        ops = (training.open_x or self.formula).normalize(*self._figures(stats, self.needs), _eps(training.eps, eps))
        dtype = self.dtype if training.dtype is None else training.dtype
        active = stats.mask if training.open_x else None
        still = None
        if training.still:
            still = training.still.test(*self._figures(stats, training.still.names))
        scaled = active if still is None else _both(active, ~still)
        stages = self._stages(ops, stats.dim, dtype, scaled)
        if training.clip:
            stages.append(stage(stats.dim, OpKind.CLIP, -training.clip, training.clip, where=active))
        if still is not None and training.zeroes:
            stages.append(stage(stats.dim, OpKind.STEP, 0.0, 0.0, 0.0, 0.0, where=still))
        return table(*stages)

    def _before(self, dim: int) -> list[OpTable]:
        """What happens to `u` before any figure meets it."""
        stages = []
        if self.dtype == OpDType.FLOAT32:
            stages.append(stage(dim, OpKind.IDENTITY, dtype=OpDType.FLOAT32))
        if self.clip:
            stages.append(stage(dim, OpKind.CLIP, -1.0, 1.0))
        if self.binary is not None:
            if self.binary >= dim:
                raise ShapeMismatchError(
                    f"profile {self.name!r} makes channel {self.binary} (from 0) binary, and there are {dim} channels"
                )
            stages.append(stage(dim, OpKind.STEP, 0.5, 0.0, 1.0, 1.0, where=np.arange(dim) == self.binary))
        return stages

    def _stages(self, ops: Ops, dim: int, dtype: OpDType, where: BoolArray | None) -> list[OpTable]:
        return [
            stage(
                dim,
                kind,
                *parameters,
                dtype=dtype,
                flags=self.flags if kind in (OpKind.ENDPOINT, OpKind.TO_ENDPOINT) else OpFlag.NONE,
                where=where,
            )
            for kind, *parameters in ops
        ]

    def _compose(self, stats: NormStats, compiled: Callable[[Profile], OpTable]) -> OpTable:
        """Each channel by the profile of its own mode, one after the other; a cell left alone is the identity."""
        if stats.modes is None or self.by_mode is None:
            raise MissingStatsError(
                f"profile {self.name!r} needs the mode of every channel, which no file gives; name the one mode of all "
                f"as PATH#KEY@PROFILE: {', '.join(profile.name for profile in (self.by_mode or {}).values())}"
            )
        parts = []
        for mode in dict.fromkeys(stats.modes):
            part = np.array(compiled(self.by_mode[mode]))
            part[:, [own != mode for own in stats.modes]] = np.zeros((), OP)
            parts.append(part)
        return table(*parts)

    def _flat(self, stats: NormStats) -> NormStats:
        if len(stats.shape) > 1 and not self.per_step:
            raise ShapeMismatchError(
                f"profile {self.name!r} reads one row of D figures and got {stats.shape}, one row per time step; "
                "it has no per-step form"
            )
        return stats.flat

    def _figures(self, stats: NormStats, names: tuple[str, ...]) -> tuple[FloatArray, ...]:
        missing = [name for name in names if name not in stats]
        if missing:
            raise MissingStatsError(
                f"profile {self.name!r} needs {', '.join(names)}, and {', '.join(missing)} is not published "
                f"(published: {', '.join(stats)}); recompute the figures, or name another profile as PATH#KEY@PROFILE"
            )
        return tuple(stats[name] for name in names)


def _eps(own: float, declared: float | None) -> float:
    return own if declared is None or own == 0 else declared


def _both(a: BoolArray | None, b: BoolArray) -> BoolArray:
    return b if a is None else a & b
