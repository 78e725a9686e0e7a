"""Files of every layout, broken in thousands of ways: each is read right or told in words, and none raises."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.auditing.rules import diagnose
from execspec_fast.registry import open_registry
from hostile import says_it_in_words
from registry import action

STEPS = {name: np.outer([1.0, 2.0, 3.0], [1.0, 2.0]).tolist() for name in ("mean", "std", "max", "q99")}
STEPS |= {name: np.outer([-1.0, -2.0, -3.0], [1.0, 2.0]).tolist() for name in ("min", "q01")}
PROCESSOR = {
    "processor_class": "Gr00tN1d7Processor",
    "processor_kwargs": {
        "use_relative_action": True,
        "modality_configs": {
            "gr1": {"action": {"modality_keys": ["arm"], "action_configs": [{"rep": "RELATIVE", "type": "NON_EEF"}]}}
        },
    },
}
FIGURES = {name: values for name, values in action().items() if name != "mask"}

FILES: dict[str, dict[str, Any]] = {
    "openvla": {"dataset_statistics.json": {"goal": {"action": action(), "num_transitions": 9}}},
    "octo": {
        "dataset_statistics.json": {"goal": {"action": {**action(), "p01": FIGURES["q01"], "p99": FIGURES["q99"]}}},
        "config.json": {"dataset_kwargs": {"action_proprio_normalization_type": "bounds"}},
    },
    "openpi": {"assets/arm/norm_stats.json": {"norm_stats": {"state": FIGURES, "actions": FIGURES}}},
    "gr00t": {
        "statistics.json": {"gr1": {"action": {"arm": FIGURES}, "relative_action": {"arm": STEPS}}},
        "processor_config.json": PROCESSOR,
        "embodiment_id.json": {"gr1": 1},
    },
    "gr00t-n1": {
        "experiment_cfg/metadata.json": {
            "gr1": {"statistics": {"action": {"arm": FIGURES}}, "modalities": {"action": {"arm": {"absolute": True}}}}
        }
    },
    "lerobot": {
        "meta/stats.json": {"action": FIGURES},
        "meta/info.json": {"fps": 30, "features": {"action": {"shape": [7], "names": list("abcdefg")}}},
    },
    "act": {"dataset_stats.json": {f"action_{name}": values for name, values in FIGURES.items()}},
    "rdt": {"dataset_stat.json": {"kuka": {f"state_{name}": values for name, values in FIGURES.items()}}},
}

JUNK = [None, True, -1, 2**70, 10**400, 1e308, 5e-324, "x", "1.0", "", [], {}, [[]], [None], [1, "a"], [[1, 2], [3]]]
JUNK += [[[[1.0]]], [True, False], float("nan"), [float("inf")], -0.0]


def places(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    inner = node.items() if isinstance(node, dict) else enumerate(node[:3]) if isinstance(node, list) else ()
    for name, value in inner:
        yield from places(value, (*way, name))


def mutate(document: Any, chance: random.Random) -> None:
    """Break one place of a document."""
    *way, name = chance.choice([*places(document)] or [(None,)])
    if name is None:
        return
    parent = document
    for step in way:
        parent = parent[step]
    value = parent[name]
    numbers = isinstance(value, list)
    match chance.randrange(9):
        case 0:
            del parent[name]
        case 1 | 2:
            parent[name] = chance.choice(JUNK)
        case 3 if numbers:
            parent[name] = value[:-1] if chance.random() < 0.5 else value + value[:1]
        case 4 if numbers:  # (D,) and (T, D) turned around
            rows = all(isinstance(row, list) for row in value)
            parent[name] = [list(column) for column in zip(*value, strict=False)] if rows else [[x] for x in value]
        case 5 if isinstance(parent, dict):
            other = chance.choice([*parent])
            parent[name], parent[other] = parent[other], value
        case 6:
            parent[name] = str(value)[:9]
        case 7 if isinstance(parent, dict):
            parent[f"{name}{chance.choice(['s', ' ', '#@'])}"] = parent.pop(name)
        case _:
            parent[name] = [value]


def write(root: Path, files: dict[str, Any]) -> None:
    for name, document in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(document))


@pytest.mark.parametrize("layout", FILES)
def test_a_broken_file_is_told_in_words(tmp_path: Path, layout: str) -> None:
    chance = random.Random(layout)
    told = 0
    for _ in range(200):
        files = copy.deepcopy(FILES[layout])
        for _ in range(chance.choice([1, 1, 2, 3])):
            mutate(files[chance.choice([*files])], chance)
        write(tmp_path, files)
        registry = open_registry(tmp_path)
        for checkpoint in registry.folders:
            assert says_it_in_words(checkpoint)
            json.dumps([finding.to_dict() for finding in diagnose(checkpoint)], allow_nan=False)
        for spec in registry.specs:
            with np.errstate(over="ignore"):
                assert spec.unnormalize(np.zeros(spec.stats.shape)).shape == spec.stats.shape
        told += any(finding.severity != "note" for finding in registry.problems)
    assert told > 20  # the breaking reaches what readers read


@pytest.mark.parametrize("value", [["x"] * 7, "0.5", [[0.5] * 7, [0.5] * 6], [], {}, [True] * 7, 0.5, [0.5] * 6])
@pytest.mark.parametrize("layout", FILES)
def test_a_figure_that_is_none_stops_its_key(tmp_path: Path, layout: str, value: Any) -> None:
    files = copy.deepcopy(FILES[layout])
    for name in ("mean", "q01", "min"):
        for document in files.values():
            for *way, last in places(document):
                if str(last).removeprefix("action_").removeprefix("state_") == name:
                    parent = document
                    for step in way:
                        parent = parent[step]
                    parent[last] = value
    write(tmp_path, files)
    registry = open_registry(tmp_path)
    assert not registry.specs
    assert any(finding.severity == "error" for finding in registry.problems)
