"""Each profile against the expression its ecosystem evaluates, bit for bit, both ways, in float32 and float64."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import exact
import numpy as np
import pytest
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

Expression = Callable[[np.ndarray, NormStats], np.ndarray]
f32 = np.float32


def mask(s: NormStats) -> np.ndarray:
    return np.ones(s.dim, bool) if s.mask is None else s.mask


def openvla(u: np.ndarray, s: NormStats) -> np.ndarray:
    lo, hi = s["q01"], s["q99"]
    return np.where(mask(s), 0.5 * (u + 1) * (hi - lo) + lo, u)


def oft(lo: str, hi: str) -> Expression:
    return lambda u, s: np.where(mask(s), 0.5 * (u + 1) * (s[hi] - s[lo] + 1e-8) + s[lo], u)


def open_x_forward(lo: str, hi: str) -> Expression:
    """TensorFlow keeps the float32 of the actions and rounds NumPy's float64 constants to it."""

    def forward(a: np.ndarray, s: NormStats) -> np.ndarray:
        x, low, width = a.astype(f32), s[lo].astype(f32), (s[hi] - s[lo] + 1e-8).astype(f32)
        u = np.where(mask(s), np.clip(f32(2) * (x - low) / width - f32(1), f32(-1), f32(1)), x)
        return np.where(s["min"] == s["max"], f32(0), u)

    return forward


def openpi_zscore(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x * (s["std"] + 1e-6) + s["mean"]


def openpi_zscore_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    return (x - s["mean"]) / (s["std"] + 1e-6)


def openpi_quantile(x: np.ndarray, s: NormStats) -> np.ndarray:
    q01, q99 = s["q01"], s["q99"]
    return (x + 1.0) / 2.0 * (q99 - q01 + 1e-6) + q01


def openpi_quantile_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    q01, q99 = s["q01"], s["q99"]
    return (x - q01) / (q99 - q01 + 1e-6) * 2.0 - 1.0


def lerobot_figures(x: np.ndarray, s: NormStats, *names: str) -> list[np.ndarray]:
    return [s[name].astype(x.dtype) for name in names]


def lerobot_range(x: np.ndarray, s: NormStats, lo: str, hi: str) -> tuple[np.ndarray, np.ndarray]:
    low, high = lerobot_figures(x, s, lo, hi)
    return low, np.where(high - low == 0, x.dtype.type(1e-8), high - low)


def lerobot_mean_std(x: np.ndarray, s: NormStats) -> np.ndarray:
    mean, std = lerobot_figures(x, s, "mean", "std")
    return x * std + mean


def lerobot_mean_std_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    mean, std = lerobot_figures(x, s, "mean", "std")
    return (x - mean) / (std + 1e-8)


def lerobot_min_max(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, width = lerobot_range(x, s, "min", "max")
    return (x + 1) / 2 * width + low


def lerobot_quantiles(lo: str, hi: str) -> Expression:
    def unnormalize(x: np.ndarray, s: NormStats) -> np.ndarray:
        low, width = lerobot_range(x, s, lo, hi)
        return (x + 1.0) * width / 2.0 + low

    return unnormalize


def lerobot_range_forward(lo: str, hi: str) -> Expression:
    def forward(x: np.ndarray, s: NormStats) -> np.ndarray:
        low, width = lerobot_range(x, s, lo, hi)
        return 2 * (x - low) / width - 1

    return forward


def lerobot_03_min_max(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "min", "max")
    x = (x + 1) / 2
    return x * (high - low) + low


def lerobot_03_min_max_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "min", "max")
    x = (x - low) / (high - low + 1e-8)
    return x * 2 - 1


def same(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x


def clipped(oracle: Expression, bound: float = 1.0) -> Expression:
    return lambda x, s: np.clip(oracle(x, s), -bound, bound)


def without_mask(oracle: Expression) -> Expression:
    return lambda x, s: oracle(x, replace(s, mask=None))


def binarized(lo: str, hi: str) -> Expression:
    """CogACT, and with min and max the clients of starVLA's examples."""

    def unnormalize(u: np.ndarray, s: NormStats) -> np.ndarray:
        u = np.clip(u, -1, 1)
        u[:, 6] = np.where(u[:, 6] < 0.5, 0, 1)
        return np.where(mask(s), 0.5 * (u + 1) * (s[hi] - s[lo]) + s[lo], u)

    return unnormalize


def octo_normal(u: np.ndarray, s: NormStats) -> np.ndarray:
    """jax.numpy rounds NumPy's float64 figures, and a float64 `u`, to float32."""
    u = u.astype(f32)
    return np.where(mask(s), u * s["std"].astype(f32) + s["mean"].astype(f32), u)


def octo_normal_forward(a: np.ndarray, s: NormStats) -> np.ndarray:
    x = a.astype(f32)
    return np.where(mask(s), (x - s["mean"].astype(f32)) / (s["std"] + 1e-8).astype(f32), x)


def octo_bounds(lo: str, hi: str) -> Expression:
    def unnormalize(u: np.ndarray, s: NormStats) -> np.ndarray:
        u = u.astype(f32)
        return np.where(mask(s), (u + f32(1)) * (s[hi] - s[lo]).astype(f32) / f32(2) + s[lo].astype(f32), u)

    return unnormalize


def octo_bounds_forward(lo: str, hi: str) -> Expression:
    def forward(a: np.ndarray, s: NormStats) -> np.ndarray:
        x, low, width = a.astype(f32), s[lo].astype(f32), (s[hi] - s[lo] + 1e-8).astype(f32)
        return np.where(mask(s), np.clip(f32(2) * (x - low) / width - f32(1), f32(-1), f32(1)), x)

    return forward


def groot_range(lo: str, hi: str) -> Expression:
    def inverse(x: np.ndarray, s: NormStats) -> np.ndarray:
        low, high = s[lo].astype(x.dtype), s[hi].astype(x.dtype)
        return (x + 1) / 2 * (high - low) + low

    return inverse


def groot_range_forward(lo: str, hi: str, *, zeroes: bool) -> Expression:
    def forward(x: np.ndarray, s: NormStats) -> np.ndarray:
        low, high = s[lo].astype(x.dtype), s[hi].astype(x.dtype)
        moving = low != high
        u = np.zeros_like(x)
        u[..., moving] = (x[..., moving] - low[moving]) / (high[moving] - low[moving])
        u[..., moving] = 2 * u[..., moving] - 1
        u[..., ~moving] = 0 if zeroes else x[..., ~moving]
        return u

    return forward


def groot_mean_std_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    mean, std = s["mean"].astype(x.dtype), s["std"].astype(x.dtype)
    u = x.copy()
    u[..., std != 0] = (x[..., std != 0] - mean[std != 0]) / std[std != 0]
    return u


def binary(x: np.ndarray, s: NormStats) -> np.ndarray:
    return (x > 0.5).astype(x.dtype)


def groot_16_range(lo: str, hi: str) -> Expression:
    return lambda u, s: (np.clip(u, -1.0, 1.0) + 1.0) / 2.0 * (s[hi] - s[lo]) + s[lo]


def groot_16_range_forward(lo: str, hi: str) -> Expression:
    def forward(x: np.ndarray, s: NormStats) -> np.ndarray:
        u, moving = np.zeros_like(x), ~np.isclose(s[hi], s[lo])
        u[..., moving] = (x[..., moving] - s[lo][moving]) / (s[hi][moving] - s[lo][moving])
        u[..., moving] = 2 * u[..., moving] - 1
        return np.clip(u, -1.0, 1.0)

    return forward


def groot_16_mean_std(u: np.ndarray, s: NormStats) -> np.ndarray:
    moving, a = s["std"] != 0, np.zeros_like(u)
    a[..., moving] = u[..., moving] * s["std"][moving] + s["mean"][moving]
    a[..., ~moving] = u[..., ~moving]
    return a


def by_mode(oracles: dict[str, Expression]) -> Expression:
    def mixed(x: np.ndarray, s: NormStats) -> np.ndarray:
        columns = [oracles[mode](x, s)[..., d] for d, mode in enumerate(s.modes or ())]
        return np.stack(columns, axis=-1)

    return mixed


def division(x: np.ndarray, s: NormStats) -> np.ndarray:
    """Diffusion Policy's `LinearNormalizer`, which casts to its parameters' float32."""
    return (x.astype(f32) - s["offset"].astype(f32)) / s["scale"].astype(f32)


def diffusion_policy_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x.astype(f32) * s["scale"].astype(f32) + s["offset"].astype(f32)


def robomimic(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x * s["scale"].astype(x.dtype) + s["offset"].astype(x.dtype)


def robomimic_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    return (x - s["offset"].astype(x.dtype)) / s["scale"].astype(x.dtype)


def act_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    mean, std = lerobot_figures(x, s, "mean", "std")
    return (x - mean) / std


def tinyvla(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "min", "max")
    return ((x + 1) / 2) * (high - low) + low


def tinyvla_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "min", "max")
    return (x - low) / (high - low) * 2 - 1


def go1(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x * s["std"] + s["mean"]


def wall_x(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, delta = lerobot_figures(x, s, "min", "delta")
    x = (x + 1) / 2
    return x * delta + low


def wall_x_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, delta = lerobot_figures(x, s, "min", "delta")
    return np.clip((x - low) / delta * 2 - 1, -1, 1)


def vla0(u: np.ndarray, s: NormStats) -> np.ndarray:
    return u * (s["max"] - s["min"]) + s["min"]


def vla0_forward(a: np.ndarray, s: NormStats) -> np.ndarray:
    return (a - s["min"]) / (s["max"] - s["min"])


GROOT_16: dict[str, tuple[Expression, Expression]] = {
    "min_max": (groot_16_range("min", "max"), groot_16_range_forward("min", "max")),
    "percentiles": (groot_16_range("q01", "q99"), groot_16_range_forward("q01", "q99")),
    "mean_std": (groot_16_mean_std, clipped(groot_mean_std_forward)),
}


ORACLES: dict[str, tuple[Expression, Expression]] = {
    "openvla": (openvla, open_x_forward("q01", "q99")),
    "openvla-oft": (oft("q01", "q99"), open_x_forward("q01", "q99")),
    "openvla-oft-minmax": (oft("min", "max"), open_x_forward("min", "max")),
    "openpi-zscore": (openpi_zscore, openpi_zscore_forward),
    "openpi-quantile": (openpi_quantile, openpi_quantile_forward),
    "lerobot-mean_std": (lerobot_mean_std, lerobot_mean_std_forward),
    "lerobot-min_max": (lerobot_min_max, lerobot_range_forward("min", "max")),
    "lerobot-quantiles": (lerobot_quantiles("q01", "q99"), lerobot_range_forward("q01", "q99")),
    "lerobot-quantile10": (lerobot_quantiles("q10", "q90"), lerobot_range_forward("q10", "q90")),
    "lerobot-identity": (same, same),
    "lerobot-0.3-mean_std": (lerobot_mean_std, lerobot_mean_std_forward),
    "lerobot-0.3-min_max": (lerobot_03_min_max, lerobot_03_min_max_forward),
    "cogact": (binarized("q01", "q99"), open_x_forward("q01", "q99")),
    "spatialvla": (openvla, open_x_forward("q01", "q99")),
    "robovlms": (without_mask(openvla), open_x_forward("q01", "q99")),
    "nora": (without_mask(openvla), open_x_forward("q01", "q99")),
    "octo-normal": (octo_normal, octo_normal_forward),
    "octo-bounds": (octo_bounds("q01", "q99"), octo_bounds_forward("q01", "q99")),
    "octo-bounds-minmax": (octo_bounds("min", "max"), octo_bounds_forward("min", "max")),
    "gr00t-n1-min_max": (groot_range("min", "max"), groot_range_forward("min", "max", zeroes=True)),
    "gr00t-n1-q99": (groot_range("q01", "q99"), clipped(groot_range_forward("q01", "q99", zeroes=False))),
    "gr00t-n1-mean_std": (lerobot_mean_std, groot_mean_std_forward),
    "gr00t-n1-binary": (binary, binary),
    **{f"gr00t-n1.6-{mode}": pair for mode, pair in GROOT_16.items()},
    "gr00t-n1.6": (by_mode({m: p[0] for m, p in GROOT_16.items()}), by_mode({m: p[1] for m, p in GROOT_16.items()})),
    "starvla-min_max": (groot_range("min", "max"), groot_range_forward("min", "max", zeroes=True)),
    "starvla-q99": (groot_range("q01", "q99"), clipped(groot_range_forward("q01", "q99", zeroes=False), 2.2)),
    "starvla-mean_std": (lerobot_mean_std, groot_mean_std_forward),
    "starvla-client": (binarized("min", "max"), groot_range_forward("min", "max", zeroes=True)),
    "diffusion-policy": (division, diffusion_policy_forward),
    "robomimic": (robomimic, robomimic_forward),
    "act": (lerobot_mean_std, act_forward),
    "tinyvla": (tinyvla, tinyvla_forward),
    "go1": (go1, openpi_zscore_forward),
    "wall-x": (wall_x, wall_x_forward),
    "vla0": (vla0, vla0_forward),
    "rdt": (same, same),
}

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
    float32 = data.draw(st.booleans()) or dtype == "float32"  # a range that only rounding closes is not told apart
    s = data.draw(stats(None if profile.binary is None else 7, float32=float32))
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
            if all(figure in s for figure in profile.needs) and profile.formula and s.dim > (profile.binary or 0):
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


def test_a_binary_channel_must_exist() -> None:
    with pytest.raises(ShapeMismatchError, match=r"channel 6 \(from 0\) binary, and there are 2"):
        PROFILES["cogact"].table(NormStats({"q01": [0.0, 0.0], "q99": [1.0, 1.0]}))
