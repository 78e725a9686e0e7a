"""What the readers of JSON statistics share: lists of numbers, and copies that are compared."""

from __future__ import annotations

import numpy as np
import pytest
from execspec_fast.errors import FormatError
from execspec_fast.formats.figures import declared_at, describe, disagreement, make_stats, numbers
from execspec_fast.formats.tree import File
from execspec_fast.stats import NormStats


def fail(reason: str, pointer: str) -> FormatError:
    return FormatError(reason, file="f.json", pointer=pointer)


@pytest.mark.parametrize(
    ("value", "shape"), [(3, (1,)), ([1, 2.5], (2,)), ([[1, 2, 3], [4, 5, 6]], (2, 3)), ([], (0,)), ([[]], (1, 0))]
)
def test_numbers(value: object, shape: tuple[int, ...]) -> None:
    array = numbers(fail, "/mean", value)
    assert (array.shape, array.dtype) == (shape, np.float64)
    assert array.tolist() == np.array(value, np.float64).reshape(shape).tolist()


@pytest.mark.parametrize("value", [None, True, "1", [1, None], [True], ["1"], {}, [[1], 2], [[1], [2, 3]], [[[1]]]])
def test_what_is_no_list_of_numbers(value: object) -> None:
    with pytest.raises(FormatError) as raised:
        numbers(fail, "/mean", value)
    assert (raised.value.file, raised.value.pointer) == ("f.json", "/mean")


@pytest.mark.parametrize("figures", [{"mean": [1.0, 2.0], "std": [1.0]}, {"mean": np.empty(0)}, {"mean": [[[1.0]]]}])
def test_shapes_that_make_no_statistics(figures: dict[str, object]) -> None:
    with pytest.raises(FormatError) as raised:
        make_stats("f.json", "/action", {name: np.asarray(value) for name, value in figures.items()})
    assert raised.value.pointer == "/action"


def stats(**figures: object) -> NormStats:
    return NormStats({name: np.asarray(value, np.float64) for name, value in figures.items()})


def test_the_largest_difference_is_the_evidence() -> None:
    a = stats(mean=[0.0, 1.0], q01=[-1.0, -5.0], std=[1.0, 1.0])
    b = stats(mean=[0.5, 1.0], q01=[-1.0, -7.0])  # std is in one copy only
    evidence = disagreement(a, b)
    assert evidence == {"figure": "q01", "channel": 1, "difference": 2.0, "values": [-5.0, -7.0]}
    assert describe(evidence) == "largest difference 2, q01 of channel 1: -5 against -7"


def test_a_small_figure_of_a_large_channel_may_be_off_by_rounding() -> None:
    large = stats(mean=[1e-4, 0.0], std=[100.0, 0.1])
    assert disagreement(large, stats(mean=[2e-4, 0.0], std=[100.0, 0.1])) is None
    assert disagreement(large, stats(mean=[1e-4, 2e-6], std=[100.0, 0.1])) is not None


def test_copies_of_different_shape_or_never_set() -> None:
    evidence = disagreement(stats(mean=[1.0]), stats(mean=[1.0, 2.0]))
    assert evidence == {"shapes": [[1], [2]]}
    assert describe(evidence) == "shape (1,) against (2,)"
    assert disagreement(stats(mean=[np.inf]), stats(mean=[1.0])) is None


def test_a_declared_value_names_its_place() -> None:
    document = {"a/b": {"c": 3, "n": None}}
    fact = declared_at(File("f.json"), document, "a/b", "c")
    assert (fact.value, fact.status, fact.why) == (3, "declared", "f.json#/a~1b/c")
    for names in (("a/b", "n"), ("a/b", "d"), ("a/b", "c", "d"), ("x",)):
        assert declared_at(File("f.json"), document, *names).status == "unknown"
