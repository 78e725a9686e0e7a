"""The expression that each ecosystem evaluates, from `u` to `a`, and from `a` to `u` in its training code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from execspec_fast.stats import NormStats

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


def octo_simpler(u: np.ndarray, s: NormStats) -> np.ndarray:
    """`raw_actions = norm_raw_actions * self.action_std[None] + self.action_mean[None]`, in NumPy."""
    return u * s["std"] + s["mean"]


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


def wall_x_q99(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "q01", "q99")
    x = (x + 1) / 2
    return x * (high - low) + low


def wall_x_q99_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    low, high = lerobot_figures(x, s, "q01", "q99")
    return (x - low) / (high - low) * 2 - 1


def agilex_gains(x: np.ndarray) -> np.ndarray:
    gains = np.ones(x.shape[-1])
    gains[60], gains[10] = 11.8997, 13.9231
    return gains.astype(x.dtype)


def agilex(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x * agilex_gains(x)


def agilex_forward(x: np.ndarray, s: NormStats) -> np.ndarray:
    return x / agilex_gains(x)


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
    "robovlms": (openvla, open_x_forward("q01", "q99")),
    "nora": (without_mask(openvla), open_x_forward("q01", "q99")),
    "octo-normal": (octo_normal, octo_normal_forward),
    "octo-simpler": (octo_simpler, octo_normal_forward),
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
    "wall-x-q99": (wall_x_q99, clipped(wall_x_q99_forward)),
    "vla0": (vla0, vla0_forward),
    "rdt": (same, same),
    "rdt-agilex": (agilex, agilex_forward),
}

WIDTH = {"cogact": 7, "starvla-client": 7, "rdt-agilex": 61}
"""Channels that an action needs where code treats one by its number."""
