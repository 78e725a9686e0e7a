"""The peers' own code, where it can be imported, against the profiles: equal bits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from exact import same_bits
from execspec_fast import reference
from execspec_fast.profiles import PROFILES
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import samples, stats

MODES = {"lerobot-mean_std": "MEAN_STD", "lerobot-min_max": "MIN_MAX"}
MODES |= {"lerobot-quantiles": "QUANTILES", "lerobot-quantile10": "QUANTILE10", "lerobot-identity": "IDENTITY"}


class Anything(ModuleType):
    """Stands for a dependency that the peer imports and this test never reaches."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@pytest.fixture(scope="module")
def lerobot() -> Any:
    """`lerobot.processor.normalize_processor`, imported without LeRobot's datasets, hub or other processors."""
    for name in ("torch", "lerobot", "safetensors"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not importable; `pip install --no-deps lerobot==0.4.4` beside torch runs this test")
    root = Path(str(importlib.util.find_spec("lerobot").submodule_search_locations[0]))
    bare = ModuleType("lerobot.processor")
    bare.__path__ = [str(root / "processor")]
    stubs = {"lerobot.processor": bare, "lerobot.datasets.lerobot_dataset": Anything("lerobot_dataset")}
    stubs |= {"lerobot.datasets": Anything("datasets"), "lerobot.utils.hub": Anything("hub")}
    if importlib.util.find_spec("huggingface_hub") is None:
        stubs |= {name: Anything(name) for name in ("huggingface_hub", "huggingface_hub.constants")}
        stubs["huggingface_hub.constants"].HF_HOME = "/nonexistent"
    with pytest.MonkeyPatch.context() as patch:
        for name, stub in stubs.items():
            patch.setitem(sys.modules, name, stub)
        yield importlib.import_module("lerobot.processor.normalize_processor")
        for name in [name for name in sys.modules if name.split(".")[0] == "lerobot"]:
            patch.delitem(sys.modules, name)


def run(step_class: Any, mode: str, s: NormStats, x: np.ndarray, *, stored: bool, eps: float) -> np.ndarray:
    """One action through a processor step, its figures loaded from a state file or passed at construction."""
    import torch
    from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
    from lerobot.processor.core import TransitionKey

    step = step_class(
        features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(s.dim,))},
        norm_map={FeatureType.ACTION: NormalizationMode(mode)},
        stats=None if stored else {"action": {name: value.copy() for name, value in s.figures.items()}},
        eps=eps,
    )
    if stored:
        state = {f"action.{name}": torch.tensor(value.astype(np.float32)) for name, value in s.figures.items()}
        step.load_state_dict(state)
    return step({TransitionKey.ACTION: torch.tensor(x)})[TransitionKey.ACTION].numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MODES)
@settings(max_examples=40)
@given(data=st.data())
def test_lerobot_processor(lerobot: Any, name: str, dtype: str, data: st.DataObject) -> None:
    stored = data.draw(st.booleans())  # a state file holds float32; figures passed at construction stay float64
    s = data.draw(stats(float32=stored))
    u = data.draw(samples(s.dim, dtype=dtype))
    eps = data.draw(st.sampled_from([1e-8, 1e-3]))
    a = run(lerobot.UnnormalizerProcessorStep, MODES[name], s, u, stored=stored, eps=eps)
    forth, back = PROFILES[name].table(s, eps), PROFILES[name].forward(s, eps)
    assert same_bits(reference.unnormalize(forth, u), a)
    assert same_bits(Unnormalizer(forth)(u, dtype="native"), a)
    x = np.concatenate([a, u])
    assert same_bits(
        Unnormalizer(back)(x, dtype="native"),
        run(lerobot.NormalizerProcessorStep, MODES[name], s, x, stored=stored, eps=eps),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=40)
@given(data=st.data())
def test_lerobot_0_3_in_torch(dtype: str, data: st.DataObject) -> None:
    """Its normalizer was a module of the policy: float32 parameters, cast with the policy."""
    torch = pytest.importorskip("torch")
    s = data.draw(stats(float32=True))
    u = data.draw(samples(s.dim, dtype=dtype))
    x = torch.tensor(u)
    figures = {name: torch.tensor(value.astype(np.float32)).to(x.dtype) for name, value in s.figures.items()}
    lo, hi, mean, std = (figures[name] for name in ("min", "max", "mean", "std"))
    expected = {
        "lerobot-0.3-mean_std": (x * std + mean, (x - mean) / (std + 1e-8)),
        "lerobot-0.3-min_max": ((x + 1) / 2 * (hi - lo) + lo, (x - lo) / (hi - lo + 1e-8) * 2 - 1),
    }
    for name, (a, back) in expected.items():
        assert same_bits(Unnormalizer(PROFILES[name].table(s))(u, dtype="native"), a.numpy())
        assert same_bits(Unnormalizer(PROFILES[name].forward(s))(u, dtype="native"), back.numpy())
