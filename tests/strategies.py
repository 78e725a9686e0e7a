"""Hypothesis strategies shared by the tests: figures, op tables and samples, hostile ones included."""

from __future__ import annotations

import numpy as np
from execspec_fast.ops import OpDType, OpFlag, OpKind, OpTable, stage, table
from execspec_fast.stats import NormStats
from hypothesis import assume
from hypothesis import strategies as st

TINY, TINY32 = 5e-324, 2.0**-149  # the smallest subnormals

COLUMNS = ("uniform", "normal", "equal", "two", "ties", "far", "subnormal", "zeros", "edges")

scales = st.sampled_from([1e-300, 1e-30, 1e-6, 1e-3, 0.3, 1.0, 1e3, 1e30, 1e100])
unit = st.floats(-1, 1, allow_subnormal=True)


@st.composite
def intervals(draw: st.DrawFn, tiny: float = TINY) -> tuple[float, float]:
    """`lo, hi` of one channel as files publish them; `tiny` is the dtype's smallest subnormal."""
    kind = draw(st.sampled_from(["ordinary", "constant", "zero", "narrow", "subnormal", "far", "scaled", "crossed"]))
    a, b = draw(unit), draw(unit)
    match kind:
        case "constant":
            return a, a
        case "zero":
            return draw(st.sampled_from([(0.0, 0.0), (-0.0, 0.0), (0.0, -0.0), (-0.0, 1.0), (-1.0, -0.0)]))
        case "narrow":
            return a, float(np.nextafter(a, 2))
        case "subnormal":
            return tiny * 3, tiny * draw(st.integers(4, 9))
        case "far":
            return 1e6, 1e6 + 1e-3 * abs(b)
        case "scaled":
            scale = draw(scales)
            return -abs(a) * scale, abs(b) * scale
        case "crossed":
            return max(a, b), min(a, b)
    return min(a, b), max(a, b)


@st.composite
def stats(draw: st.DrawFn, dim: int | None = None, *, float32: bool = False) -> NormStats:
    """All figures of `dim` channels (1 to 5), with a mask or without; rounded to float32 if `float32`."""
    dim = dim or draw(st.integers(1, 5))
    lo, hi = np.resize([draw(intervals(TINY32 if float32 else TINY)) for _ in range(min(dim, 7))], (dim, 2)).T
    margin = np.abs(hi / 4 - lo / 4)
    figures = {"mean": lo / 2 + hi / 2, "std": margin, "min": lo - margin, "max": hi + margin, "q01": lo, "q99": hi}
    figures |= {"q10": lo + 0.2 * (hi - lo), "q90": hi - 0.2 * (hi - lo)}
    figures |= {"scale": np.abs(hi - lo) + 1e-3, "offset": lo, "delta": np.abs(hi - lo)}
    if float32:
        figures = {name: np.clip(value, -1e30, 1e30).astype(np.float32) for name, value in figures.items()}
    modes = draw(st.lists(st.sampled_from(["min_max", "percentiles", "mean_std"]), min_size=dim, max_size=dim))
    mask = draw(st.none() | st.lists(st.booleans(), min_size=dim, max_size=dim))
    return NormStats(figures, mask=None if mask is None else np.array(mask), modes=tuple(modes), float32=float32)


@st.composite
def samples(draw: st.DrawFn, dim: int, max_rows: int = 40, dtype: str = "float64") -> np.ndarray:
    """Rows of normalized actions, shape `(N, dim)`, each column of its own kind."""
    n = draw(st.sampled_from([1, 2, 3, 7, max_rows]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = []
    for _ in range(dim):
        kind = draw(st.sampled_from(COLUMNS))
        columns.append(
            {
                "uniform": rng.uniform(-1, 1, n),
                "normal": rng.normal(0, 1.5, n),
                "equal": np.full(n, rng.uniform(-1, 1)),
                "two": rng.choice([-1.0, 1.0], n),
                "ties": rng.choice(np.linspace(-1, 1, 5), n),
                "far": 1e6 + rng.uniform(0, 1e-3, n),
                "subnormal": rng.integers(-9, 9, n) * TINY,
                "zeros": rng.choice([0.0, -0.0], n),
                "edges": rng.choice([-1.0, np.nextafter(-1, 0), -0.5, 0.5, np.nextafter(1, 0), 1.0], n),
            }[kind]
        )
    return np.stack(columns, axis=1).astype(dtype)


@st.composite
def op_tables(draw: st.DrawFn, dim: int, *, bent: bool = True) -> OpTable:
    """Tables in the order the ops come in: clip on `u`, an affine op, clip on `a`, step. Affine only if not `bent`."""
    dtype = draw(st.sampled_from(OpDType))
    stages = []
    if bent and draw(st.booleans()):
        lo, hi = sorted((draw(unit), draw(unit)))
        stages.append(stage(dim, OpKind.CLIP, lo, hi, where=draw(_where(dim))))
    kind = draw(st.sampled_from([OpKind.ENDPOINT, OpKind.ZSCORE, OpKind.LINEAR, OpKind.IDENTITY]))
    lo, hi = np.array([draw(intervals()) for _ in range(dim)]).T
    eps = draw(st.sampled_from([0.0, 1e-8, 1e-6]))
    flags = draw(st.sampled_from([OpFlag.NONE, OpFlag.EPS_IF_ZERO, OpFlag.EPS_IF_ZERO | OpFlag.HALF_LAST]))
    parameters = {OpKind.ENDPOINT: (lo, hi, eps), OpKind.ZSCORE: (lo, hi, eps), OpKind.LINEAR: (hi, lo)}.get(kind, ())
    flags = flags if kind == OpKind.ENDPOINT else OpFlag.NONE
    stages.append(stage(dim, kind, *parameters, dtype=dtype, flags=flags, where=draw(_where(dim))))
    if bent and draw(st.booleans()):
        bound = abs(draw(unit))
        floor = draw(st.sampled_from([-bound, -np.inf]))
        stages.append(stage(dim, OpKind.CLIP, floor, bound, where=draw(_where(dim))))
    if bent and draw(st.booleans()):
        sides = draw(st.sampled_from([(-1.0, 0.0, 1.0), (1.0, 0.0, -1.0), (0.0, 0.0, 1.0), (-1.0, 1.0, 1.0)]))
        stages.append(stage(dim, OpKind.STEP, draw(unit), *sides, where=draw(_where(dim))))
    if len(stages) > 1:  # products with subnormals are rounded to zero, and a bend decides by it
        assume(all(size == 0 or abs(size) > 1e-290 for size in (*lo, *hi, *(hi - lo))))
    return table(*stages)


def _where(dim: int) -> st.SearchStrategy[list[bool] | None]:
    return st.none() | st.lists(st.booleans(), min_size=dim, max_size=dim)
