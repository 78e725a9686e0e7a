"""What a comparison assumes, what forbids it, and how a gripper is inferred."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.conventions import UNKNOWN, Conventions, Fact, compare, declared, infer_gripper, inferred
from execspec_fast.stats import NormStats


def known(**facts: Fact) -> Conventions:
    """Everything declared, but for `facts`."""
    same = {name: declared("same", "a") for name in Conventions.__slots__}
    return Conventions(**{**same, **facts})


def test_what_both_sides_declare_alike_needs_no_word() -> None:
    assert compare(known(), known()) == ((), ())


@pytest.mark.parametrize("name", ["rotation", "frame"])
def test_declared_differences_that_are_no_map_conflict(name: str) -> None:
    assumes, conflicts = compare(known(**{name: declared("p", "a")}), known(**{name: declared("q", "a")}))
    assert assumes == ()
    assert len(conflicts) == 1
    assert conflicts[0].startswith(f"{name} is p as intended (declared), q as executed (declared), and no ")


@pytest.mark.parametrize(
    ("name", "intended", "executed", "sentence"),
    [
        (
            "rotation",
            declared("p", "a"),
            inferred("q", "r"),
            "rotation is p as intended (declared), q as executed (inferred)",
        ),
        ("rate", declared(20, "a"), declared(5, "a"), "rate is 20 as intended (declared), 5 as executed (declared)"),
        ("rotation", declared("p", "a"), UNKNOWN, "rotation p holds for the executed spec too, which does not say"),
        ("rotation", UNKNOWN, declared("p", "a"), "rotation p holds for the intended spec too, which does not say"),
        ("gripper", inferred((6,), "r"), declared((6,), "a"), "gripper (6) is inferred, not declared"),
        ("frame", UNKNOWN, UNKNOWN, "frame: the same on both sides, neither of which says"),
    ],
)
def test_all_else_is_computed_and_said(name: str, intended: Fact, executed: Fact, sentence: str) -> None:
    assumes, conflicts = compare(known(**{name: intended}), known(**{name: executed}))
    assert conflicts == ()
    assert len(assumes) == 1
    assert assumes[0].startswith(sentence)


def test_what_neither_side_knows_is_one_sentence() -> None:
    assumes, _ = compare(Conventions(), Conventions())
    assert len(assumes) == 1
    assert all(name in assumes[0] for name in Conventions.__slots__)


def test_gripper_by_mask_and_by_two_values() -> None:
    figures = {"min": [-1.0, 0.0], "max": [1.0, 1.0]}
    masked = infer_gripper(NormStats(figures, mask=np.array([True, False])))
    assert (masked.value, masked.status) == ((1,), "inferred")
    assert infer_gripper(NormStats({**figures, "std": [0.3, 0.46]})).value == (1,)
    assert infer_gripper(NormStats({**figures, "std": [0.3, 0.44]})) == UNKNOWN
    assert infer_gripper(NormStats({**figures, "std": [0.9, 0.1]})) == UNKNOWN  # only the last channel is looked at
    assert infer_gripper(NormStats(figures, mask=np.array([True, True]))) == UNKNOWN
