"""What a guard can say: faults, verdicts and modes, as `cpp/include/execspec/guard/status.hpp` lists them."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Fault(IntFlag):
    """What is wrong with a step: an OR of these; 0 is a clean step."""

    NOT_FINITE = 1 << 0
    LENGTH = 1 << 1
    DIGEST = 1 << 2
    MISMATCH = 1 << 3
    ENVELOPE = 1 << 4
    JUMP = 1 << 5
    WALK = 1 << 6
    GRIPPER = 1 << 7
    STALE = 1 << 8
    POSITION = 1 << 9
    VELOCITY = 1 << 10
    ACCELERATION = 1 << 11
    JERK = 1 << 12
    PERIOD = 1 << 13
    LATCHED = 1 << 14

    @property
    def hard(self) -> bool:
        """Whether one of them latches at once."""
        return bool(self & HARD)

    @property
    def meaning(self) -> str:
        """In words; of several, one after the other."""
        return "; ".join(MEANINGS[fault] for fault in self)

    @property
    def words(self) -> str:
        """Its name as text: `not finite`."""
        return ", ".join(str(fault.name).lower().replace("_", " ") for fault in self)


HARD = Fault.NOT_FINITE | Fault.LENGTH | Fault.DIGEST | Fault.LATCHED

MEANINGS = {
    Fault.NOT_FINITE: "a value is NaN or infinite",
    Fault.LENGTH: "wrong number of channels or rows",
    Fault.DIGEST: "the digest named is not the guard's",
    Fault.MISMATCH: "the action is not what the spec makes of u",
    Fault.ENVELOPE: "the action leaves what the spec and the controller allow, by more than the margin",
    Fault.JUMP: "the action is too far from the one before",
    Fault.WALK: "the deltas since the start add up to more than allowed",
    Fault.GRIPPER: "the gripper command is none that the spec can give",
    Fault.STALE: "too old, from the future, or without a time",
    Fault.POSITION: "the command leaves its position limits",
    Fault.VELOCITY: "the command is faster than allowed",
    Fault.ACCELERATION: "the command accelerates more than allowed",
    Fault.JERK: "the command's acceleration changes faster than allowed",
    Fault.PERIOD: "dt is not positive, or longer than allowed",
    Fault.LATCHED: "an earlier fault has latched; reset by naming the digest",
}


class Verdict(IntEnum):
    """What to do with an action: execute it, execute a hold in its place, or stop the robot."""

    PASS = 0
    HOLD = 1
    STOP = 2


class Mode(IntEnum):
    """What faults do: `OBSERVE` counts them, `WARN` says so once per run of faults, `ENFORCE` refuses and latches."""

    OBSERVE = 0
    WARN = 1
    ENFORCE = 2
