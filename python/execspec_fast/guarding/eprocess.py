"""Evidence against "a block seldom passes a limit", which may be looked at as often as one likes.

Several limits are watched. `X_b` says whether block b of an episode passes one of them, and the hypothesis of each is

    H: given all episodes before, the expected share of an episode's blocks that pass is at most p0.

It follows from P(X_b | blocks before) <= p0 where an episode does not end because of what its blocks did, and without
that from P(an episode has a block that passes) <= p0. Blocks of one episode may depend on each other in any way.

The e-value of a block is `1 - stake + stake X_b / p0`, that of an episode the mean over its N blocks,
`E = 1 - stake + stake (sum of X_b / N) / p0`, so that under H `E[E | episodes before] <= 1`. Products of such E over
episodes are nonnegative supermartingales from 1 on, one for each limit, and so is their mean over the limits. By
Ville's inequality the chance that the mean ever reaches `1 / alpha` at the end of an episode is at most alpha.

After b blocks of a running episode the sum so far is divided by the most blocks that count, M >= N: all that are to
come are taken to pass nothing. What is read then is at most what the episode's end will bring, so a look at the end of
a block can raise an alarm earlier and never one more.

Sources: Ville 1939; Shafer 2021, "Testing by betting"; Vovk and Wang 2021, "E-values: calibration, combination and
applications" (means of e-values); Ramdas and others 2023, "Game-theoretic statistics and safe anytime-valid inference".
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..errors import StatsError

ALPHA = 0.01
"""Bound on the chance of a false alarm unless told."""

STAKE = 0.8
"""Part of the evidence that each episode risks unless told: near 1 a wrong key shows soonest, and one correct-looking
episode of it costs most."""


class EProcess:
    """The running evidence of several limits, in logarithms.

    Args:
        limits: how many are watched.
        p0: the share of blocks that may pass a limit, in (0, 1).
        most_blocks: blocks of an episode that count; those after them are not looked at.
        stake: the part of the evidence that each episode risks, in (0, 1).

    Attributes:
        episodes: ended ones, with a block or more.
        blocks: that counted, in all episodes.
        passed: int64 `(limits,)`, how many of them passed each limit.

    Raises:
        StatsError: a number outside its range.
    """

    def __init__(self, limits: int, p0: float, most_blocks: int, stake: float = STAKE) -> None:
        if not (0 < p0 < 1 and 0 < stake < 1 and most_blocks >= 1 and limits >= 1):
            given = f"p0 {p0!r}, stake {stake!r}, most_blocks {most_blocks!r}, limits {limits!r}"
            raise StatsError(f"p0 and stake lie between 0 and 1, most_blocks and limits from 1 up; got {given}")
        self.p0, self.most_blocks, self.stake = p0, most_blocks, stake
        self.episodes = self.blocks = 0
        self.passed = np.zeros(limits, np.int64)
        self._ended = np.zeros(limits)  # log of the product over ended episodes
        self._here = 0  # blocks of the running episode
        self._passed_here = np.zeros(limits, np.int64)

    def block(self, passes: npt.NDArray[np.bool_]) -> None:
        """The end of a block: which limits it passes, bool `(limits,)`."""
        if self._here < self.most_blocks:
            self._here += 1
            self.blocks += 1
            self._passed_here += passes
            self.passed += passes

    def end_episode(self) -> None:
        """The end of an episode. One without a block says nothing."""
        if self._here:
            self._ended += self._gain(self._passed_here / self._here)
            self.episodes += 1
        self._here = 0
        self._passed_here[:] = 0

    @property
    def log_each(self) -> npt.NDArray[np.float64]:
        """Natural logarithm of the evidence against each limit, float64 `(limits,)`."""
        return self._ended + self._gain(self._passed_here / self.most_blocks) if self._here else self._ended.copy()

    @property
    def log_e(self) -> float:
        """Natural logarithm of their mean: the e-value so far."""
        each = self.log_each
        top = each.max()
        return float(top + math.log(np.exp(each - top).mean()))

    def _gain(self, share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.log1p(self.stake * (share / self.p0 - 1))


def fewest_episodes(p0: float, alpha: float = ALPHA, stake: float = STAKE) -> int:
    """How many episodes an alarm takes at least: so many of which every block passes every limit."""
    return math.ceil(math.log(1 / alpha) / math.log1p(stake * (1 / p0 - 1)))
