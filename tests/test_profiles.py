"""Each profile against the expression its ecosystem evaluates, bit for bit, both ways, in float32 and float64."""

from __future__ import annotations

import json
from pathlib import Path

import exact
import numpy as np
import pytest
from ecosystems import ORACLES, WIDTH
from exact import same_bits
from execspec_fast import reference
from execspec_fast.domain import UNBOUNDED
from execspec_fast.drift import drift
from execspec_fast.errors import MissingStatsError, ShapeMismatchError, StatsError, UnknownProfileError
from execspec_fast.ops import OpTable
from execspec_fast.profiles import PROFILES, find_profile
from execspec_fast.sample import ActionSample
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import samples, stats

ROUNDED = {"gr00t-n1.6", "gr00t-n1.6-mean_std"}
"""What these un-normalize is rounded back to the dtype of `u`."""

ROUNDED_TWICE = {f"gr00t-n1.6{mode}" for mode in ("", "-min_max", "-percentiles", "-mean_std")}
"""The forward map of GR00T N1.6 stores each step in the dtype of `a`: bits are equal in float64, values in float32."""


def agree(ops: OpTable, x: np.ndarray, want: np.ndarray) -> bool:
    """The reference and the compiled core both give the bits of `want`."""
    return same_bits(reference.unnormalize(ops, x), want) and same_bits(Unnormalizer(ops)(x, dtype="native"), want)


def test_every_profile_has_an_oracle() -> None:
    assert set(ORACLES) == set(PROFILES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=60)
@given(data=st.data())
def test_equal_bits(name: str, dtype: str, data: st.DataObject) -> None:
    profile = PROFILES[name]
    narrow = dtype == "float32" or name.startswith("octo-bounds")
    float32 = data.draw(st.booleans()) or narrow  # a range that only rounding closes is not told apart
    s = data.draw(stats(WIDTH.get(name), float32=float32))
    u = data.draw(samples(s.dim, dtype=dtype))
    unnormalize, normalize = ORACLES[name]
    with np.errstate(all="ignore"):
        a = unnormalize(u, s)
        if name in ROUNDED:
            assert same_bits(Unnormalizer(profile.table(s))(u), a.astype(dtype))
        else:
            assert agree(profile.table(s), u, a)
        x = np.concatenate([a.astype(dtype), u])
        want = normalize(x, s)
        if name in ROUNDED_TWICE and dtype == "float32":
            assert np.allclose(Unnormalizer(profile.forward(s))(x), want, rtol=0, atol=1e-6, equal_nan=True)
        elif name in ROUNDED_TWICE:
            assert same_bits(Unnormalizer(profile.forward(s))(x), want)
        else:
            assert agree(profile.forward(s), x, want)


def published_stats(registry: Path) -> dict[str, NormStats]:
    """Real figures of the three ecosystems, read here without the package's readers."""
    found = {}
    openvla_keys = json.loads((registry / "openvla/openvla-7b-config/config.json").read_text())["norm_stats"]
    openpi_file = registry / "openpi/pi05-lora-libero/assets/physical-intelligence/libero/norm_stats.json"
    openpi_group = json.loads(openpi_file.read_text())["norm_stats"]["actions"]
    lerobot_group = json.loads((registry / "lerobot/record-test-so101/meta/stats.json").read_text())["action"]
    groups = {f"openvla {key}": entry["action"] for key, entry in openvla_keys.items()}
    for key, group in {**groups, "openpi": openpi_group, "lerobot": lerobot_group}.items():
        figures = {name: value for name, value in group.items() if name not in ("mask", "count") and value is not None}
        found[key] = NormStats(figures, mask=group.get("mask"))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_bits_on_real_figures(shared_registry: Path, dtype: str) -> None:
    u = np.random.default_rng(0).uniform(-1.5, 1.5, (500, 64)).astype(dtype)
    compared = 0
    for key, s in published_stats(shared_registry).items():
        for name, profile in PROFILES.items():
            if all(figure in s for figure in profile.needs) and profile.formula and s.dim >= WIDTH.get(name, 1):
                x = np.ascontiguousarray(u[:, : s.dim])
                want = ORACLES[name][0](x, s)
                got = Unnormalizer(profile.table(s))(x, dtype=want.dtype)
                assert same_bits(got, want), f"{key} {name}"
                compared += 1
    assert compared >= 25 * 3


def test_openvla_emits_the_centres_of_256_edges() -> None:
    points = np.array(PROFILES["openvla"].domain.points)
    edges = np.linspace(-1, 1, 256)
    assert points.size == 255
    assert same_bits(points, (edges[:-1] + edges[1:]) / 2)
    assert PROFILES["openvla"].domain.hi == points[-1] == -PROFILES["openvla"].domain.lo
    assert abs(points[-1] - 0.99607843) < 1e-8
    assert PROFILES["openvla-oft"].domain is UNBOUNDED  # a continuous head is not clipped


def test_a_constant_channel_moves_as_each_ecosystem_has_it() -> None:
    s = NormStats({name: [0.1] for name in ("min", "max", "q01", "q99", "mean")} | {"std": [0.0]})
    moved = {"openvla-oft": 1e-8, "openpi-quantile": 1e-6, "openpi-zscore": 1e-6, "lerobot-quantiles": 1e-8}
    for name in ("openvla", "lerobot-mean_std", "lerobot-0.3-min_max", *moved):
        at_one = float(Unnormalizer(PROFILES[name].table(s))(np.array([1.0]))[0])
        assert at_one - 0.1 == pytest.approx(moved.get(name, 0.0), rel=1e-6)
    assert Unnormalizer(PROFILES["openvla"].forward(s))(np.array([0.2]))[0] == 0


def test_a_declared_eps_replaces_the_profile_s_where_it_has_one() -> None:
    s = NormStats({"min": [2.0], "max": [2.0], "mean": [2.0], "std": [0.0]})
    one = np.array([1.0])
    assert Unnormalizer(PROFILES["lerobot-min_max"].table(s, eps=0.5))(one)[0] == 2.5
    assert Unnormalizer(PROFILES["lerobot-mean_std"].table(s, eps=0.5))(one)[0] == 2.0  # adds none when un-normalizing
    assert Unnormalizer(PROFILES["lerobot-mean_std"].forward(s, eps=0.5))(one)[0] == -2.0


def test_missing_figures_are_named_with_what_there_is() -> None:
    with pytest.raises(MissingStatsError, match=r"needs q01, q99, and q99 is not published \(published: mean, q01\)"):
        PROFILES["openvla"].table(NormStats({"mean": [0.0], "q01": [0.0]}))
    with pytest.raises(MissingStatsError, match="min, max is not published"):
        PROFILES["openvla"].forward(NormStats({"q01": [0.0], "q99": [1.0]}))


def test_figures_per_time_step_are_refused() -> None:
    with pytest.raises(ShapeMismatchError, match=r"\(16, 7\).*no per-step form"):
        PROFILES["openpi-zscore"].table(NormStats({"mean": np.zeros((16, 7)), "std": np.ones((16, 7))}))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_unusable_figures_name_their_channel_unless_the_mask_skips_it(bad: float) -> None:
    figures = {"q01": [0.0, bad], "q99": [1.0, 1.0]}
    with pytest.raises(StatsError, match="channel 1: endpoint parameter lo"):
        PROFILES["openvla"].table(NormStats(figures))
    masked = PROFILES["openvla"].table(NormStats(figures, mask=[True, False]))
    assert Unnormalizer(masked)(np.array([1.0, 0.25])).tolist() == [1.0, 0.25]


def test_an_unknown_profile_lists_those_there_are() -> None:
    with pytest.raises(UnknownProfileError, match=r"no profile 'openvla-2'; known profiles: .*openvla-oft"):
        find_profile("openvla-2")


def test_a_division_is_analysed_exactly() -> None:
    """Diffusion Policy divides: its map, of double-double coefficients, against rational arithmetic."""
    a = PROFILES["diffusion-policy"].table(NormStats({"scale": [3.0, -0.1], "offset": [0.7, 1e3]}))
    b = PROFILES["diffusion-policy"].table(NormStats({"scale": [7.0, -0.1], "offset": [0.7, 1e3 + 1e-9]}))
    u = np.random.default_rng(1).uniform(-1, 1, (200, 2))
    exactly = exact.drift(a, b, u)
    got = drift(Unnormalizer(a), Unnormalizer(b), ActionSample(u))
    for metric in ("mean_abs", "bias", "rms", "max"):
        for channel, value in enumerate(exactly[metric]):
            assert exact.relative_error(float(getattr(got, metric)[channel]), value) < 1e-15


@pytest.mark.parametrize("scale", [0.0, 1e-200])
def test_nothing_divides_by_zero(scale: float) -> None:
    with pytest.raises(StatsError, match="channel 1: cannot divide by scale"):
        PROFILES["diffusion-policy"].table(NormStats({"scale": [1.0, scale], "offset": [0.0, 0.0]}))


def test_modes_that_no_file_gives_are_asked_for() -> None:
    figures = {"min": [0.0], "max": [1.0], "mean": [0.5], "std": [1.0]}
    with pytest.raises(MissingStatsError, match=r"mode of every channel.*gr00t-n1\.6-min_max"):
        PROFILES["gr00t-n1.6"].table(NormStats(figures))
    with pytest.raises(ShapeMismatchError, match="2 modes for 1 channels"):
        NormStats(figures, modes=("min_max", "mean_std"))


def test_a_channel_that_the_code_names_must_exist() -> None:
    s = NormStats({"q01": [0.0, 0.0], "q99": [1.0, 1.0], "mean": [0.5, 0.5]})
    with pytest.raises(ShapeMismatchError, match=r"channel 6 \(from 0\) binary, and there are 2"):
        PROFILES["cogact"].table(s)
    with pytest.raises(ShapeMismatchError, match=r"scales channel 60 \(from 0\), and there are 2"):
        PROFILES["rdt-agilex"].table(s)
