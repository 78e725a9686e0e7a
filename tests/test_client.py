"""Client ops against the expressions of the rollout scripts they stand for: equal bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exact import same_bits
from execspec_fast.client import client_ops, libero_gripper, nora_libero_gripper, simpler_widowx_gripper
from execspec_fast.controllers import CONTROLLERS
from execspec_fast.conventions import Conventions, declared
from execspec_fast.errors import ExecSpecError
from execspec_fast.spec import ExecSpec
from execspec_fast.stats import NormStats
from execspec_fast.unnormalizer import Unnormalizer
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

HALF = 0.5
EDGES = np.array([HALF, -0.0, 0.0, 1.0, np.nextafter(HALF, 0), np.nextafter(HALF, 1), 5e-324, -5e-324, np.inf, -np.inf])
numbers = st.floats(allow_nan=False, width=32) | st.sampled_from(EDGES.tolist())


def libero_script(action: np.ndarray) -> np.ndarray:
    """openvla/openvla robot_utils.py: the gripper to [-1, 1], its sign, inverted."""
    action = action.copy()
    action[..., -1] = 2 * (action[..., -1] - 0.0) / (1.0 - 0.0) - 1
    action[..., -1] = np.sign(action[..., -1])
    action[..., -1] = action[..., -1] * -1.0
    return action


def nora_script(action: np.ndarray) -> np.ndarray:
    """declare-lab/nora run_libero_eval_nora.py: the same, and 1 for all that is not below zero."""
    action = libero_script(action)
    action[..., -1] = np.where(action[..., -1] >= 0.0, 1.0, action[..., -1])
    return action


def simpler_script(action: np.ndarray) -> np.ndarray:
    """simpler-env/SimplerEnv octo_model.py for widowx_bridge."""
    action = action.copy()
    action[..., -1] = 2.0 * (action[..., -1] > 0.5) - 1.0
    return action


@pytest.mark.parametrize(
    ("make", "script"),
    [
        (libero_gripper, libero_script),
        (nora_libero_gripper, nora_script),
        (simpler_widowx_gripper, simpler_script),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(g=arrays(np.float64, 5, elements=numbers))
@example(g=EDGES)
def test_the_ops_are_the_script_bit_for_bit(make, script, dtype: str, g: np.ndarray) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        action = np.stack([g, -g], axis=-1).astype(dtype)
        want = script(action)
    assert same_bits(Unnormalizer(make(2, [1]))(action), want)


def test_the_tie_is_minus_zero_for_libero_and_closed_for_simpler() -> None:
    tie = np.array([[HALF]])
    assert np.signbit(Unnormalizer(libero_gripper(1, [0]))(tie)).all()
    assert Unnormalizer(simpler_widowx_gripper(1, [0]))(tie) == -1.0


@given(u=arrays(np.float64, (4, 3), elements=st.floats(-1.5, 1.5)))
def test_spec_command_is_the_whole_of_openvla_s_libero_script(u: np.ndarray) -> None:
    low, high = np.array([-0.7, -0.3, 0.0]), np.array([0.9375, 0.4, 1.0])
    mask = np.array([True, True, False])
    spec = ExecSpec(
        "a", "libero_goal", "openvla", declared("openvla", "here"),
        NormStats({"q01": low, "q99": high}, mask=mask), Conventions(gripper=declared((2,), "here")),
    )  # fmt: skip
    spec = replace(spec, post=client_ops("libero", spec.dim, spec.gripper))
    u[0, 2] = HALF
    actions = np.where(mask, 0.5 * (u + 1) * (high - low) + low, u)
    assert same_bits(spec.command(u), libero_script(actions))


def test_only_known_robots_get_ops_and_only_with_a_known_gripper() -> None:
    assert {name for name in CONTROLLERS if client_ops(name, 7, (6,)) is not None} == {"libero", "simpler-widowx"}
    with pytest.raises(ExecSpecError, match="no channel is known to be one"):
        client_ops("libero", 7, ())
