"""Drift of one pair on one channel: the folds of `cpp/include/execspec/drift.hpp`, over ranks in a sorted column.

A key's pieces take ranges of ranks, found once per key. The pieces of a pair are the products of both keys' pieces,
most of them empty, so that no pair is treated in a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from .doubles import DD, choose, total
from .maps import Line, Maps
from .sample import Column, first_where


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Placed:
    """Pieces on a column: each holds on ranks [begin, end), all leaves of one shape.

    Attributes:
        line, local: the map there, of x, and of the column's local coordinate.
    """

    begin: Array
    end: Array
    line: Line
    local: Line


def place(key: Maps, x: Column) -> Placed:
    """One key's pieces, `(P,)`, on a column."""
    first = jnp.zeros_like(key.start, jnp.int32)
    begin = _ranks(x, lambda value: value.hi >= key.start, first, first + x.count)
    return Placed(begin, jnp.append(begin[1:], jnp.int32(x.count)), key.line, key.line.local(x.centre, x.unit))


def signed(key: Maps, x: Column) -> tuple[Array, Array, Array]:
    """Ranges of ranks, begin, end and sign `(3 P,)`, on which the map is of one sign."""
    own = place(key, x)
    rising = own.line.scale.hi >= 0
    line = Line(choose(rising, own.line.scale, -own.line.scale), choose(rising, own.line.offset, -own.line.offset))
    zero = _ranks(x, lambda value: line(value).hi >= 0, own.begin, own.end)
    past = _ranks(x, lambda value: line(value).hi > 0, own.begin, own.end)
    sign = jnp.where(rising, 1, -1)
    begins, ends = [own.begin, zero, past], [zero, past, own.end]
    return jnp.concatenate(begins), jnp.concatenate(ends), jnp.concatenate([-sign, 0 * sign, sign])


def difference(i: Placed, j: Placed) -> Placed:
    """`f_j - f_i` on the common pieces, `(P P,)`."""
    a, b = jax.tree.map(lambda leaf: leaf[:, None], i), jax.tree.map(lambda leaf: leaf[None, :], j)
    begin = jnp.maximum(a.begin, b.begin)
    end = jnp.maximum(jnp.minimum(a.end, b.end), begin)
    flat: Placed = jax.tree.map(jnp.ravel, Placed(begin, end, b.line - a.line, b.local - a.local))
    return flat


def mean_abs(x: Column, i: Placed, j: Placed, _: Any) -> Array:
    """E |delta|: |delta| is affine on either side of a root."""
    delta = difference(i, j)
    slope = lax.stop_gradient(delta.local.scale.hi)
    root = -lax.stop_gradient(delta.local.offset.hi) / jnp.where(slope == 0, 1, slope)
    side = _ranks(x, lambda value: x.local(value.hi).hi >= root, delta.begin, delta.end)
    parts = abs(_integral(x, delta.local, delta.begin, side)) + abs(_integral(x, delta.local, side, delta.end))
    return total(parts).rounded() / x.count


def bias(x: Column, i: Placed, j: Placed, _: Any) -> Array:
    """E delta."""
    delta = difference(i, j)
    return total(_integral(x, delta.local, delta.begin, delta.end)).rounded() / x.count


def rms(x: Column, i: Placed, j: Placed, _: Any) -> Array:
    """sqrt(E delta^2): on every piece the variance about its own mean, and the mean's square."""
    delta = difference(i, j)
    sizes = jnp.where(delta.begin < delta.end, abs(delta.local.scale.hi) + abs(delta.local.offset.hi), 0)
    size = lax.stop_gradient(unit(sizes.max()))  # so that no square under- or overflows
    line = Line(delta.local.scale.scaled(1 / size), delta.local.offset.scaled(1 / size))
    count = delta.end - delta.begin
    mass = DD.integer(jnp.maximum(count, 1), x.x.dtype)
    mean = (x.first[delta.end] - x.first[delta.begin]) / mass
    variance = x.second[delta.end] - x.second[delta.begin] - mean * mean * mass
    value = line(mean)
    squares = line.scale * line.scale * variance + value * value * mass
    squares = choose(count > 0, squares, DD.exact(jnp.zeros_like(squares.hi)))
    return size * root(total(squares).rounded() / x.count)


def max_abs(x: Column, i: Placed, j: Placed, _: Any) -> Array:
    """The largest |delta|: an affine piece is largest at one of its ends."""
    delta = difference(i, j)
    return _largest_at_ends(x, delta, delta.begin, delta.end)


def exceeds(x: Column, i: Placed, j: Placed, eps: DD) -> Array:
    """P(|delta| > eps)."""
    return _outside(x, _rising(difference(i, j)), eps).astype(x.x.dtype) / x.count


def quantile(x: Column, i: Placed, j: Placed, rank: Array) -> Array:
    """The `rank`-th smallest |delta|, counted from 1.

    Of two lines, the values that close to the root are neighbours, and a bisection finds which. With bends, the least
    number that enough do not exceed, by bisection over the numbers of the dtype; then the largest of those values,
    since a bisection has no gradient.
    """
    delta = _rising(difference(i, j))
    if delta.begin.size == 1:
        line = delta.line[0]
        zero = jnp.zeros_like(rank)
        nearer = lambda k: (line(x.at(k)) + line(x.at(k + rank))).hi >= 0  # noqa: E731
        left = first_where(zero, x.count - rank, nearer, x.count.bit_length())
        return jnp.maximum(abs(line(x.at(left)).rounded()), abs(line(x.at(left + rank - 1)).rounded()))
    top = bits_of(max_abs(x, i, j, None)) + 1  # it may have been rounded down

    def bound(bits: Array) -> DD:
        return DD.exact(lax.bitcast_convert_type(bits, x.x.dtype))

    def enough(bits: Array) -> Array:
        return _outside(x, delta, bound(bits)) <= x.count - rank

    bits = first_where(jnp.zeros_like(top), top, enough, 8 * x.x.dtype.itemsize - 1)
    return _largest_at_ends(x, delta, *_within(x, delta, bound(bits)))


def same_sign_as(product: int, x: Column, i: tuple[Array, ...], j: tuple[Array, ...], _: Any) -> Array:
    """P(f_i f_j < 0) for -1, P(f_i f_j = 0) for 0: from ranges of one sign."""
    (begin_i, end_i, sign_i), (begin_j, end_j, sign_j) = i, j
    shared = jnp.minimum(end_i[:, None], end_j[None]) - jnp.maximum(begin_i[:, None], begin_j[None])
    counted = (sign_i[:, None] * sign_j[None] == product) & (shared > 0)
    return jnp.where(counted, shared, 0).sum(dtype=jnp.int32).astype(x.x.dtype) / x.count


def worst_case(_: Column, i: Maps, j: Maps, __: Any) -> Array:
    """Supremum of |delta| over the intended key's domain, limits at jumps included; infinite if nothing bounds it."""
    largest = _largest_between(i, j)
    if not i.points.size:
        return largest
    at_points = abs((_value(j, i.points) - _value(i, i.points)).rounded()).max()
    return jnp.where(jnp.isnan(i.points[0]), largest, at_points)


Prepare = Callable[[Maps, Column], Any]
SEPARABLE: dict[str, tuple[Prepare, Callable[[Column, Any, Any, Any], Array]]] = {
    "mean_abs": (place, mean_abs),
    "bias": (place, bias),
    "rms": (place, rms),
    "max": (place, max_abs),
    "exceeds": (place, exceeds),
    "quantile": (place, quantile),
    "flips": (signed, partial(same_sign_as, -1)),
    "zeros": (signed, partial(same_sign_as, 0)),
    "worst_case": (lambda key, _: key, worst_case),
}
"""Of each metric: what is prepared once for every key and column, and what is measured of a pair."""


def root(x: Array) -> Array:
    """The square root, with gradient 0 at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0)


def unit(size: Array) -> Array:
    """A power of two near a size."""
    return jnp.where(size > 0, jnp.ldexp(jnp.ones_like(size), jnp.frexp(size)[1] - 1), 1)


def bits_of(size: Array) -> Array:
    """Numbers that are not negative as integers in the same order."""
    integer = jnp.int64 if size.dtype.itemsize == 8 else jnp.int32
    bits: Array = lax.bitcast_convert_type(lax.stop_gradient(size), integer)
    return bits


def _ranks(x: Column, holds: Callable[[DD], Array], begin: Array, end: Array) -> Array:
    """The least of each range of ranks whose value a condition holds for."""
    return first_where(begin, end, lambda rank: holds(x.at(rank)), x.count.bit_length())


def _integral(x: Column, line: Line, begin: Array, end: Array) -> DD:
    """Over the values of some ranks, of a line in the local coordinate."""
    mass = DD.integer(end - begin, x.x.dtype)
    return line.scale * (x.first[end] - x.first[begin]) + line.offset * mass


def _rising(delta: Placed) -> Placed:
    """|delta| as that of lines that do not fall."""
    falls = delta.line.scale.hi < 0
    turned = Line(
        choose(falls, -delta.line.scale, delta.line.scale), choose(falls, -delta.line.offset, delta.line.offset)
    )
    return Placed(delta.begin, delta.end, turned, delta.local)


def _largest_at_ends(x: Column, delta: Placed, begin: Array, end: Array) -> Array:
    ends = jnp.stack([abs(delta.line(x.at(rank)).rounded()) for rank in (begin, end - 1)])
    return jnp.where((begin < end)[None], ends, 0).max()


def _outside(x: Column, delta: Placed, bound: DD) -> Array:
    """How many values have |delta| above a bound."""
    enter, leave = _within(x, delta, bound)
    return (enter - delta.begin + delta.end - leave).sum(dtype=jnp.int32)


def _within(x: Column, delta: Placed, bound: DD) -> tuple[Array, Array]:
    """The ranks of each piece, begin and end, whose |delta| is not above a bound."""
    enter = _ranks(x, lambda value: ~(delta.line(value) < -bound), delta.begin, delta.end)
    return enter, _ranks(x, lambda value: bound < delta.line(value), enter, delta.end)


def _value(key: Maps, x: Array) -> DD:
    """f(x) of one key."""
    at = DD.exact(x)
    value = key.line[0](at)
    for piece in range(1, key.start.shape[0]):
        value = choose(x >= key.start[piece], key.line[piece](at), value)
    return value


def _largest_between(i: Maps, j: Maps) -> Array:
    lo, hi = DD.exact(i.domain[0]), DD.exact(i.domain[1])
    pieces_i, pieces_j = ((key.cut, _next(key.cut), key.line) for key in (i, j))
    (from_i, to_i, f), (from_j, to_j, g) = (
        jax.tree.map(lambda leaf: leaf[:, None], pieces_i),
        jax.tree.map(lambda leaf: leaf[None, :], pieces_j),
    )
    begin = _later(_later(from_i, from_j), lo)
    there = (begin < to_i) & (begin < to_j) & ~(hi < begin)
    end = _earlier(_earlier(to_i, to_j), hi)
    limits = jnp.maximum(_limit(g - f, begin), _limit(g - f, end))
    return jnp.where(there, limits, 0).max()


def _next(cut: DD) -> DD:
    """Where each piece ends."""
    return DD(jnp.append(cut.hi[1:], jnp.inf), jnp.append(cut.lo[1:], 0))


def _later(x: DD, y: DD) -> DD:
    return choose(x < y, y, x)


def _earlier(x: DD, y: DD) -> DD:
    return choose(y < x, y, x)


def _limit(line: Line, x: DD) -> Array:
    """|line(x)|, where x may be infinite."""
    finite = jnp.isfinite(x.hi)
    inside = choose(finite, x, DD.exact(jnp.zeros_like(x.hi)))
    at_infinity = jnp.where(line.scale.hi == 0, abs(line.offset.rounded()), jnp.inf)
    return jnp.where(finite, abs(line(inside).rounded()), at_infinity)
