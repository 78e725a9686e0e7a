"""Whatever JSON a file holds, a reader reports it in words and never raises."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from execspec_fast.formats import gr00t, gr00t_dataset, octo, openvla, small_stacks
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Folder, Tree
from hostile import says_it_in_words, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GROOT = (
    "action", "relative_action", "statistics", "modalities", "absolute", "rotation_type", "processor_kwargs",
    "modality_configs", "modality_keys", "action_configs", "delta_indices", "rep", "RELATIVE", "type", "EEF", "format",
    "XYZ_ROT6D", "mean_std_embedding_keys", "use_percentiles", "use_relative_action", "min", "max", "mean", "std", "a",
)  # fmt: skip
SLICES = ("action", "start", "end", "original_key", "action.a", "a", "mean", "std", "min", "max", "features", "fps")
SMALL = ("action", "actions", "state", "out_ori_act", "min", "max", "mean", "std", "scale", "offset")
NAMES = ("action_mean", "action_std", "action_min", "action_max", "state_mean", "state_std", "state_min", "state_max")

CASES: dict[str, tuple[Callable[[Folder], Checkpoint | None], tuple[str, ...], tuple[str, ...]]] = {
    "gr00t": (gr00t.read, ("statistics.json", "processor_config.json", "embodiment_id.json", "metadata.json"), GROOT),
    "gr00t_dataset": (gr00t_dataset.read, ("stats.json", "modality.json", "relative_stats.json", "info.json"), SLICES),
    "octo": (
        octo.read,
        ("dataset_statistics.json",),
        ("action", "p01", "p99", "mean", "std", "mask", "num_transitions"),
    ),
    "spatialvla": (openvla.read, ("processor_config.json",), ("statistics", "action", "q01", "q99", "mask", "a")),
    "small_stacks": (small_stacks.read, ("dataset_stats.json",), SMALL + NAMES),
}


def nested(words: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Values below the names that lead to figures, and any others."""
    inner = values(words)
    groot = st.fixed_dictionaries({"a": st.fixed_dictionaries({"action": st.fixed_dictionaries({"a": inner}) | inner})})
    action = st.dictionaries(st.sampled_from(words), inner, max_size=3)
    kwargs = st.fixed_dictionaries(
        {"modality_configs": st.fixed_dictionaries({"a": st.fixed_dictionaries({"action": action})})}
    )
    processor = st.fixed_dictionaries({"processor_class": st.just("Gr00t"), "processor_kwargs": kwargs | inner})
    return inner | groot | processor | st.fixed_dictionaries({"action": inner, "statistics": inner})


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_is_reported_in_words(case: str, data: st.DataObject) -> None:
    read, files, words = CASES[case]
    with TemporaryDirectory() as name:
        root = Path(name)
        for file in files:
            if data.draw(st.booleans()) or file == files[0]:
                (root / file).write_text(json.dumps(data.draw(nested(words))))
        (folder,) = Tree(root).folders
        assert says_it_in_words(read(folder))
