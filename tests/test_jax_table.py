"""Op tables on device: what the core returns, in the dtype flow of every op; and what is refused."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import execspec_fast.jax as esj
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from execspec_fast import load_spec, mismatch
from execspec_fast.errors import DTypeError, MissingDependencyError, ShapeMismatchError
from execspec_fast.jax import precision
from execspec_fast.ops import OpDType, OpFlag, OpKind, stage
from execspec_fast.unnormalizer import Unnormalizer
from jax_policy import compilations, strict

REGISTRY = Path(__file__).parents[1] / "examples" / "registry"
SPECS = (
    "openvla-libero#libero_goal",
    "openvla-oft-libero-10#libero_10_no_noops",
    "pi05-libero#physical-intelligence/libero",
)
LOW, HIGH = np.array([-0.31, -0.9375, 0.1]), np.array([0.52, 0.33, 0.7])
PARAMETERS = {
    OpKind.CLIP: (-0.4, 0.5),
    OpKind.STEP: (0.125, -1.0, 0.0, 1.0),
    OpKind.LINEAR: (HIGH, LOW),
    OpKind.TO_LINEAR: (HIGH, LOW),
}


@pytest.fixture(params=[True, False], ids=["x64", "no x64"])
def x64(request, monkeypatch):
    monkeypatch.setattr(precision, "_said", True)
    with strict(x64=request.param):
        yield request.param


def close(got, want, reach):
    """Within 4 eps of the dtype of `got`."""
    error = np.abs(np.asarray(got, np.float64) - np.asarray(want, np.float64)).max()
    assert error <= 4 * np.finfo(got.dtype).eps * reach, error / np.finfo(got.dtype).eps / reach


@pytest.mark.parametrize("kind", OpKind)
def test_every_op_in_every_dtype_flow(kind, x64):
    u = np.random.default_rng(0).normal(0, 0.6, (200, 3))
    u = u[(np.abs(u - 0.125) > 1e-3).all(axis=1)]  # a step of an action that rounding moves over it is another matter
    u[0] = 0.125
    for dtype in OpDType:
        for flags in (OpFlag.NONE, OpFlag.EPS_IF_ZERO, OpFlag.EPS_IF_ZERO | OpFlag.HALF_LAST):
            p = PARAMETERS.get(kind, (LOW, HIGH, 1e-6))
            f = Unnormalizer(stage(3, kind, *p, dtype=dtype, flags=flags, where=[True, False, True]))
            for given in (np.float32, np.float64) if x64 else (np.float32,):
                actions = u.astype(given)
                got, want = esj.unnormalize(f, jnp.asarray(actions)), f(actions)
                assert got.dtype == given
                close(got, want, max(1.0, np.abs(want).max()))


def test_float32_meets_float64_figures_as_in_numpy():
    """OpenVLA's flow: `u + 1` in float32, the rest in float64."""
    u = np.random.default_rng(1).uniform(-1, 1, (500, 3)).astype(np.float32)
    f = Unnormalizer(stage(3, OpKind.ENDPOINT, LOW, HIGH, 1e-8, dtype=OpDType.FLOAT64))
    with strict(x64=True):
        got = esj.unnormalize(f, jnp.asarray(u), dtype="float64")
        np.testing.assert_allclose(got, f(u, dtype="float64"), rtol=1e-15, atol=1e-16)
        assert np.abs(got - f(u.astype(np.float64))).max() > 1e-9  # where `u + 1` is not rounded


@pytest.mark.parametrize("name", SPECS)
def test_real_specs_both_ways(name, x64):
    spec = load_spec(f"{REGISTRY}/{name}")
    given = np.float64 if x64 else np.float32
    u = np.random.default_rng(2).uniform(-1, 1, (64, spec.dim)).astype(given)
    a = spec.unnormalize(u)
    reach = np.abs(spec.unnormalize(np.array([[-1.0], [1.0]]) * np.ones(spec.dim))).max()
    close(esj.unnormalize(spec, u), a, reach)
    back = spec.normalize(a)
    close(esj.normalize(spec, a), back, 1e3 * np.abs(back).max())  # rounding of a, over a narrow range


def test_a_stack_is_its_keys_and_new_keys_compile_nothing():
    def key(rng, k):
        f = Unnormalizer.from_bounds(-rng.uniform(0.3, 1, 3), rng.uniform(0.3, 1, 3))
        more = [stage(3, OpKind.CLIP, -0.2, rng.uniform(0.2, 0.4)), stage(3, OpKind.STEP, 0.1, -1.0, 0.0, 1.0)]
        for own in more[:k]:
            f = f.then(own)
        return f

    rng = np.random.default_rng(3)
    u = rng.uniform(-1, 1, (50, 3))
    with strict(x64=True):
        every = jax.jit(jax.vmap(esj.unnormalize, in_axes=(0, None)))
        keys = [key(rng, k) for k in (0, 1, 2)]
        table = esj.Table.of(keys)
        got = every(table, jnp.asarray(u))
        for k, f in enumerate(keys):
            np.testing.assert_allclose(got[k], f(u), rtol=0, atol=1e-15)
            np.testing.assert_array_equal(esj.unnormalize(table[k], u), esj.unnormalize(f, u))
        with compilations() as compiled:
            other = [key(rng, k) for k in (1, 2, 1)]
            np.testing.assert_allclose(every(esj.Table.of(other), jnp.asarray(u))[0], other[0](u), rtol=0, atol=1e-15)
        assert not compiled


def test_gradients_are_the_slopes():
    f = Unnormalizer.from_bounds(LOW, HIGH).then(stage(3, OpKind.CLIP, -0.2, 0.3))
    with strict(x64=True):
        u = jnp.asarray([[0.1, 0.4, -1.0], [0.9, -0.9, 0.9]])
        got = jax.grad(lambda u: esj.unnormalize(f, u).sum())(u)
    a = Unnormalizer.from_bounds(LOW, HIGH)(np.asarray(u))
    np.testing.assert_allclose(got, np.where((a > -0.2) & (a < 0.3), (HIGH - LOW) / 2, 0.0), rtol=1e-12)


def test_what_is_refused():
    f = Unnormalizer.from_bounds(LOW, HIGH)
    with strict(x64=False):
        for name in ("float16", "bfloat16", "int32"):
            with pytest.raises(DTypeError, match=name):
                esj.unnormalize(f, jnp.zeros(3, name))
        masked = np.ma.array(np.zeros((2, 3), np.float32), mask=[[0, 1, 0], [0, 0, 0]])
        for call in (partial(esj.unnormalize, f), esj.ActionSample.of):
            with pytest.raises(DTypeError, match="mask would be lost"):
                call(masked)
        with pytest.raises(DTypeError, match="jax_enable_x64 is off"):
            esj.unnormalize(f, jnp.zeros(3), dtype="float64")
        with pytest.raises(DTypeError, match="jax_enable_x64 is off"):
            esj.Table.of(f, dtype="float64")
        with pytest.raises(ShapeMismatchError, match="3 channels"):
            esj.unnormalize(f, jnp.zeros((2, 4)))
        with pytest.raises(ShapeMismatchError, match="2 keys"):
            esj.unnormalize(esj.Table.of([f, f]), jnp.zeros(3))
        with pytest.raises(ShapeMismatchError, match=r"\[3, 2\]"):
            esj.Table.of([f, Unnormalizer.from_bounds([-1.0] * 2, [1.0] * 2)])
        assert not jax.config.jax_enable_x64
    with strict(x64=True), pytest.raises(DTypeError, match="for float64, the actions are float32"):
        esj.unnormalize(esj.Table.of(f), jnp.zeros(3, "float32"))


def test_narrowing_is_said_once_and_can_be_read_off(monkeypatch):
    monkeypatch.setattr(precision, "_said", False)
    f = Unnormalizer(stage(3, OpKind.ENDPOINT, LOW, HIGH, 0.0, dtype=OpDType.FLOAT64))
    with strict(x64=False):
        esj.unnormalize(Unnormalizer.from_bounds(LOW, HIGH), jnp.zeros(3))  # all in float32 anyway
        with pytest.warns(esj.PrecisionWarning, match="run in float32"):
            assert esj.Table.of(f).precision == "float32"
        assert esj.Maps.of([f]).precision == "float32"  # warnings are errors here
        assert esj.unnormalize(f, np.zeros(3)).dtype == np.float32
    with strict(x64=True):
        assert esj.Table.of(f, dtype="float32").precision == "float64"


def test_mismatch_is_the_core_s():
    f, g = Unnormalizer.from_bounds(LOW, HIGH), Unnormalizer.from_mean_std(LOW, [0.2, 0.0, 0.3])
    clipped = g.then(stage(3, OpKind.CLIP, -1.0, 1.0, where=[False, False, True]))
    a = np.random.default_rng(4).uniform(-1, 1, (20, 3))
    with strict(x64=True):
        for i, j in ((f, g), (g, f), (f, clipped), (clipped, f)):
            got, want = esj.mismatch(i, j), mismatch(i, j)
            np.testing.assert_allclose(got.scale, want.scale, rtol=1e-15)
            np.testing.assert_allclose(got.offset, want.offset, rtol=1e-15)
            np.testing.assert_array_equal(got.invertible, want.invertible)
            np.testing.assert_allclose(got.inverse().scale, want.inverse().scale, rtol=1e-15)
            np.testing.assert_allclose(got.inverse().offset, want.inverse().offset, rtol=1e-14)
        np.testing.assert_allclose(esj.mismatch(f, g)(jnp.asarray(a)), mismatch(f, g)(a), rtol=1e-13, atol=1e-15)
        narrow = esj.mismatch(f, g)(jnp.asarray(a, "float32"))
        assert narrow.dtype == np.float32
        np.testing.assert_allclose(narrow, mismatch(f, g)(a), rtol=1e-5, atol=1e-6)
        pairs = jax.vmap(esj.mismatch, in_axes=(None, 0))(esj.Maps.of([f])[0], esj.Maps.of([f, g]))
        np.testing.assert_allclose(pairs.scale[1], mismatch(f, g).scale, rtol=1e-15)
        with pytest.raises(ShapeMismatchError, match="hold 2 keys"):
            esj.mismatch(esj.Maps.of([f, g]), f)
        with pytest.raises(ShapeMismatchError, match="3 and 1 channels"):
            esj.mismatch(f, Unnormalizer.from_bounds([-1.0], [1.0]))
        for given, transform in ((a[:, :1], esj.mismatch(f, g)), (a, pairs)):
            with pytest.raises(ShapeMismatchError, match="last axis"):
                transform(jnp.asarray(given))


def test_without_jax_the_error_says_what_to_install():
    code = "import sys; sys.modules['jax'] = None; import execspec_fast.jax"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert MissingDependencyError.__name__ in done.stderr
    assert "pip install 'execspec-fast[jax]'" in done.stderr
