"""`Subject`: what is guarded, a spec or a bare un-normalizer, compiled to the stage where actions are taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..controller import Controller
from ..conventions import UNKNOWN, Fact, declared
from ..deployment import scripted
from ..errors import GuardError
from ..inference import infer_representation
from ..ops import OpTable
from ..spec import ExecSpec
from ..unnormalizer import Unnormalizer
from .given import BY_USER

Stage = Literal["command", "unnormalized"]
STAGES: tuple[Stage, ...] = ("command", "unnormalized")
DELTAS = ("delta", "relative")


@dataclass(frozen=True, eq=False)
class Subject:
    """What is guarded.

    Attributes:
        name: `PATH#KEY` of a spec.
        digest: what a spec does, or the op table of an un-normalizer, as 64 hexadecimal digits. Client ops that a
            controller's script adds do not count.
        map: from u to the action at the stage.
        names, units: of the channels of one action, `(D,)`; a unit is empty where no file says it.
        steps: T, where figures have one row per time step of a chunk; else 1.
        grippers: channels of one action that are grippers, as far as known.
        representation: `delta`, `relative` or `absolute`.
        post: the client's ops, None where there are none.
        domain: of u, in words.
    """

    name: str
    digest: str
    map: Unnormalizer
    names: tuple[str, ...]
    units: tuple[str, ...]
    steps: int
    grippers: tuple[int, ...]
    representation: Fact[str]
    post: OpTable | None
    domain: str

    @classmethod
    def of(cls, spec: ExecSpec | Unnormalizer, stage: Stage, controller: Controller | None = None) -> Subject:
        """The subject at a stage.

        Args:
            controller: what the action is sent to: the script that runs such policies on it has client ops of its own,
                which run where the spec has none.
        """
        if isinstance(spec, Unnormalizer):
            digits = hashlib.sha256(np.ascontiguousarray(spec.table()).tobytes()).hexdigest()
            names = tuple(str(d) for d in range(spec.dim))
            return cls(
                name="unnormalizer",
                digest=digits,
                map=spec,
                names=names,
                units=("",) * spec.dim,
                steps=1,
                grippers=spec.gripper or (),
                representation=UNKNOWN,
                post=None,
                domain=f"u ({spec.domain.name})",
            )
        if not isinstance(spec, ExecSpec):
            raise GuardError(f"a guard is built from an ExecSpec or an Unnormalizer, got {type(spec).__name__}")
        post = (spec if controller is None else scripted(spec, controller)).post
        own = spec.conventions
        arm = [column for column in range(spec.dim) if column not in (spec.gripper or ())]
        known = own.representation.status != "unknown"
        return cls(
            name=spec.name,
            digest=spec.digest,
            map=spec.map.then(post) if stage == "command" and post is not None else spec.map,
            names=own.names.value or tuple(str(d) for d in range(spec.stats.dim)),
            units=own.units.value or ("",) * spec.stats.dim,
            steps=spec.steps or 1,
            grippers=own.gripper.value or (),
            representation=own.representation if known else infer_representation(spec, arm),
            post=post,
            domain=f"u ({spec.domain.name}) under {spec.profile}",
        )

    @property
    def dim(self) -> int:
        """Channels of one action."""
        return len(self.names)

    def told(self, relative: bool | None) -> Subject:
        """The same, its representation as the user says.

        Raises:
            GuardError: the spec's files declare another.
        """
        if relative is None:
            return self
        said, own = "delta" if relative else "absolute", self.representation
        if own.status == "declared" and (own.value in DELTAS) != relative:
            raise GuardError(f"relative={relative}, and the actions of {self.name} are {own.value}, by {own.why}")
        return replace(self, representation=own if own.status == "declared" else declared(said, BY_USER))

    def sibling(self, other: ExecSpec | Unnormalizer, stage: Stage) -> Subject:
        """Another key under the same client.

        Raises:
            GuardError: it has other channels or time steps.
        """
        found = Subject.of(other, stage)
        if (found.dim, found.steps) != (self.dim, self.steps):
            raise GuardError(
                f"sibling {found.name} has {found.dim} channels and {found.steps} time steps, {self.name} has "
                f"{self.dim} and {self.steps}: only keys of one shape can be mistaken for each other"
            )
        if stage == "command" and self.post is not None:
            return replace(found, map=other.map.then(self.post))
        return found
