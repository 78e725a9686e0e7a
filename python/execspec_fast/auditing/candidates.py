"""What it costs not to know whose un-normalizer runs: the drift between the profiles that one file fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..drift import drift
from ..errors import ExecSpecError, Finding
from ..sample import ActionSample
from ..spec import ExecSpec
from .siblings import ends

NOTICEABLE = 0.01
"""Share of the range that [-1, 1] spans, averaged over channels, below which profiles are as good as one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another profile that the file of a spec fits.

    Attributes:
        profile: its name.
        mean: mean |delta| over the channels that are no gripper, if it ran instead; NaN if it cannot run.
        share: the same, of the mean range of these channels.
        reason: why it cannot run, else empty.
    """

    profile: str
    mean: float = math.nan
    share: float = math.nan
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable; None for figures there are not."""
        known = {"mean": self.mean, "share": self.share}
        figures = {name: value if math.isfinite(value) else None for name, value in known.items()}
        return {"profile": self.profile, **figures, "reason": self.reason}


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
        used = list(found.channels_used)
        spans = float(np.abs(high - low)[used].mean()) if used else math.nan
        yield Candidate(name, found.mean, found.mean / spans if spans else math.inf)


def undecided(path: str, specs: Sequence[ExecSpec], sample_of: Callable[[ExecSpec], ActionSample]) -> Iterator[Finding]:
    """T1: a profile that is inferred, where another one that fits the file would move the robot noticeably."""
    costs: dict[str, tuple[float, float, ExecSpec]] = {}
    for spec in specs:
        for one in candidates(spec, sample_of(spec)) if spec.alternatives else ():
            if one.share >= NOTICEABLE and one.mean > costs.get(one.profile, (0.0,))[0]:
                costs[one.profile] = (one.mean, one.share, spec)
    if costs:
        furthest, (mean, share, spec) = max(costs.items(), key=lambda item: item[1][1])
        others = f"the furthest of {len(costs)} that fit" if len(costs) > 1 else "which fits"
        yield Finding(
            "T1",
            "note",
            path,
            str(spec.sources.get("profile", spec.sources.get("stats", ""))),
            f"{spec.profile} is inferred; {furthest}, {others} the files too, would drift {mean:.3g}, "
            f"{share:.0%} of the range",
            {name: {"mean": mean, "share": share, "key": spec.key} for name, (mean, share, spec) in costs.items()},
            "Name the un-normalizer that runs, as PATH#KEY@PROFILE or in execspec.toml.",
        )
