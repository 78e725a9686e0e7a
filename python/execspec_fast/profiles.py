"""The profiles: whose un-normalizer runs. One table, each row the formula, figures, epsilons and dtype of one stack.

Rows state what the named repository evaluates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .domain import UNIT_INTERVAL, Domain
from .errors import UnknownProfileError
from .formulas import (
    BINARY,
    DEVIATION,
    ENDPOINT,
    FRACTION,
    IDENTITY,
    LINEAR,
    NO_STD,
    SPAN,
    TO_LINEAR,
    WIDTH,
    ZSCORE,
    Training,
    close,
    equal,
    gains,
)
from .ops import OpDType, OpFlag
from .profile import Profile


def _bin_centres() -> Domain:
    """The 255 centres of 256 edges on [-1, 1] that OpenVLA's tokens decode to; they stop short of the ends."""
    edges = np.linspace(-1.0, 1.0, 256)
    points = tuple(float(p) for p in (edges[:-1] + edges[1:]) / 2)
    return Domain(points[0], points[-1], points, "255 bin centres")


MOMENTS, BOUNDS, QUANTILES, DECILES = ("mean", "std"), ("min", "max"), ("q01", "q99"), ("q10", "q90")
F32, F64, SAME = OpDType.FLOAT32, OpDType.FLOAT64, OpDType.SAME
IF_ZERO, HALF_LAST = OpFlag.EPS_IF_ZERO, OpFlag.EPS_IF_ZERO | OpFlag.HALF_LAST
EQUAL_BOUNDS, EQUAL_QUANTILES = equal(*BOUNDS), equal(*QUANTILES)

E6, E8 = Training(1e-6), Training(1e-8)
OPEN_X = Training(1e-8, 1.0, EQUAL_BOUNDS, True, WIDTH, F32)
OCTO, OCTO_NORMAL = Training(1e-8, 1.0, open_x=WIDTH, dtype=F32), Training(1e-8, open_x=DEVIATION, dtype=F32)
GROOT_BOUNDS, GROOT_MOMENTS = Training(still=EQUAL_BOUNDS, zeroes=True), Training(still=NO_STD)

TANH_5 = Domain(-5.0, 5.0, (), "[-5, 5]")
FRACTIONS = Domain(0.0, 1.0, (), "[0, 1]")

# OpenVLA and OFT hold their JSON figures in float64, so a float32 `u` widens when it meets them; the mask is applied
# as np.where(mask, f(u), u). openpi does the same without a mask, and pads `u` to its model's width with channels that
# mean nothing: D is the width of the figures. LeRobot casts its figures to the dtype of the tensor it is given; those
# of 0.3 are parameters of the policy and share its dtype.
_OPENVLA = (
    Profile("openvla", "openvla", ENDPOINT, QUANTILES, 0.0, F64, OPEN_X, mask=True, domain=_bin_centres()),
    Profile("openvla-oft", "openvla-oft", ENDPOINT, QUANTILES, 1e-8, F64, OPEN_X, mask=True),
    Profile("openvla-oft-minmax", "openvla-oft", ENDPOINT, BOUNDS, 1e-8, F64, OPEN_X, mask=True),
    # clips u and makes channel 6 binary before the mask is looked at (`vla/cogactvla.py`)
    Profile(
        "cogact", "cogact", ENDPOINT, QUANTILES, 0.0, F64, OPEN_X, mask=True, clip=True, binary=6, domain=UNIT_INTERVAL
    ),
    Profile("spatialvla", "spatialvla", ENDPOINT, QUANTILES, 0.0, F64, OPEN_X, mask=True, domain=UNIT_INTERVAL),
    # RoboVLMs reads a mask and publishes none (`eval/simpler/model_wrapper.py`); nora computes one and does not use it
    # (`inference/nora.py`)
    Profile("robovlms", "robovlms", ENDPOINT, QUANTILES, 0.0, F64, OPEN_X, mask=True),
    Profile("nora", "nora", ENDPOINT, QUANTILES, 0.0, F64, OPEN_X),
)
# Octo un-normalizes in jax.numpy, in float32; its ranges are formed in NumPy's float64. What it calls "bounds" are
# p01 and p99, and on its branch `main_old` min and max. Its heads are clipped to 5. SimplerEnv's client takes the
# normalized actions, ensembles them in float64, and scales every channel whatever the mask says
# (`simpler_env/policies/octo/octo_model.py`).
_OCTO = (
    Profile("octo-normal", "octo", ZSCORE, MOMENTS, 0.0, F32, OCTO_NORMAL, mask=True, domain=TANH_5),
    Profile("octo-bounds", "octo", WIDTH, QUANTILES, 0.0, F32, OCTO, OpFlag.HALF_LAST, mask=True, domain=TANH_5),
    Profile("octo-bounds-minmax", "octo", WIDTH, BOUNDS, 0.0, F32, OCTO, OpFlag.HALF_LAST, mask=True, domain=TANH_5),
    Profile("octo-simpler", "octo", ZSCORE, MOMENTS, 0.0, F64, OCTO_NORMAL, domain=TANH_5),
)
_OPENPI = (
    Profile("openpi-zscore", "openpi", ZSCORE, MOMENTS, 1e-6, F64, E6),
    Profile("openpi-quantile", "openpi", ENDPOINT, QUANTILES, 1e-6, F64, E6),
)
_LEROBOT = (
    Profile("lerobot-mean_std", "lerobot", ZSCORE, MOMENTS, 0.0, SAME, E8),
    Profile("lerobot-min_max", "lerobot", ENDPOINT, BOUNDS, 1e-8, SAME, E8, IF_ZERO),
    Profile("lerobot-quantiles", "lerobot", ENDPOINT, QUANTILES, 1e-8, SAME, E8, HALF_LAST),
    Profile("lerobot-quantile10", "lerobot", ENDPOINT, DECILES, 1e-8, SAME, E8, HALF_LAST),
    Profile("lerobot-identity", "lerobot", IDENTITY, (), 0.0, SAME),
    Profile("lerobot-0.3-mean_std", "lerobot", ZSCORE, MOMENTS, 0.0, SAME, E8),
    Profile("lerobot-0.3-min_max", "lerobot", ENDPOINT, BOUNDS, 0.0, SAME, E8),
)
# GR00T N1 and N1.5 (`gr00t/data/transform/state_action.py`) cast figures to the tensor's dtype; starVLA copies them and
# clips quantiles at 2.2. N1.6 and N1.7 (`gr00t/data/utils.py`) hold figures in float64 and clip `u`; relative groups
# have one row of min and max per time step. Parity in float32 is that of results in float32.
_N16 = {
    mode: Profile(
        f"gr00t-n1.6-{mode}",
        "gr00t",
        formula,
        figures,
        0.0,
        F64,
        Training(clip=1.0, still=still, zeroes=clip),
        clip=clip,
        passes=None if clip else still,
        per_step=True,
    )
    for mode, formula, figures, still, clip in (
        ("min_max", ENDPOINT, BOUNDS, close(*BOUNDS), True),
        ("percentiles", ENDPOINT, QUANTILES, close(*QUANTILES), True),
        ("mean_std", ZSCORE, MOMENTS, NO_STD, False),
    )
}
_GROOT = (
    Profile("gr00t-n1-min_max", "gr00t", ENDPOINT, BOUNDS, 0.0, SAME, GROOT_BOUNDS),
    Profile("gr00t-n1-q99", "gr00t", ENDPOINT, QUANTILES, 0.0, SAME, Training(clip=1.0, still=EQUAL_QUANTILES)),
    Profile("gr00t-n1-mean_std", "gr00t", ZSCORE, MOMENTS, 0.0, SAME, GROOT_MOMENTS),
    Profile("gr00t-n1-binary", "gr00t", BINARY, (), 0.0, SAME),
    *_N16.values(),
    Profile("gr00t-n1.6", "gr00t", None, (), 0.0, F64, per_step=True, by_mode=_N16),
    Profile("starvla-min_max", "starvla", ENDPOINT, BOUNDS, 0.0, SAME, GROOT_BOUNDS),
    Profile("starvla-q99", "starvla", ENDPOINT, QUANTILES, 0.0, SAME, Training(clip=2.2, still=EQUAL_QUANTILES)),
    Profile("starvla-mean_std", "starvla", ZSCORE, MOMENTS, 0.0, SAME, GROOT_MOMENTS),
    # the clients of its examples (`model2*_interface.py`)
    Profile(
        "starvla-client",
        "starvla",
        ENDPOINT,
        BOUNDS,
        0.0,
        F64,
        Training(still=EQUAL_BOUNDS, zeroes=True, dtype=SAME),
        mask=True,
        clip=True,
        binary=6,
    ),
)
# Diffusion Policy casts `u` to its float32 parameters and divides; robomimic multiplies. ACT floors its std at 0.01 and
# TinyVLA widens its bounds by 1e-4 when the file is written. GO-1 reads float64 JSON (`evaluate/deploy.py`). wall-x
# stores widths, from 0.5 on quantiles. VLA-0 emits integers, whose fraction of the number of bins is `u`. RDT does not
# normalize; its Agilex client scales the grippers, slots 60 and 10 of 128 (`scripts/agilex_model.py`).
_OTHERS = (
    Profile("diffusion-policy", "diffusion-policy", TO_LINEAR, ("scale", "offset"), 0.0, F32),
    Profile("robomimic", "robomimic", LINEAR, ("scale", "offset"), 0.0, SAME),
    Profile("act", "act", ZSCORE, MOMENTS, 0.0, SAME),
    Profile("tinyvla", "tinyvla", ENDPOINT, BOUNDS, 0.0, SAME),
    Profile("go1", "go1", ZSCORE, MOMENTS, 0.0, F64, E6),
    Profile("wall-x", "wall-x", SPAN, ("min", "delta"), 0.0, SAME, Training(clip=1.0)),
    Profile("wall-x-q99", "wall-x", ENDPOINT, QUANTILES, 0.0, SAME, Training(-0.0, 1.0)),  # -0.0 keeps a width's sign
    Profile("vla0", "vla0", FRACTION, BOUNDS, 0.0, F64, domain=FRACTIONS),
    Profile("rdt", "rdt", IDENTITY, (), 0.0, SAME),
    Profile("rdt-agilex", "rdt", gains({60: 11.8997, 10: 13.9231}), ("mean",), 0.0, SAME),
)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {profile.name: profile for profile in (*_OPENVLA, *_OCTO, *_OPENPI, *_LEROBOT, *_GROOT, *_OTHERS)}
)


def find_profile(name: str) -> Profile:
    """The profile of that name; `UnknownProfileError` lists the names there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfileError(name, PROFILES) from None
