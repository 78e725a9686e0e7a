"""`ActionMonitor`: whether what is executed looks like the declared key, judged from the executed actions alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ExecSpecError, ShapeMismatchError, StatsError
from ..sample import ExactInverse
from ..spec import ExecSpec
from .calibration import Calibration, deciles
from .eprocess import ALPHA, STAKE, EProcess


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one limit has to say.

    Attributes:
        channel: name.
        figure: `low decile` or `high decile` of a block.
        side: `below` the least or `above` the largest of the calibration.
        limit: that figure, in units of `u`.
        blocks: that passed it.
        log_e: natural logarithm of the evidence against it alone.
    """

    channel: str
    figure: str
    side: str
    limit: float
    blocks: int
    log_e: float

    def __str__(self) -> str:
        return f"{self.channel}: {self.figure} of u {self.side} {self.limit:.4g} in {self.blocks} blocks"


class ActionMonitor:
    """An advisory alarm: executed actions do not look like those of correct episodes of `spec`.

    Call `step` with every executed action and `end_episode` after the last of an episode. If all episodes are correct,
    the chance that the alarm is ever raised is at most `alpha`, at the calibration's confidence: for any dependence
    between the steps of an episode, provided episodes are independent and drawn as those of the calibration were (see
    `calibration`, and `eprocess` for the proof). Correct episodes cost evidence, which a later wrong key would have to
    make up for, so every start of a deployment takes a new monitor.

    A key that moves actions by less than correct episodes differ, such as another epsilon, is not seen.

    Args:
        spec: what is declared.
        calibration: of this spec.
        alpha: bound on the chance of a false alarm, in (0, 1).
        stake: the part of the evidence that each episode risks, in (0, 1).

    Attributes:
        alarm: whether it was raised; stays so.
        steps: how many were seen.

    Raises:
        ExecSpecError: a calibration of another spec.
        StatsError: alpha or stake outside its range.
    """

    def __init__(self, spec: ExecSpec, calibration: Calibration, *, alpha: float = ALPHA, stake: float = STAKE) -> None:
        if calibration.digest != spec.digest:
            raise ExecSpecError(
                f"the calibration is of {calibration.spec} with digest {calibration.digest[:12]}, and {spec.name} has "
                f"{spec.digest[:12]}; calibrate on correct episodes of it"
            )
        if not 0 < alpha < 1:
            raise StatsError(f"alpha {alpha!r} is not between 0 and 1")
        self._inverse = ExactInverse(spec)
        self._used = [one.channel for one in calibration.limits]
        if self._used != [d for d in range(spec.dim) if d not in self._inverse.excluded]:
            raise ExecSpecError(f"the calibration has limits of other channels than {spec.name}; make it again")
        self._calibration = calibration
        self._least, self._largest = calibration.bounds()
        self._process = EProcess(calibration.count, calibration.p0, calibration.most_blocks, stake)
        self._u = np.empty((calibration.block, spec.dim))
        self._filled = 0
        self._enough = -math.log(alpha)
        self.alarm = False
        self.steps = 0

    def step(self, a: npt.ArrayLike) -> bool:
        """The next executed action, `(D,)`, float32 or float64; returns `alarm`, which changes at the end of a block.

        Raises:
            ShapeMismatchError, DTypeError
            StatsError: not finite. An action that is refused is not counted.
        """
        if np.ndim(a) != 1:
            raise ShapeMismatchError(f"one action of shape ({self._inverse.dim},) is wanted, got {np.shape(a)}")
        self._u[self._filled] = self._inverse(a)
        self.steps += 1
        self._filled += 1
        if self._filled == len(self._u):
            self._filled = 0
            figures = deciles(self._u[:, self._used])
            self._process.block(np.stack([figures < self._least, figures > self._largest]).ravel())
            self._look()
        return self.alarm

    def end_episode(self) -> bool:
        """After the last step of an episode; steps that fill no block are dropped. Returns `alarm`."""
        self._filled = 0
        self._process.end_episode()
        self._look()
        return self.alarm

    @property
    def episodes(self) -> int:
        """Ended ones, with a block or more."""
        return self._process.episodes

    @property
    def blocks(self) -> int:
        """Blocks that count: whole ones, and of an episode no more than the longest of the calibration had."""
        return self._process.blocks

    @property
    def log_e(self) -> float:
        """Natural logarithm of the e-value so far, 0 before the first block."""
        return self._process.log_e

    @property
    def e_value(self) -> float:
        """Evidence so far; the alarm is raised at `1 / alpha`. Infinite beyond float64."""
        return math.exp(self.log_e) if self.log_e < 709 else math.inf

    def evidence(self) -> tuple[Evidence, ...]:
        """What every limit has to say, the strongest first."""
        limits, each = np.stack([self._least, self._largest]), self._process.log_each
        passed = self._process.passed
        found = []
        for n, (side, figure, c) in enumerate(np.ndindex(limits.shape)):
            found.append(
                Evidence(
                    channel=self._calibration.limits[c].name,
                    figure=("low decile", "high decile")[figure],
                    side=("below", "above")[side],
                    limit=float(limits[side, figure, c]),
                    blocks=int(passed[n]),
                    log_e=float(each[n]),
                )
            )
        return tuple(sorted(found, key=lambda one: -one.log_e))

    def _look(self) -> None:
        self.alarm = self.alarm or self.log_e >= self._enough
