"""`Certificate`: the verdict on a spec or a pair, with everything it rests on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ..auditing.siblings import plausible
from ..controller import Controller
from ..deployment import Deployment, deploy
from ..errors import ExecSpecError, ShapeMismatchError
from ..formats.controller_files import load_controller
from ..registry import open_registry
from ..sample import ActionSample
from ..spec import BY_USER, ExecSpec
from . import evidence, wire
from .markdown import text
from .policy import SEVERITY, UNDETERMINED, Policy

TOOL = "execspec"
VALID_DAYS = 180

METHOD = (
    "per channel, the difference of the two piecewise-affine maps in exact arithmetic (double-double coefficients), "
    "integrated exactly over the sample by double-double prefix sums; the worst case is over the domain of u; bounds "
    "of the mean hold for every distribution with the published figures"
)
SCOPE = (
    "This certificate compares executable policy specifications. It certifies neither closed-loop behaviour nor "
    "hardware safety."
)


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """The verdict on a spec or a pair.

    Attributes:
        contents: what it states, JSON-serializable, as `certificate.schema.json` describes it; without its digest.
    """

    contents: Mapping[str, Any]

    @classmethod
    def from_json(cls, data: bytes, file: str = "") -> Certificate:
        """The certificate in a file.

        Raises:
            CertificateError: edited, not a certificate, or of a newer schema.
        """
        contents = wire.decode(data, file)
        del contents["digest"]
        return cls(contents)

    @property
    def verdict(self) -> str:
        """`equivalent`, `equivalent within eps`, `inequivalent`, or `undetermined: …` with the reason."""
        name, reasons = self.contents["verdict"]["name"], self.contents["verdict"]["reasons"]
        return f"{name}: {'; '.join(reasons)}" if name == UNDETERMINED else str(name)

    @cached_property
    def digest(self) -> str:
        """sha256 over the bytes of `to_json`, this digest's own digits as zeros."""
        return str(self.to_dict()["digest"])

    @property
    def semantic_digest(self) -> str:
        """sha256 over what the specs do, the actions, the policy and the verdict: not over files, names and dates."""
        return str(self.contents["semantic_digest"])

    def to_dict(self) -> dict[str, Any]:
        """The contents with the digest."""
        return wire.decode(self.to_json(), "")

    def to_json(self) -> bytes:
        """The file: always the same bytes, see `wire`."""
        return wire.encode(self.contents)

    def to_markdown(self) -> str:
        """The certificate for people, fit for a model card."""
        return text(self.contents, self.digest)

    def __repr__(self) -> str:
        return f"Certificate({self.verdict!r}, {self.contents['intended']['name']!r}, digest={self.digest[:12]!r})"


def certify(
    intended: ExecSpec,
    executed: ExecSpec | None = None,
    sample: ActionSample | npt.ArrayLike | None = None,
    *,
    policy: Policy | None = None,
    siblings: Sequence[ExecSpec] | None = None,
    limits: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    controller: Controller | str | os.PathLike[str] | None = None,
    valid_days: float = VALID_DAYS,
    now: datetime | None = None,
) -> Certificate:
    """Certify what executing another spec in the place of the intended one does.

    Args:
        executed: the other spec; None for the plausible siblings of `intended`.
        sample: normalized actions; None for those behind the published figures, or uniform where these make none.
        policy: thresholds of the verdict.
        siblings: in the place of those in the intended spec's checkpoint (`siblings_of`).
        limits: `(low, high)`, scalars or `(D,)`, in action units: the input range of a controller that is not known
            beyond that, outside which actions are counted as saturated.
        controller: what both are sent to, or a name or file that `load_controller` knows. Drift is then of what it
            makes of them, and saturation, motion and conventions C1 to C9 are stated. Specs of one ecosystem run under
            the same client ops, those of its rollout script; siblings under the intended one's.
        valid_days: how long the certificate is valid.
        now: when it is issued, with its time zone; None for the clock.

    Raises:
        ShapeMismatchError: specs, sample, limits or controller of different D.
        UnknownControllerError, FormatError: no such controller, or a broken file of one.
        ExecSpecError: both a pair and siblings, both limits and a controller, a time without zone, or no validity.
    """
    if executed is not None and siblings is not None:
        raise ExecSpecError("name the executed spec, or siblings, not both")
    if limits is not None and controller is not None:
        raise ExecSpecError("name limits, or a controller, which has its own, not both")
    if controller is not None and not isinstance(controller, Controller):
        controller = load_controller(controller)
    issued = whole_seconds(now)
    if not 0 < valid_days < 100_000:
        raise ExecSpecError(f"valid_days is {valid_days!r}; a certificate is valid for more than 0 and < 100000 days")
    policy = policy or Policy()
    others = (executed,) if executed is not None else siblings_of(intended) if siblings is None else siblings
    others = sorted(others, key=lambda spec: (spec.key, spec.digest))
    given = sample if isinstance(sample, ActionSample) or sample is None else ActionSample(sample)
    actions, kind = evidence.choose(intended, given)
    if actions.dim != intended.dim:
        raise ShapeMismatchError(f"{intended.name} has {intended.dim} channels, the sample {actions.dim}")
    ends = None if limits is None else _limits(limits, intended.dim)
    meant = evidence.Side(intended, None if controller is None else deploy(intended, controller))
    runs = [evidence.Side(other, _robot(meant.robot, other, pair=executed is not None)) for other in others]
    found = [evidence.comparison(meant, run, actions, policy, ends) for run in runs]
    stated = {
        "sample": evidence.actions(actions, kind),
        "limits": None if ends is None else {"low": ends[0].tolist(), "high": ends[1].tolist()},
        "policy": policy.to_dict(),
        "verdict": _verdict(found),
    }
    return Certificate(
        {
            **stated,
            "format": wire.FORMAT,
            "schema_version": wire.SCHEMA_VERSION,
            "tool": {"name": TOOL, "version": _core.__version__},
            "issued": text_of(issued),
            "expires": text_of(issued + timedelta(days=valid_days)),
            "scope": SCOPE,
            "method": METHOD,
            "intended": evidence.specification(intended),
            "controller": controller and controller.to_dict(),
            "deployment": evidence.robot(meant.robot, actions),
            "against": wire.SIBLINGS if executed is None else wire.PAIR,
            "comparisons": found,
            "nearest": evidence.nearest(found),
            "semantic_digest": _semantics(stated, intended, others, controller),
        }
    )


def _robot(meant: Deployment | None, other: ExecSpec, *, pair: bool) -> Deployment | None:
    """The other spec on the robot: a sibling runs under the same client, one of a pair under that of its ecosystem."""
    if meant is None:
        return None
    return deploy(other, meant.controller) if pair else meant.running(other)


def siblings_of(spec: ExecSpec) -> tuple[ExecSpec, ...]:
    """The keys of a spec's checkpoint that could be mistaken for it: other ops, same width, ranges within ten times.

    Args:
        spec: from `load_spec`, so that its path leads to its files.

    Raises:
        ExecSpecError: no checkpoint at its path publishes this spec.
    """
    published = [
        (checkpoint, key)
        for checkpoint in open_registry(spec.path).checkpoints
        if checkpoint.path == "."
        for key in (*checkpoint.keys, *checkpoint.shadowed)
    ]
    chosen = spec.profile if spec.profile_fact.why == BY_USER else None
    found = []
    for checkpoint, key in published:
        try:
            found.append(ExecSpec.from_published(key, spec.path, checkpoint.ecosystem, chosen))
        except ExecSpecError:
            continue  # a key that cannot run is never executed by mistake
    if not any(one.key == spec.key and _same_ops(one, spec) for one in found):
        raise ExecSpecError(f"the files at {spec.path!r} do not publish {spec.name}; name its siblings")
    others = {one.digest: one for one in reversed(found) if one.dim == spec.dim and not _same_ops(one, spec)}
    close = plausible([spec, *others.values()])[0, 1:] if others else ()
    return tuple(one for one, near in zip(others.values(), close, strict=True) if near)[::-1]


def whole_seconds(now: datetime | None) -> datetime:
    """A time in UTC, to the second below; the clock's if None."""
    now = now or datetime.now(UTC)
    if now.tzinfo is None:
        raise ExecSpecError(f"the time {now.isoformat()} has no zone; use datetime.now(timezone.utc)")
    return now.astimezone(UTC).replace(microsecond=0)


def text_of(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _same_ops(a: ExecSpec, b: ExecSpec) -> bool:
    return a.table().tobytes() == b.table().tobytes()


def _limits(limits: tuple[npt.ArrayLike, npt.ArrayLike], dim: int) -> evidence.Limits:
    try:
        low, high = (np.broadcast_to(np.asarray(end, np.float64), dim) for end in limits)
    except ValueError as error:
        raise ShapeMismatchError(f"limits are two scalars or two arrays of {dim} channels: {error}") from error
    bad = np.flatnonzero(~(low <= high) | np.isinf(low) | np.isinf(high))
    if bad.size:
        d = int(bad[0])
        raise ExecSpecError(f"channel {d}: limits {low[d]!r} to {high[d]!r} are no finite range")
    return low, high


def _verdict(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The worst verdict of all comparisons, with its reasons."""
    if not found:
        return {"name": UNDETERMINED, "reasons": ["there is no plausible sibling to compare with"]}
    worst = max(found, key=lambda each: (SEVERITY.index(each["verdict"]["name"]), each["mean"] or 0.0))
    name, reasons = worst["verdict"]["name"], worst["verdict"]["reasons"]
    if len(found) > 1:
        reasons = [f"{worst['executed']['key']}: {'; '.join(reasons)}"]
    return {"name": name, "reasons": reasons}


def _semantics(
    stated: Mapping[str, Any], intended: ExecSpec, others: Sequence[ExecSpec], controller: Controller | None
) -> str:
    import hashlib
    import json

    meaning = {
        "intended": intended.digest,
        "executed": sorted(other.digest for other in others),
        "sample": stated["sample"]["sha256"],
        "limits": stated["limits"],
        "policy": stated["policy"],
        "verdict": stated["verdict"]["name"],
    }
    if controller is not None:
        meaning["controller"] = controller.meaning
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
