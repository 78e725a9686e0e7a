"""`ExecSpec`: one executable policy, where files and arithmetic meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arrays
from .conventions import Conventions, Fact, declared
from .domain import Domain
from .errors import ShapeMismatchError, UnknownProfileError
from .formats.published import Published, Source
from .ops import PARAMETERS, OpDType, OpFlag, OpKind, OpTable, describe
from .profile import Profile
from .profiles import PROFILES, find_profile
from .stats import NormStats
from .unnormalizer import DTypeChoice, Unnormalizer

Array = npt.NDArray[Any]
BY_USER = "named by the user"


@dataclass(frozen=True, eq=False, repr=False)
class ExecSpec:
    """One executable policy specification: what this checkpoint, with this key, makes the robot do.

    A spec that exists can run: its op table is compiled and checked on construction. Equal specs have equal `digest`.
    Where figures have one row for each of T time steps, actions are chunks `(..., T, D)`, and every (time step,
    channel) is a channel of its own to arithmetic: `dim` is `T * D`, a sample has rows of `T * D`.

    Attributes:
        path: the checkpoint, as the user or the registry names it.
        key: the metadata key.
        ecosystem: whose checkpoint layout it is.
        profile_fact: name of the un-normalizer that runs, and how that is known.
        stats: the published figures.
        conventions: what the action means, each field with how it is known.
        sources: field name to the place it was read from.
        eps: epsilon the checkpoint declares for its un-normalizer, None for the profile's own.
        alternatives: other profiles that the same file fits.
        post: ops a client runs after the un-normalizer (OpenVLA's gripper for LIBERO), shape `(stages, D)`, or None.

    Raises:
        UnknownProfileError, MissingStatsError, ShapeMismatchError, StatsError: the spec cannot run, and why.
    """

    path: str
    key: str
    ecosystem: str
    profile_fact: Fact[str]
    stats: NormStats
    conventions: Conventions = field(default_factory=Conventions)
    sources: Mapping[str, Source] = field(default_factory=dict)
    eps: float | None = None
    alternatives: tuple[str, ...] = ()
    post: OpTable | None = None
    _table: OpTable = field(init=False)

    def __post_init__(self) -> None:
        width = self.stats.dim
        for name in ("names", "units"):
            value = getattr(self.conventions, name).value
            if value is not None and len(value) != width:
                raise ShapeMismatchError(f"{self.name}: {len(value)} channel {name} for {width} channels of figures")
        beyond = [channel for channel in self.conventions.gripper.value or () if not 0 <= channel < width]
        if beyond:
            raise ShapeMismatchError(f"{self.name}: gripper channel {beyond[0]} of {width} channels (from 0)")
        if self.post is not None and self.post.shape[-1] != self.dim:
            raise ShapeMismatchError(f"{self.name}: post has {self.post.shape[-1]} channels, the figures {self.dim}")
        object.__setattr__(self, "_table", self._profile.table(self.stats, self.eps))

    @classmethod
    def from_published(
        cls, published: Published, checkpoint_path: str, ecosystem: str, profile: str | None = None
    ) -> ExecSpec:
        """The spec of one published key.

        Args:
            published: what a reader found.
            checkpoint_path: how the checkpoint is named in reports.
            ecosystem: the checkpoint's.
            profile: un-normalizer to run instead of the published one, see `with_profile`.
        """
        fact = published.profile if profile is None else declared(profile, BY_USER)
        if fact.value is None:
            raise UnknownProfileError(None, published.alternatives or PROFILES)
        return cls(
            path=checkpoint_path,
            key=published.key,
            ecosystem=ecosystem,
            profile_fact=fact,
            stats=published.stats,
            conventions=published.conventions,
            sources=published.sources,
            eps=_eps(published.eps, published.profile.value, fact.value),
            alternatives=published.alternatives,
        )

    def with_profile(self, profile: str) -> ExecSpec:
        """The same figures under another un-normalizer. A declared epsilon stays with its ecosystem.

        Raises:
            UnknownProfileError, MissingStatsError, ShapeMismatchError, StatsError: as on construction.
        """
        eps = _eps(self.eps, self.profile, profile)
        return replace(self, profile_fact=declared(profile, BY_USER), eps=eps)

    @property
    def name(self) -> str:
        """`PATH#KEY`, and `@PROFILE` where the user chose one."""
        chosen = f"@{self.profile}" if self.profile_fact.why == BY_USER else ""
        return f"{self.path}#{self.key}{chosen}"

    @property
    def profile(self) -> str:
        return str(self.profile_fact.value)

    @property
    def dim(self) -> int:
        return math.prod(self.stats.shape)

    @property
    def steps(self) -> int | None:
        """T, where the figures have one row per time step of a chunk; else None."""
        return self.stats.shape[0] if len(self.stats.shape) > 1 else None

    @property
    def domain(self) -> Domain:
        """What one channel of `u` can be."""
        return self._profile.domain

    @property
    def gripper(self) -> tuple[int, ...] | None:
        """Indices of the gripper channels, of every time step; empty if there is none, None if unknown."""
        own = self.conventions.gripper.value
        if own is None or self.steps is None:
            return own
        return tuple(step * self.stats.dim + channel for step in range(self.steps) for channel in own)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels: published ones, else their indices from 0; `NAME@STEP` where figures have steps."""
        own = self.conventions.names.value or tuple(str(d) for d in range(self.stats.dim))
        if self.steps is None:
            return own
        return tuple(f"{name}@{step}" for step in range(self.steps) for name in own)

    def table(self) -> OpTable:
        """The ops from `u` to `a`, shape `(stages, D)`, `post` not included."""
        return self._table

    @cached_property
    def unnormalizer(self) -> Unnormalizer:
        """The compiled map from `u` to `a`."""
        return Unnormalizer(self._table, domain=self.domain, gripper=self.gripper)

    @cached_property
    def normalizer(self) -> Unnormalizer:
        """The compiled forward map from `a` to `u`: what `normalize` runs.

        Raises:
            MissingStatsError: it needs a figure that is not published.
        """
        return Unnormalizer(self._profile.forward(self.stats, self.eps), gripper=self.gripper)

    @property
    def map(self) -> Unnormalizer:
        """What arithmetic reads: `unnormalizer`."""
        return self.unnormalizer

    def unnormalize(
        self, u: npt.ArrayLike, out: Array | None = None, dtype: DTypeChoice = None, threads: int | None = None
    ) -> Array:
        """Physical action of `u`, shape `(..., D)` or `(..., T, D)`, in the ecosystem's own arithmetic.

        Args:
            u: normalized action, float32 or float64.
            out: written in place and returned.
            dtype: of the result; None for the dtype of `u`, `"native"` for what the ecosystem returns.
            threads: at most so many; never changes a bit.
        """
        return self._apply(self.unnormalizer, u, out, dtype, threads)

    def command(
        self, u: npt.ArrayLike, out: Array | None = None, dtype: DTypeChoice = None, threads: int | None = None
    ) -> Array:
        """What the controller receives: `unnormalize`, then the client's ops in `post`; arguments as `unnormalize`."""
        return self._apply(self._commander, u, out, dtype, threads)

    def normalize(self, a: npt.ArrayLike, out: Array | None = None) -> Array:
        """The ecosystem's forward map, with its own clip and epsilon: what the policy was trained on.

        Shapes as `unnormalize`.

        Seldom the inverse of `unnormalize`, which is `unnormalizer.inverse`.

        Raises:
            MissingStatsError: the forward map needs a figure that is not published.
        """
        return self._apply(self.normalizer, a, out)

    @cached_property
    def digest(self) -> str:
        """sha256 of what the spec does: ops, their dtypes, domain, post and known conventions.

        Path, key, ecosystem and profile name do not count, nor does the file layout the figures came from.
        """
        import hashlib
        import json

        facts = self.conventions.to_dict().items()
        meaning = {
            "ops": _words(self._table),
            "post": None if self.post is None else _words(self.post),
            "domain": _domain_words(self.domain),
            "conventions": {name: fact["value"] for name, fact in facts if fact["status"] != "unknown"},
        }
        return hashlib.sha256(json.dumps(_exact(meaning), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON-serializable."""
        return {
            "name": self.name,
            "path": self.path,
            "key": self.key,
            "ecosystem": self.ecosystem,
            "profile": self.profile_fact.to_dict(),
            "dim": self.dim,
            "steps": self.steps,
            "channels": list(self.channels),
            "ops": list(describe(self._table)),
            "post": None if self.post is None else list(describe(self.post)),
            "domain": self.domain.to_dict(),
            "conventions": self.conventions.to_dict(),
            "sources": {name: str(source) for name, source in self.sources.items()},
            "digest": self.digest,
        }

    def __repr__(self) -> str:
        return f"ExecSpec({self.name!r}, profile={self.profile!r}, dim={self.dim}, digest={self.digest[:12]!r})"

    def _apply(
        self,
        unnormalizer: Unnormalizer,
        u: npt.ArrayLike,
        out: Array | None,
        dtype: DTypeChoice = None,
        threads: int | None = None,
    ) -> Array:
        """`unnormalizer` on actions, or on chunks of them where figures have steps."""
        if self.steps is None:
            return unnormalizer(u, out=out, dtype=dtype, threads=threads)

        def of_chunks(chunks: Any, out: Any) -> Any:
            if chunks.shape[-2:] != self.stats.shape:
                raise ShapeMismatchError(f"{self.name}: chunks of shape {self.stats.shape} wanted, u is {chunks.shape}")
            rows = (*chunks.shape[:-2], self.dim)
            if out is None:
                return unnormalizer(chunks.reshape(rows), dtype=dtype, threads=threads).reshape(chunks.shape)
            flat = out.reshape(rows) if out.shape == chunks.shape else out
            if not np.may_share_memory(flat, out):
                raise ShapeMismatchError(f"{self.name}: the last two axes of out must lie side by side in memory")
            unnormalizer(chunks.reshape(rows), out=flat, dtype=dtype, threads=threads)
            return out

        return arrays.through(  # type: ignore[no-any-return]
            u, out, lambda u, out: of_chunks(np.asarray(u), out), lambda _, u: of_chunks(u, None)
        )

    @property
    def _profile(self) -> Profile:
        return find_profile(self.profile)

    @cached_property
    def _commander(self) -> Unnormalizer:
        return self.unnormalizer if self.post is None else self.unnormalizer.then(self.post)


def _eps(eps: float | None, own: str | None, profile: str) -> float | None:
    known = PROFILES.get(own or "")
    return eps if known and known.ecosystem == find_profile(profile).ecosystem else None


def _words(ops: OpTable) -> list[list[list[Any]]]:
    """Stages of channels of `[kind, flags, dtype, parameters…]`."""
    return [
        [[*_op_words(kind, flags, dtype), *p.tolist()[: len(PARAMETERS[kind])]] for kind, flags, dtype, p in stage]
        for stage in ops.tolist()
    ]


@cache
def _op_words(kind: int, flags: int, dtype: int) -> tuple[str, tuple[str | None, ...], str]:
    """An op in names, since the numbers behind them may change."""
    return OpKind(kind).name, tuple(flag.name for flag in OpFlag(flags)), OpDType(dtype).name


@cache
def _domain_words(domain: Domain) -> str:
    return " ".join(float(x).hex() for x in (domain.lo, domain.hi, *domain.points))


def _exact(value: Any) -> Any:
    """`value` with every number as float64 hex, so that 20 and 20.0 are one and no digit is lost."""
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(inner) for inner in value]
    return float(value).hex() if isinstance(value, int | float) else value
