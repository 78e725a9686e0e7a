"""torch tensors in, torch tensors out, with the bits of NumPy. CI runs this in a stage of its own."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast import ActionSample, Unnormalizer, drift, drift_matrix, mismatch, open_registry
from execspec_fast.errors import ArrayError, DTypeError

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
LOW, HIGH = np.linspace(-1, -0.1, 7), np.linspace(0.2, 2, 7)
F, G = Unnormalizer.from_bounds(LOW, HIGH), Unnormalizer.from_bounds(LOW, HIGH, eps=1e-3)

LAYOUTS = {
    "contiguous": lambda u: u,
    "one action": lambda u: u[0, 0],
    "every other": lambda u: u.repeat_interleave(2, dim=-1)[:, ::2, ::2],
    "transposed": lambda u: u.transpose(0, 1),
    "channels first in memory": lambda u: u.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "expanded": lambda u: u[0, 0].expand(3, 4, 7),
    "no rows": lambda u: u[:0],
    "view of a larger one": lambda u: u[1:3, 1:],
}


def rows(dtype: str) -> Any:
    return torch.from_numpy(np.random.default_rng(0).uniform(-1.5, 1.5, (6, 5, 7)).astype(dtype))


def same(got: Any, want: np.ndarray) -> bool:
    return type(got) is torch.Tensor and got.device.type == "cpu" and np.array_equal(got.numpy(), want)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_verb_has_the_bits_of_numpy(layout: str, dtype: str) -> None:
    u = LAYOUTS[layout](rows(dtype))
    for verb in (F, F.inverse, mismatch(F, G)):
        got = verb(u)
        assert got.dtype == u.dtype
        assert same(got, verb(u.numpy()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_spec_both_ways(dtype: str) -> None:
    specs = open_registry(ROOT / "examples" / "registry").specs
    assert len(specs) >= 9
    for spec in specs:
        u = torch.from_numpy(np.random.default_rng(1).uniform(-1.2, 1.2, (8, spec.dim)).astype(dtype))
        for verb in (spec.unnormalize, spec.normalize, spec.command):
            assert same(verb(u), verb(u.numpy()))
        assert same(spec.unnormalize(u, dtype="native"), spec.unnormalize(u.numpy(), dtype="native"))


def test_drift_of_a_tensor() -> None:
    u = rows("float32")
    assert drift(F, G, u).mean_abs.tolist() == drift(F, G, u.numpy()).mean_abs.tolist()
    assert ActionSample(u).count == 30
    for metric in ("mean_abs", "p99", "mean_l2"):
        got = drift_matrix([F, G], u, metric)
        assert got.dtype == torch.float64
        assert same(got, drift_matrix([F, G], u.numpy(), metric))


def test_out_is_written_in_place() -> None:
    u = rows("float64")
    want = F(u.numpy())
    for out in (torch.empty_like(u), torch.empty(7, 6, 5, dtype=torch.float64).permute(1, 2, 0)):
        assert F(u, out=out) is out
        assert same(out, want)
    array = np.empty(u.shape)
    assert F(u, out=array) is array
    np.testing.assert_array_equal(array, want)
    assert F(u, out=u) is u
    assert same(u, want)
    matrix = torch.empty(2, 2, 7, dtype=torch.float64)
    assert drift_matrix([F, G], u, out=matrix) is matrix
    assert same(matrix, drift_matrix([F, G], u.numpy()))
    with pytest.raises(DTypeError, match="float64"):
        F(u, out=torch.empty(u.shape))


def test_integers_convert_as_in_numpy() -> None:
    u = torch.ones(3, 7, dtype=torch.int32)
    assert same(F(u), F(u.numpy()))


def test_what_cannot_be_read_is_refused() -> None:
    u = rows("float32")
    for wrong, words in [
        (u.clone().requires_grad_(), r"pass u\.detach\(\)"),
        (torch.nn.Parameter(u.clone()), r"pass u\.detach\(\)"),
        (u.to_sparse(), "to_dense"),
        (torch.empty(3, 7, device="meta"), "on meta"),
        (torch.view_as_complex(torch.ones(3, 7, 2)).conj().imag, "resolve_neg"),
    ]:
        with pytest.raises(ArrayError, match=words):
            F(wrong)
    for dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(DTypeError, match=f"{dtype}.*no profile describes"):
            F(u.to(dtype))
        with pytest.raises(DTypeError, match="no profile describes"):
            F(u, out=torch.empty(u.shape, dtype=dtype))
    with pytest.raises(DTypeError, match="complex64"):
        F(torch.zeros(3, 7, dtype=torch.complex64))


def test_a_detached_parameter_is_a_tensor_again() -> None:
    parameter = torch.nn.Parameter(rows("float32"), requires_grad=False)
    assert same(F(parameter), F(parameter.numpy()))


@pytest.mark.filterwarnings("ignore:jax_enable_x64 is off")
def test_the_way_over_jax_gives_back_a_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a CUDA tensor goes through, on the CPU: DLPack to JAX, the JAX path, DLPack back."""
    pytest.importorskip("jax")
    monkeypatch.setattr(importlib.import_module("execspec_fast.arrays"), "_is_on_host", lambda array: False)
    u = rows("float32").contiguous()
    for verb in (F, mismatch(F, G)):
        got = verb(u)
        assert (type(got), got.dtype) == (torch.Tensor, torch.float32)
        np.testing.assert_allclose(got.numpy(), verb(u.numpy()), rtol=0, atol=4 * 1.2e-7 * 3)
    got, want = (drift(F, G, x, limits=(-np.inf, 0.9)) for x in (u, u.numpy()))
    for name in ("mean_abs", "bias", "rms", "max", "worst_case", "flips", "zeros", "outside", "mean", "mean_l2"):
        np.testing.assert_allclose(getattr(got, name), getattr(want, name), rtol=1e-5, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(got.quantile(0.9), want.quantile(0.9), rtol=1e-5)
    np.testing.assert_allclose(got.quantile_l2(0.9), want.quantile_l2(0.9), rtol=1e-5)
    assert want.outside.any()
    assert (got.channels_used, got.sample, got.assumes) == (want.channels_used, want.sample, want.assumes)
    some, same_ones = (drift(F, G, x, limits=(-np.inf, 0.9), channels=[1, 3]) for x in (u, u.numpy()))
    np.testing.assert_allclose(some.mean_l2, same_ones.mean_l2, rtol=1e-5)
    assert np.isnan(drift(F, G, u, limits=(-np.inf, 0.9), channels=[]).mean_l2)
    matrix = drift_matrix([F, G], u)
    assert type(matrix) is torch.Tensor
    np.testing.assert_allclose(matrix.numpy(), drift_matrix([F, G], u.numpy()), rtol=1e-5)
    with pytest.raises(DTypeError, match="jax_enable_x64"):
        F(u.double())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("ignore:jax_enable_x64 is off")
def test_cuda_tensors_stay_there() -> None:
    pytest.importorskip("jax")
    u = rows("float32").cuda()
    got = F(u)
    assert got.device == u.device
    np.testing.assert_allclose(got.cpu().numpy(), F(u.cpu().numpy()), rtol=0, atol=4 * 1.2e-7 * 3)


def test_torch_is_never_imported_for_the_user() -> None:
    code = (
        "import sys, numpy as np, execspec_fast as es; f = es.Unnormalizer.from_bounds([0.0], [1.0]); f(np.ones(1)); "
    )
    code += "es.drift_matrix([f], np.ones((2, 1))); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_script_in_readme_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    readme = Path("README.md").read_text()
    script, shown = re.findall(r"^```py\n(.*?)^```\n+```text\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[0]
    exec(script, {})
    assert capsys.readouterr().out == shown
