"""`execspec_fast.numba`: from jitted code, the bits of the compiled core."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exact import same_bits
from execspec_fast import Unnormalizer, drift, open_registry
from execspec_fast.errors import MissingDependencyError, ShapeMismatchError, StatsError
from execspec_fast.ops import PARAMETERS, OpDType, OpFlag, OpKind, stage, table
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import TINY, op_tables, samples

numba = pytest.importorskip("numba")
import execspec_fast.numba as jitted  # noqa: E402

METRICS = ("mean_abs", "bias", "rms", "max")
HOSTILE = [0.0, -0.0, 1.0, -1.0, 0.1, TINY, -TINY, 1e-40, 1e38, 1e300, np.inf, -np.inf, np.nan, 0.5, 1 / 3, -0.7]
EXAMPLES = Path(__file__).parents[1] / "examples" / "registry"
parameters = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1 / 3, 1e-8, TINY, 3 * TINY, 1e-45, 1e38, -1e150, 0.1])


@st.composite
def any_tables(draw: st.DrawFn, dim: int) -> np.ndarray:
    """Tables of any kinds in any order, another one in every channel; most of them no checkpoint has."""
    ops = np.concatenate([stage(dim, OpKind.IDENTITY) for _ in range(draw(st.integers(1, 4)))])
    for index in np.ndindex(ops.shape):
        kind = draw(st.sampled_from(OpKind))
        values = [draw(parameters) for _ in PARAMETERS[kind]]
        ops["p"][index][: len(values)] = sorted(values) if kind == OpKind.CLIP else values
        flags = draw(st.sampled_from([0, 1, 2, 3])) if kind in (OpKind.ENDPOINT, OpKind.TO_ENDPOINT) else 0
        ops["kind"][index], ops["flags"][index], ops["dtype"][index] = kind, flags, draw(st.sampled_from(OpDType))
    assume(not ((ops["kind"] == OpKind.TO_LINEAR) & (np.abs(ops["p"][..., 0]) < 1e-149)).any())
    return table(ops)


@settings(max_examples=200)
@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]), rows=st.sampled_from([1, 2, 63, 64, 65, 200]))
def test_any_table_has_the_bits_of_the_core(data: st.DataObject, dtype: str, rows: int) -> None:
    ops = data.draw(any_tables(3))
    rng = np.random.default_rng(rows)
    with np.errstate(over="ignore"):
        u = np.concatenate([np.resize(HOSTILE, (32, 3)).T.reshape(-1, 3), rng.normal(0, 2, (rows, 3))]).astype(dtype)
    assert same_bits(jitted.unnormalize(ops, u), Unnormalizer(ops)(u))
    assert same_bits(jitted.unnormalize(ops, u[-1]), Unnormalizer(ops)(u[-1]))


@pytest.mark.parametrize("kind", OpKind)
@pytest.mark.parametrize("flags", [OpFlag.NONE, *OpFlag, OpFlag.EPS_IF_ZERO | OpFlag.HALF_LAST])
@pytest.mark.parametrize("dtypes", [(dtype, op) for dtype in ("float32", "float64") for op in OpDType])
def test_every_op_flag_and_dtype(kind: OpKind, flags: OpFlag, dtypes: tuple[str, OpDType]) -> None:
    figures = {"lo": -0.3, "hi": 0.7, "eps": 1e-3, "mean": 0.1, "std": 0.3, "scale": 1 / 3, "offset": 0.2}
    figures |= {"threshold": 0.1, "below": -1.0, "at": 0.25, "above": 1.0}
    ops = table(stage(1, kind, *(figures[name] for name in PARAMETERS[kind]), dtype=dtypes[1], flags=flags))
    u = np.random.default_rng(0).normal(0, 1, (500, 1)).astype(dtypes[0])
    u[0] = 0.1
    assert same_bits(jitted.unnormalize(ops, u), Unnormalizer(ops)(u))


def test_specs_both_ways() -> None:
    specs = [spec for spec in open_registry(EXAMPLES).specs if spec.steps is None]
    assert len(specs) >= 9
    for spec in specs:
        for dtype in ("float32", "float64"):
            u = np.random.default_rng(1).uniform(-1.2, 1.2, (100, spec.dim)).astype(dtype)
            assert same_bits(jitted.unnormalize(spec.unnormalizer.table(), u), spec.unnormalize(u))
            assert same_bits(jitted.unnormalize(spec.normalizer.table(), u), spec.normalize(u))


def agrees(fi: Unnormalizer, fj: Unnormalizer, u: np.ndarray) -> bool:
    want = drift(fi, fj, u)
    for d in range(fi.dim):
        got = jitted.drift(jitted.pieces(fi, d), jitted.pieces(fj, d), jitted.column(u[:, d]))
        ours = np.array([getattr(got, name) for name in METRICS])
        theirs = np.array([getattr(want, name)[d] for name in METRICS])
        if not np.array_equal(ours, theirs, equal_nan=True):
            return False
    return True


@settings(max_examples=150)
@given(data=st.data())
def test_drift_of_a_pair_has_the_bits_of_the_core(data: st.DataObject) -> None:
    fi, fj = (Unnormalizer(data.draw(op_tables(2))) for _ in range(2))
    assert agrees(fi, fj, data.draw(samples(2, max_rows=300)))


@pytest.mark.parametrize("rows", [64, 128, 4096])
@pytest.mark.parametrize("clip", [None, -0.5, 0.5])
def test_drift_on_many_rows(rows: int, clip: float | None) -> None:
    fi = Unnormalizer.from_bounds([-0.3, 0.1], [0.9, 0.1])
    fj = Unnormalizer.from_bounds([-0.3, 0.0], [0.9 + 1e-12, 0.2], eps=1e-8)
    if clip is not None:
        fj = fj.then(stage(2, OpKind.CLIP, *sorted((clip, 2 * clip))))
    u = np.random.default_rng(rows).normal(0, 1, (rows, 2))
    for scale, shift in [(1, 0), (1e-3, 1e6), (1e-310, 0)]:
        assert agrees(fi, fj, u * scale + shift)
    assert agrees(fi, fj, np.round(4 * u) / 4)
    assert agrees(fi, fj, u.astype(np.float32))


def test_what_overflows_as_a_line_is_measured_by_definition() -> None:
    steep = stage(1, OpKind.LINEAR, 1e150, 0.0)
    fi, fj = Unnormalizer(table(steep, steep)), Unnormalizer(table(steep))
    for u in ([1e150, -1e150, 1.0], [1e9], [0.0, 1e150], [1e8, -1e8]):
        assert agrees(fi, fj, np.array(u)[:, None])


def test_squares_that_drown_in_the_rounding_of_sums_are_added_one_by_one() -> None:
    fi = Unnormalizer(table(stage(1, OpKind.LINEAR, 1.0, 0.0), stage(1, OpKind.CLIP, -0.5, 0.5)))
    fj = Unnormalizer(table(stage(1, OpKind.LINEAR, 1 / 3, 1e-15)))
    u = np.append(1e-14 * np.random.default_rng(4).normal(size=300), 0.9)
    for rows in (u, u[:-1], np.append(u, -0.9)):  # the outliers, past the clip, are in the sums before the rest
        assert agrees(fi, fj, rows[:, None])


def test_users_call_them_from_their_own_jitted_code() -> None:
    @numba.njit
    def rollout(ops: np.ndarray, u: np.ndarray) -> float:
        total = 0.0
        for t in range(u.shape[0]):
            total += jitted.unnormalize(ops, u[t]).sum()
        return total

    @numba.njit(parallel=True)
    def matrix(maps: np.ndarray, u: np.ndarray) -> np.ndarray:
        x, out = jitted.column(u), np.empty((len(maps), len(maps)))
        for i in numba.prange(len(maps)):
            for j in range(len(maps)):
                out[i, j] = jitted.drift(maps[i], maps[j], x).rms
        return out

    specs = [Unnormalizer.from_bounds([-1.0], [high]) for high in (0.5, 0.6, 1.0)]
    u = np.random.default_rng(2).uniform(-1, 1, (50, 1))
    assert rollout(specs[0].table(), u) == pytest.approx(specs[0](u).sum(), rel=1e-14)
    got = matrix(np.stack([jitted.pieces(spec, 0) for spec in specs]), u[:, 0])
    assert got.tolist() == [[drift(i, j, u).rms[0] for j in specs] for i in specs]


def test_bad_input_is_refused() -> None:
    one = Unnormalizer.from_bounds([0.0, 0.0], [1.0, 2.0])
    with pytest.raises(ShapeMismatchError, match="channels of the table"):
        jitted.unnormalize(one.table(), np.zeros((4, 3)))
    for wrong in (np.zeros((4, 2), np.float16), np.zeros((4, 4))[:, ::2], np.zeros((2, 2), int), np.zeros((1, 1, 2))):
        with pytest.raises(TypeError, match="No matching definition"):
            jitted.unnormalize(one.table(), wrong)
    unknown = np.array(one.table())
    unknown["kind"] = 99
    with pytest.raises(StatsError, match="kind"):
        jitted.unnormalize(unknown, np.zeros((1, 2)))
    for actions in ([], [np.nan, 0.0], [np.inf], [-2e150]):
        with pytest.raises(StatsError, match="finite"):
            jitted.column(np.array(actions))
    x, f = jitted.column(np.zeros(3)), jitted.pieces(one, 0)
    for wrong in (f[:0], f[:, :6]):
        with pytest.raises(ShapeMismatchError, match="pieces"):
            jitted.drift(wrong, f, x)
        with pytest.raises(ShapeMismatchError, match="pieces"):
            jitted.drift(f, wrong, x)


def test_no_rows_and_no_stages() -> None:
    one = Unnormalizer.from_bounds([0.0, 0.0], [1.0, 2.0])
    assert jitted.unnormalize(one.table(), np.zeros((0, 2), np.float32)).shape == (0, 2)
    u = np.random.default_rng(3).normal(0, 1, (3, 2))
    assert same_bits(jitted.unnormalize(one.table()[:0], u), u)


def test_compiled_code_is_kept_on_disk() -> None:
    for function in (jitted.unnormalize, jitted.column, jitted.drift):
        assert function.stats.cache_path
        assert not function.targetoptions.get("fastmath")


def test_importing_it_without_numba_says_what_to_install() -> None:
    code = "import sys; sys.modules['numba'] = None; import execspec_fast.numba"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert MissingDependencyError.__name__ in result.stderr
    assert "pip install 'execspec-fast[numba]'" in result.stderr
