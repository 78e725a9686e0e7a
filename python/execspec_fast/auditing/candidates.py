"""What it costs not to know whose un-normalizer runs: the drift between the profiles that one file fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..drift import drift
from ..errors import ExecSpecError, Finding
from ..inference import ends
from ..sample import ActionSample
from ..spec import ExecSpec

NOTICEABLE = 0.01
"""Share of the range that [-1, 1] spans, averaged over channels or of a gripper's, below which profiles are as good as
one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another profile that the file of a spec fits.

    Attributes:
        profile: its name.
        mean: mean |delta| over the channels that are no gripper, if it ran instead; NaN if it cannot run.
        share: the same, of the mean range of these channels.
        gripper: mean |delta| of the gripper that it moves most, of its range; NaN if no gripper has one.
        unmeasured: whether a gripper moves by what the figures do not say: a step hides which `u` there were.
        reason: why it cannot run, else empty.
    """

    profile: str
    mean: float = math.nan
    share: float = math.nan
    gripper: float = math.nan
    unmeasured: bool = False
    reason: str = ""

    @property
    def furthest(self) -> float:
        """The larger share, of the gripper or of the other channels; NaN if it cannot run."""
        return max((x for x in (self.share, self.gripper) if not math.isnan(x)), default=math.nan)

    def __str__(self) -> str:
        gripper = f"; the gripper by {self.gripper:.0%} of its own" if self.gripper >= NOTICEABLE else ""
        if self.unmeasured:
            gripper += "; the gripper's own is not known"
        return self.reason or f"drift {self.mean:.3g}, {self.share:.0%} of the range{gripper}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for figures there are not."""
        known = {"mean": self.mean, "share": self.share, "gripper": self.gripper}
        figures = {name: value if math.isfinite(value) else None for name, value in known.items()}
        return {"profile": self.profile, **figures, "unmeasured": self.unmeasured, "reason": self.reason}


def candidates(spec: ExecSpec, sample: ActionSample) -> Iterator[Candidate]:
    """The alternatives of a spec whose profile is not declared, each with what it would change."""
    if spec.profile_fact.status == "declared":
        return
    low, high = ends(spec)
    for name in spec.alternatives:
        try:
            found = drift(spec, spec.with_profile(name), sample)
        except ExecSpecError as error:
            yield Candidate(name, reason=str(error))
            continue
        used, spans = list(found.channels_used), np.abs(high - low)
        span = float(spans[used].mean()) if used else math.nan
        shares = [float(found.mean_abs[d] / spans[d]) for d in range(spec.dim) if d not in used and spans[d]]
        gripper = max((share for share in shares if not math.isnan(share)), default=math.nan)
        unmeasured = any(map(math.isnan, shares))
        yield Candidate(name, found.mean, found.mean / span if span else math.inf, gripper, unmeasured)


def undecided(path: str, specs: Sequence[ExecSpec], sample_of: Callable[[ExecSpec], ActionSample]) -> Iterator[Finding]:
    """T1: a profile that is inferred, where another one that fits the file would move the robot noticeably."""
    costs: dict[str, tuple[Candidate, ExecSpec]] = {}
    for spec in specs:
        for one in candidates(spec, sample_of(spec)) if spec.alternatives else ():
            if one.furthest >= max(NOTICEABLE, costs[one.profile][0].furthest if one.profile in costs else 0.0):
                costs[one.profile] = (one, spec)
    if costs:
        furthest, (cost, spec) = max(costs.items(), key=lambda item: item[1][0].furthest)
        others = f"the furthest of {len(costs)} that fit" if len(costs) > 1 else "which fits"
        yield Finding(
            "T1",
            "note",
            path,
            str(spec.sources.get("profile", spec.sources.get("stats", ""))),
            f"{spec.profile} is inferred; {furthest}, {others} the files too, would {cost}",
            {name: {**one.to_dict(), "key": spec.key} for name, (one, spec) in costs.items()},
            "Name the un-normalizer that runs, as PATH#KEY@PROFILE or in execspec.toml.",
        )
