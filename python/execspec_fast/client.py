"""Client ops: what a rollout script does to an action after the un-normalizer and before the controller.

They are `ExecSpec.post`. `spec.command` runs them literally, bit for bit as the scripts do; only NaN differs: a
comparison turns it into a command, here it stays NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .errors import ExecSpecError
from .ops import OpKind, OpTable, stage, table


def libero_gripper(dim: int, gripper: Sequence[int]) -> OpTable:
    """`[0, 1]` with 1 open to LIBERO's -1 open and 1 closed: `-sign(2 g - 1)`, 0.5 giving -0.0.

    Source: openvla/openvla experiments/robot/robot_utils.py (normalize_gripper_action with binarize, then
    invert_gripper_action), the same in openvla-oft.
    """
    where = _where(dim, gripper)
    return table(
        stage(dim, OpKind.TO_ENDPOINT, 0.0, 1.0, where=where),
        stage(dim, OpKind.STEP, 0.0, 1.0, -0.0, -1.0, where=where),
    )


def simpler_widowx_gripper(dim: int, gripper: Sequence[int]) -> OpTable:
    """`[0, 1]` with 1 open to 1 open and -1 closed: `2 (g > 0.5) - 1`.

    Source: simpler-env/SimplerEnv simpler_env/policies/octo/octo_model.py.
    """
    return table(stage(dim, OpKind.STEP, 0.5, -1.0, -1.0, 1.0, where=_where(dim, gripper)))


def nora_libero_gripper(dim: int, gripper: Sequence[int]) -> OpTable:
    """As `libero_gripper`, with 0.5 closed: nora's script turns what is not below zero into 1.

    Source: declare-lab/nora experiments/libero/run_libero_eval_nora.py, at its default model_family.
    """
    where = _where(dim, gripper)
    return table(
        stage(dim, OpKind.TO_ENDPOINT, 0.0, 1.0, where=where),
        stage(dim, OpKind.STEP, 0.0, 1.0, 1.0, -1.0, where=where),
    )


CLIENT_OPS: Mapping[tuple[str, str], Callable[[int, Sequence[int]], OpTable]] = {
    ("openvla", "libero"): libero_gripper,
    ("openvla-oft", "libero"): libero_gripper,
    ("nora", "libero"): nora_libero_gripper,
    ("openvla", "simpler-widowx"): simpler_widowx_gripper,
    ("openvla-oft", "simpler-widowx"): simpler_widowx_gripper,
}
"""By ecosystem, and name of the controller that its scripts run them for. For `widowx` OpenVLA's run none, and for
`simpler-google` what they do depends on earlier actions."""


def client_ops(controller: str, dim: int, gripper: Sequence[int], ecosystem: str = "openvla") -> OpTable | None:
    """The ops for an Open-X policy, whose gripper is in `[0, 1]` with 1 open; None where the scripts run none.

    Args:
        controller: a name of `controllers.CONTROLLERS`.
        dim: channels of the action.
        gripper: its gripper channels.
        ecosystem: whose scripts.

    Raises:
        ExecSpecError: the gripper's ops are needed, and no channel of the action is known to be one.
    """
    make = CLIENT_OPS.get((ecosystem, controller))
    if make is None:
        return None
    if not gripper:
        raise ExecSpecError(f"the client ops for {controller} act on the gripper, and no channel is known to be one")
    return make(dim, gripper)


def _where(dim: int, gripper: Sequence[int]) -> np.ndarray:
    where = np.zeros(dim, np.bool_)
    where[list(gripper)] = True
    return where
