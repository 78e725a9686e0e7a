"""Double-double arithmetic on arrays: a value is an unevaluated sum hi + lo, as in `cpp/include/execspec/dd.hpp`.

In float64 that is 106 bits, in float32 48. Compilers behind XLA may contract `a * b + c` to one rounding. So every
product whose rounding would matter is exact here, and contraction changes nothing: `_split` cuts numbers by their bits,
and products of halves have no rounding. Gradients pass through as through a + b and a * b.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

_HALVES = {"float32": (jnp.int32, -1 << 12), "float64": (jnp.int64, -1 << 27)}  # bits, and those of the upper half


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class DD:
    """Arrays `hi` and `lo` of one shape and dtype, |lo| <= ulp(hi) / 2."""

    hi: Array
    lo: Array

    @classmethod
    def of(cls, hi: Any, lo: Any, dtype: Any) -> DD:
        """The sum of two float64 arrays on the host, in the halves of another dtype."""
        upper = np.asarray(hi, dtype)
        with np.errstate(invalid="ignore"):  # inf - inf
            rest = np.where(np.isfinite(upper), (np.asarray(hi, np.float64) - upper) + lo, 0.0)
        return cls(jnp.asarray(upper), jnp.asarray(np.asarray(rest, dtype)))

    @classmethod
    def exact(cls, x: Array) -> DD:
        return cls(x, jnp.zeros_like(x))

    @classmethod
    def integer(cls, n: Array, dtype: Any) -> DD:
        """Integers, of which float32 alone holds only those up to 2^24."""
        hi = n.astype(dtype)
        return cls(hi, (n - hi.astype(n.dtype)).astype(dtype))

    def __getitem__(self, at: Any) -> DD:
        return DD(self.hi[at], self.lo[at])

    def __neg__(self) -> DD:
        return DD(-self.hi, -self.lo)

    def __abs__(self) -> DD:
        return choose(self.hi < 0, -self, self)

    def __add__(self, other: DD) -> DD:
        s, t = two_sum(self.hi, other.hi), two_sum(self.lo, other.lo)
        s = _quick_two_sum(s.hi, s.lo + t.hi)
        return _quick_two_sum(s.hi, s.lo + t.lo)

    def __sub__(self, other: DD) -> DD:
        return self + -other

    def __mul__(self, other: DD) -> DD:
        p = _two_prod(self.hi, other.hi)
        return _quick_two_sum(p.hi, p.lo + (self.hi * other.lo + self.lo * other.hi))

    def __truediv__(self, other: DD) -> DD:
        q1 = DD.exact(self.hi / other.hi)
        r = self - other * q1
        q2 = DD.exact(r.hi / other.hi)
        r = r - other * q2
        return (q1 + q2) + DD.exact(r.hi / other.hi)

    def __lt__(self, other: DD) -> Array:
        return (self.hi < other.hi) | ((self.hi == other.hi) & (self.lo < other.lo))

    def scaled(self, power: Array) -> DD:
        """Times a power of two."""
        return DD(self.hi * power, self.lo * power)

    def rounded(self) -> Array:
        return self.hi + self.lo


def choose(condition: Array, x: DD, y: DD) -> DD:
    return DD(jnp.where(condition, x.hi, y.hi), jnp.where(condition, x.lo, y.lo))


def two_sum(a: Array, b: Array) -> DD:
    s = a + b
    t = s - a
    return DD(s, (a - (s - t)) + (b - t))


def total(x: DD) -> DD:
    """The sum over the last axis: in about sqrt(N) lanes at once, then over the lanes."""
    if x.hi.shape[-1] == 1:
        return x[..., 0]
    return _sum(jax.tree.map(lambda half: jnp.moveaxis(half, -1, 0), _sum(_in_lanes(x))))


def prefix_sums(x: DD) -> DD:
    """`(N,)` to `(N + 1,)`, the sum before each: in about sqrt(N) lanes at once, each of sqrt(N) steps."""
    (n,) = x.hi.shape
    within = _running(_in_lanes(x))
    before = _running(within[-1])[:-1]
    zero = jax.tree.map(jnp.zeros_like, x[:1])
    sums = within + jax.tree.map(lambda half: jnp.broadcast_to(half[None], within.hi.shape), _joined(zero, before))
    return _joined(zero, jax.tree.map(lambda half: half.T.reshape(-1)[:n], sums))


def _in_lanes(x: DD) -> DD:
    """`(..., N)` as `(steps, ..., lanes)`, filled up with zeros; neighbours follow one another in a lane."""
    n = x.hi.shape[-1]
    steps = isqrt(n - 1) + 1
    lanes = -(-n // steps)

    def cut(half: Array) -> Array:
        padded = jnp.pad(half, [(0, 0)] * (half.ndim - 1) + [(0, lanes * steps - n)])
        return jnp.moveaxis(padded.reshape(*half.shape[:-1], lanes, steps), -1, 0)

    return DD(cut(x.hi), cut(x.lo))


def _sum(x: DD) -> DD:
    """Over the first axis."""
    return lax.scan(lambda so_far, row: (so_far + row, None), x[0], x[1:])[0]


def _running(x: DD) -> DD:
    """Sums along the first axis."""

    def step(so_far: DD, row: DD) -> tuple[DD, DD]:
        so_far = so_far + row
        return so_far, so_far

    return _joined(x[:1], lax.scan(step, x[0], x[1:])[1])


def _joined(x: DD, y: DD) -> DD:
    return DD(jnp.concatenate([x.hi, y.hi]), jnp.concatenate([x.lo, y.lo]))


def _quick_two_sum(a: Array, b: Array) -> DD:
    s = a + b
    return DD(s, b - (s - a))


def _split(a: Array) -> tuple[Array, Array]:
    integer, upper = _HALVES[a.dtype.name]
    bits = lax.bitcast_convert_type(a, integer) & jnp.asarray(upper, integer)
    high = lax.bitcast_convert_type(bits, a.dtype)
    return high, a - high


def _two_prod(a: Array, b: Array) -> DD:
    (a1, a2), (b1, b2) = _split(a), _split(b)
    cross = two_sum(a1 * b2, a2 * b1)
    p = two_sum(a1 * b1, cross.hi)
    return _quick_two_sum(p.hi, p.lo + (cross.lo + a2 * b2))
