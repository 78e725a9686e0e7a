"""Any array in, the same kind out: a kind of array that this package has never heard of, and JAX's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from execspec_fast import ActionSample, Unnormalizer, drift, drift_matrix, mismatch
from execspec_fast.conventions import declared
from execspec_fast.errors import ArrayError, DTypeError, ShapeMismatchError
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats

LOW, HIGH = np.linspace(-1, -0.1, 7), np.linspace(0.2, 2, 7)
F, G = Unnormalizer.from_bounds(LOW, HIGH), Unnormalizer.from_bounds(LOW, HIGH, eps=1e-3)
ROWS = np.random.default_rng(0).uniform(-1.5, 1.5, (6, 5, 7))
CUDA = 2  # kDLCUDA


def chunked() -> ExecSpec:
    """A spec whose figures have one row for each of 5 time steps."""
    rng = np.random.default_rng(1)
    q01 = rng.uniform(-1, 0, (5, 7))
    stats = NormStats({"q01": q01, "q99": q01 + rng.uniform(0.1, 1, (5, 7))})
    return ExecSpec("somewhere", "key", "gr00t", declared("gr00t-n1.6-percentiles", "test"), stats)


class Shy:
    """An array of which nothing is known but DLPack and, by the array API standard, its library."""

    device_type = 1

    def __init__(self, own: np.ndarray) -> None:
        self.own = own

    @classmethod
    def from_dlpack(cls, array: Any) -> Shy:
        return cls(np.from_dlpack(array))

    def __array_namespace__(self) -> Any:
        return SimpleNamespace(from_dlpack=self.from_dlpack)

    def __dlpack__(self, **options: Any) -> Any:
        return self.own.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device_type, 0

    @property
    def dtype(self) -> np.dtype:
        return self.own.dtype


class OnCuda(Shy):
    device_type = CUDA
    device = "cuda:0"


LAYOUTS = {
    "contiguous": lambda u: u,
    "one action": lambda u: u[0, 0],
    "reversed": lambda u: u[::-1, :, ::-1],
    "strided": lambda u: np.repeat(u, 2, axis=-1)[:, ::2, ::2],
    "transposed": lambda u: u.transpose(1, 0, 2),
    "no rows": lambda u: u[:0],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_verb_gives_back_the_kind_with_the_bits_of_numpy(layout: str, dtype: str) -> None:
    u = LAYOUTS[layout](ROWS.astype(dtype))
    spec = chunked()
    for verb in (F, F.inverse, mismatch(F, G)):
        got = verb(Shy(u))
        assert type(got) is Shy
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.own, verb(u))
    if u.shape[-2:] == (5, 7):
        for verb in (spec.unnormalize, spec.normalize, spec.command):
            np.testing.assert_array_equal(verb(Shy(u)).own, verb(u))


def test_drift_of_any_kind_of_sample() -> None:
    u = ROWS.astype(np.float32)
    assert repr(ActionSample(Shy(u))) == repr(ActionSample(u))
    assert drift(F, G, Shy(u)).mean_abs.tolist() == drift(F, G, u).mean_abs.tolist()
    for metric in ("mean_abs", "mean_l2"):
        got = drift_matrix([F, G], Shy(u), metric)
        assert type(got) is Shy
        np.testing.assert_array_equal(got.own, drift_matrix([F, G], u, metric))
    assert type(drift_matrix([F, G], Shy(u), "mean_l2", tol=0.1)) is Shy
    assert type(drift_matrix([F, G], ActionSample(Shy(u)))) is np.ndarray
    out = Shy(np.empty((2, 2, 7)))
    assert drift_matrix([F, G], Shy(u), out=out) is out
    np.testing.assert_array_equal(out.own, drift_matrix([F, G], u))


def test_out_of_any_kind_is_written_in_place() -> None:
    u, own = ROWS.copy(), np.empty_like(ROWS)
    for given in (u, Shy(u)):
        out = Shy(np.empty_like(u))
        assert F(given, out=out) is out
        np.testing.assert_array_equal(out.own, F(u))
    assert F(Shy(u), out=own) is own
    np.testing.assert_array_equal(own, F(u))
    out = Shy(np.empty_like(u))
    assert chunked().unnormalize(Shy(u), out=out) is out
    np.testing.assert_array_equal(out.own, chunked().unnormalize(u))
    same = Shy(u.copy())
    assert F.inverse(same, out=same) is same
    np.testing.assert_array_equal(same.own, F.inverse(u))


def test_outs_that_cannot_be_written_are_refused() -> None:
    class Copies(Shy):
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            return self.own.copy()

    read_only = np.empty_like(ROWS)
    with pytest.raises(ArrayError, match="copy of its memory"):
        F(ROWS, out=Copies(read_only))
    read_only.flags.writeable = False
    exported = Shy(read_only)
    with pytest.raises((DTypeError, ArrayError), match=r"read-only|readonly"):
        F(ROWS, out=exported)


def test_what_has_no_channels_is_refused() -> None:
    for shape in ((), (6,), (7, 1)):
        with pytest.raises(ShapeMismatchError, match="7 channels"):
            F(Shy(np.zeros(shape)))


@pytest.mark.parametrize("dtype", ["float16", "torch.bfloat16"])
def test_half_precision_is_refused_with_the_reason(dtype: str) -> None:
    class Half(Shy):
        @property
        def dtype(self) -> Any:
            return dtype

    for verb in (F, F.inverse, ActionSample, mismatch(F, G), lambda u: drift_matrix([F], u)):
        with pytest.raises(DTypeError, match="no profile describes"):
            verb(Half(ROWS))


def test_a_kind_that_nothing_makes_is_refused() -> None:
    class Orphan(Shy):
        __array_namespace__ = property()  # what has no library to ask

    with pytest.raises(ArrayError, match=r"no from_dlpack makes a .*Orphan"):
        F(Orphan(ROWS))


def test_a_device_is_for_the_jax_path() -> None:
    pytest.importorskip("jax")
    u = OnCuda(ROWS.astype(np.float32))
    for verb in (F, mismatch(F, G), chunked().unnormalize, lambda u: drift_matrix([F], u), lambda u: drift(F, G, u)):
        with pytest.raises(ArrayError, match=r"on cuda:0, where the JAX path cannot reach it.*cuda13.*copy"):
            verb(u)
    with pytest.raises(ArrayError, match="pass no out"):
        F(u, out=np.empty_like(u.own))
    for verb in (F.inverse, ActionSample):
        with pytest.raises(ArrayError, match="works on the host"):
            verb(u)


def test_a_device_without_jax_says_what_to_install() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); sys.modules['jax'] = None; "
    code += "import test_any_array as t; t.F(t.OnCuda(t.ROWS))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ArrayError: u is on cuda:0" in result.stderr
    assert "pip install 'execspec-fast[jax]'" in result.stderr


def test_jax_arrays_on_the_host_have_the_bits_of_numpy() -> None:
    jax = pytest.importorskip("jax")
    u = ROWS.astype(np.float32)
    ours = jax.numpy.asarray(u)
    for verb in (F, F.inverse, mismatch(F, G), chunked().unnormalize, chunked().normalize):
        got = verb(ours)
        assert isinstance(got, jax.Array)
        np.testing.assert_array_equal(np.asarray(got), verb(u))
    matrix = drift_matrix([F, G], ours)
    assert isinstance(matrix, jax.Array)
    np.testing.assert_allclose(np.asarray(matrix), drift_matrix([F, G], u), rtol=1e-7)
    with pytest.raises(DTypeError, match="read-only"):
        F(u, out=ours)
    with pytest.raises(DTypeError, match="bfloat16"):
        F(ours.astype("bfloat16"))


@pytest.mark.filterwarnings("ignore:jax_enable_x64 is off")
def test_jax_arrays_under_jit_take_the_jax_path() -> None:
    jax = pytest.importorskip("jax")
    u = ROWS.astype(np.float32)
    for verb in (F, mismatch(F, G), chunked().unnormalize):
        got = jax.jit(lambda u, verb=verb: verb(u))(jax.numpy.asarray(u))
        np.testing.assert_allclose(np.asarray(got), verb(u), rtol=0, atol=4 * 1.2e-7 * 3)
    for verb in (F.inverse, lambda u: drift(F, G, u), ActionSample):
        with pytest.raises(ArrayError, match=r"traced by JAX and has no numbers yet.*outside of jit"):
            jax.jit(verb)(jax.numpy.asarray(u))
    grad = jax.grad(lambda u: F(u).sum())(jax.numpy.asarray(u))
    np.testing.assert_allclose(np.asarray(grad), np.broadcast_to((HIGH - LOW) / 2, u.shape), rtol=1e-5)


def test_float64_where_jax_has_none_is_an_error() -> None:
    jax = pytest.importorskip("jax")
    if jax.config.jax_enable_x64:
        pytest.skip("jax_enable_x64 is on")
    with pytest.raises(DTypeError, match="float64"):
        F(jax.numpy.zeros(7), dtype="float64")
