"""The policy of a certificate: which drift counts as none, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..conventions import Conventions
from ..errors import ExecSpecError
from ..spec import ExecSpec

EQUIVALENT, WITHIN, INEQUIVALENT, UNDETERMINED = (
    "equivalent",
    "equivalent within eps",
    "inequivalent",
    "undetermined",
)
SEVERITY = (EQUIVALENT, WITHIN, UNDETERMINED, INEQUIVALENT)
"""Verdicts, the worst last."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds of a verdict.

    Attributes:
        eps_equivalent: largest |delta| per channel that counts as none, in action units, or in what a controller makes
            of them (m, rad). The default is ten micrometres for metres: above the epsilons that stacks add, below any
            robot's repeatability.
        sample_if_unbounded: where the domain of u bounds no drift, judge by the largest |delta| over the sample.
            Else such a channel is inequivalent.
        required: conventions that must be known on both sides; where one is not, the verdict is undetermined.
    """

    eps_equivalent: float = 1e-5
    sample_if_unbounded: bool = False
    required: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.eps_equivalent < float("inf"):
            raise ExecSpecError(f"eps_equivalent is {self.eps_equivalent!r}; it must be a finite number from 0 up")
        unknown = set(self.required) - {field.name for field in fields(Conventions)}
        if unknown:
            listed = ", ".join(field.name for field in fields(Conventions))
            raise ExecSpecError(f"no convention {min(unknown)!r}; the conventions are {listed}")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Policy:
        return cls(**{**plain, "required": tuple(plain["required"])})

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "required": list(self.required)}

    def judge(self, intended: ExecSpec, executed: ExecSpec, found: Mapping[str, Any]) -> tuple[str, list[str]]:
        """The verdict on a pair and its reasons, from what `evidence.comparison` found."""
        if found["conflicts"]:
            return INEQUIVALENT, list(found["conflicts"])
        unknown = [
            f"{name} of the {side} spec is unknown, and the policy requires it"
            for name in self.required
            for side, spec in (("intended", intended), ("executed", executed))
            if getattr(spec.conventions, name).status == "unknown"
        ]
        if unknown:
            return UNDETERMINED, unknown
        if found["same_ops"]:
            return EQUIVALENT, ["both run the same ops on the same numbers in the same dtypes, bit for bit"]
        return self._by_drift(found["channels"])

    def _by_drift(self, channels: list[Mapping[str, Any]]) -> tuple[str, list[str]]:
        beyond, undefined = [], []
        for channel in channels:
            value, name = channel["worst_case"], f"channel {channel['name']}"
            unit = f" {channel['unit']}" if channel["unit"] else ""
            if value is None and self.sample_if_unbounded:
                value = channel["max"]
                if value is None:
                    undefined.append(f"{name}: unbounded on the domain of u, and the sample says nothing of it")
                    continue
            if value is None:
                beyond.append((float("inf"), f"{name}: no bound on the domain of u, which is unbounded"))
            elif value > self.eps_equivalent:
                beyond.append((value, f"{name}: up to {value:.6g}{unit}, and eps is {self.eps_equivalent:g}"))
        if beyond:
            beyond.sort(key=lambda each: -each[0])
            more = [f"and {len(beyond) - 1} more channels"] if len(beyond) > 1 else []
            return INEQUIVALENT, [beyond[0][1], *more]
        if undefined:
            return UNDETERMINED, undefined
        return WITHIN, [f"no channel drifts by more than {self.eps_equivalent:g}"]
