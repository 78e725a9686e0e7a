"""GR00T: groups put together as its processors do, figures per time step, and datasets with named slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats import gr00t, gr00t_dataset
from execspec_fast.formats.published import Checkpoint
from execspec_fast.formats.tree import Tree
from execspec_fast.registry import load_spec, open_registry


def figures(*values: Any) -> dict[str, Any]:
    """Figures around values, a list of D numbers or T rows of them."""
    middle = np.array(values, float)
    spread = {"min": -4, "q01": -2, "mean": 0, "q99": 2, "max": 4}
    return {name: (middle + by).tolist() for name, by in spread.items()} | {"std": np.ones_like(middle).tolist()}


ARM, GRIPPER = figures(1.0, 2.0), figures(0.5)
STEPS = figures([0.0, 0.0], [10.0, 20.0], [30.0, 40.0])


def processor(**changes: Any) -> dict[str, Any]:
    action = {"modality_keys": ["gripper", "arm"], "delta_indices": [0, 1, 2], "mean_std_embedding_keys": None}
    action |= {name: changes.pop(name) for name in ("mean_std_embedding_keys", "action_configs") if name in changes}
    settings = {"use_percentiles": False, "use_relative_action": True, **changes}
    return {
        "processor_class": "Gr00tN1d6Processor",
        "processor_kwargs": {"modality_configs": {"robot": {"action": action}}, **settings},
    }


def configs(gripper: str, arm: str) -> list[dict[str, Any]]:
    return [{"rep": rep, "type": "NON_EEF", "format": "DEFAULT", "state_key": None} for rep in (gripper, arm)]


def write(folder: Path, **documents: Any) -> Path:
    for name, document in documents.items():
        file = folder / f"{name.replace('__', '/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
    return folder


def statistics(**relative: Any) -> dict[str, Any]:
    return {"robot": {"state": {}, "action": {"arm": ARM, "gripper": GRIPPER}, "relative_action": relative}}


def read(folder: Path) -> Checkpoint:
    (only,) = Tree(folder).folders
    found = gr00t.read(only)
    assert found
    return found


def test_the_processor_gives_order_mode_and_meaning(tmp_path: Path) -> None:
    folder = write(tmp_path, statistics=statistics(), processor_config=processor(), embodiment_id={"robot": 3})
    spec = load_spec(folder, key="robot")
    assert spec.channels == ("gripper", "arm.0", "arm.1")
    assert (spec.profile, spec.profile_fact.status, spec.steps) == ("gr00t-n1.6-min_max", "declared", None)
    assert spec.gripper == (0,)
    assert spec.conventions.horizon.value == 3
    assert spec.unnormalize(np.array([9.0, 1.0, -1.0])).tolist() == [4.5, 5.0, -2.0]  # u is clipped
    assert {record.status for record in read(folder).files} == {"read"}
    assert read(folder).findings == ()


def test_percentiles_where_they_apply_and_moments_where_they_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path, statistics=statistics(), processor_config=processor(use_percentiles=True))
    assert load_spec(folder).profile == "gr00t-n1.6-percentiles"
    assert load_spec(folder).unnormalize(np.ones(3)).tolist() == [2.5, 3.0, 4.0]
    mixed = processor(use_percentiles=True, mean_std_embedding_keys=["arm"])
    spec = load_spec(write(tmp_path, processor_config=mixed))
    assert (spec.profile, spec.profile_fact.status) == ("gr00t-n1.6", "declared")
    assert "gripper percentiles, arm mean_std" in spec.profile_fact.why
    assert spec.unnormalize(np.full(3, 3.0)).tolist() == [2.5, 4.0, 5.0]  # moments are not clipped
    uniform = load_spec(folder, profile="gr00t-n1.6-min_max")
    assert uniform.unnormalize(np.ones(3)).tolist() == [4.5, 5.0, 6.0]


def test_relative_groups_have_bounds_per_time_step_whatever_the_percentiles(tmp_path: Path) -> None:
    settings = processor(use_percentiles=True, action_configs=configs("ABSOLUTE", "RELATIVE"))
    folder = write(tmp_path, statistics=statistics(arm=STEPS), processor_config=settings)
    spec = load_spec(folder)
    assert (spec.dim, spec.steps, spec.stats.shape) == (9, 3, (3, 3))
    assert spec.channels[:4] == ("gripper@0", "arm.0@0", "arm.1@0", "gripper@1")
    assert spec.gripper == (0, 3, 6)
    assert spec.conventions.representation.value == "as in the dataset: gripper; relative: arm"
    chunk = spec.unnormalize(np.ones((2, 3, 3)))
    assert chunk.shape == (2, 3, 3)
    assert chunk[1].tolist() == [[2.5, 4.0, 4.0], [2.5, 14.0, 24.0], [2.5, 34.0, 44.0]]


def test_relative_in_name_only_stays_as_it_is(tmp_path: Path) -> None:
    settings = processor(use_relative_action=False, action_configs=configs("ABSOLUTE", "RELATIVE"))
    spec = load_spec(write(tmp_path, statistics=statistics(arm=STEPS), processor_config=settings))
    assert spec.steps is None
    assert spec.conventions.representation.status == "unknown"


@pytest.mark.parametrize(("rep", "value"), [("ABSOLUTE", None), ("DELTA", "delta")])
def test_absolute_says_only_that_nothing_is_converted(tmp_path: Path, rep: str, value: str | None) -> None:
    """LIBERO's deltas are declared `ABSOLUTE`."""
    folder = write(tmp_path, statistics=statistics(), processor_config=processor(action_configs=configs(rep, rep)))
    fact = load_spec(folder).conventions.representation
    assert fact.value == value
    assert ("not converted" in fact.why) == (value is None)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ({"processor_config": processor(action_configs=configs("ABSOLUTE", "RELATIVE"))}, "'arm' of 'relative_action'"),
        ({"processor_config": processor(action_configs=configs("ABSOLUTE", "RELATIVE")[:1])}, "1 action_configs for 2"),
        ({"statistics": {"robot": {"action": {"arm": ARM, "gripper": 3}}}}, "figures of group 'gripper'"),
        ({"statistics": {"robot": {"action": {"arm": {"q01": [1]}, "gripper": GRIPPER | {"q01": None}}}}}, "no figure"),
    ],
)
def test_what_does_not_fit_is_an_error_of_its_tag(tmp_path: Path, documents: Any, message: str) -> None:
    found = read(write(tmp_path, **{"statistics": statistics(), **documents}))
    assert not found.keys
    (finding,) = found.findings
    assert (finding.code, finding.severity, finding.target) == ("S1", "error", ".#robot")
    assert message in finding.message


def test_groups_of_different_lengths_are_refused(tmp_path: Path) -> None:
    settings = processor(action_configs=configs("RELATIVE", "RELATIVE"))
    steps = {"arm": STEPS, "gripper": figures([0.0], [1.0])}
    found = read(write(tmp_path, statistics=statistics(**steps), processor_config=settings))
    assert "groups of [2, 3] time steps" in found.findings[0].message


def test_a_tag_without_a_projector_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path, statistics=statistics(), processor_config=processor(), embodiment_id={"gr1": 24})
    (finding,) = read(folder).findings
    assert (finding.code, finding.evidence) == ("K1", {"projectors": ["gr1"]})


def test_statistics_without_groups_are_somebody_else_s(tmp_path: Path) -> None:
    (only,) = Tree(write(tmp_path, statistics={"bridge": {"action": ARM}})).folders
    assert gr00t.read(only) is None


def test_without_a_processor_the_mode_is_inferred(tmp_path: Path) -> None:
    found = read(write(tmp_path, statistics=statistics()))
    (key,) = found.keys
    assert (key.profile.value, key.profile.status) == ("gr00t-n1.6-min_max", "inferred")
    assert key.alternatives == ("gr00t-n1.6-percentiles", "gr00t-n1.6-mean_std")
    assert [finding.code for finding in found.findings] == ["T1"]


def test_n1_metadata(tmp_path: Path) -> None:
    modalities = {
        "arm": {"absolute": False, "rotation_type": None, "shape": [2], "continuous": True},
        "gripper": {"absolute": True, "rotation_type": None, "shape": [1], "continuous": True},
    }
    entry = {
        "statistics": {"state": {}, "action": {"arm": ARM, "gripper": GRIPPER}},
        "modalities": {"action": modalities},
    }
    folder = write(tmp_path, experiment_cfg__metadata={"gr1": entry, "other": entry})
    spec = load_spec(folder, key="gr1")
    assert spec.channels == ("arm.0", "arm.1", "gripper")
    assert (spec.profile, spec.profile_fact.status) == ("gr00t-n1-min_max", "inferred")
    assert spec.conventions.representation.value == "relative: arm; as in the dataset: gripper"
    assert spec.unnormalize(np.array([2.0, 0.0, -1.0])).tolist() == [9.0, 2.0, -3.5]  # not clipped
    (finding,) = read(folder).findings
    assert finding.code == "T1"
    assert finding.evidence["alternatives"] == ["gr00t-n1-q99", "gr00t-n1-mean_std"]
    for profile in finding.evidence["alternatives"]:
        assert load_spec(folder, key="gr1", profile=profile).dim == 3


def test_what_the_training_run_saved_is_a_copy(tmp_path: Path) -> None:
    documents = {"statistics": statistics(), "processor_config": processor()}
    folder = write(tmp_path, **documents, experiment_cfg__dataset_statistics=statistics())
    found = read(folder)
    assert ([key.key for key in found.keys], [key.key for key in found.shadowed], found.findings) == (
        ["robot"],
        ["robot"],
        (),
    )
    other = {"robot": {"action": {"arm": figures(1.0, 7.0), "gripper": GRIPPER}}}
    (finding,) = read(write(folder, experiment_cfg__dataset_statistics=other)).findings
    assert (finding.code, finding.severity, finding.evidence["difference"]) == ("P2", "warning", 5.0)


def test_a_copy_alone_is_not_octo_s(tmp_path: Path) -> None:
    write(tmp_path, dataset_statistics=statistics())
    (checkpoint,) = open_registry(tmp_path).checkpoints
    assert (checkpoint.ecosystem, [key.key for key in checkpoint.keys]) == ("gr00t", ["robot"])


SLOTS = {"arm": {"start": 0, "end": 2}, "gripper": {"start": 2, "end": 3}}


def dataset(folder: Path) -> Checkpoint:
    (only,) = Tree(folder).folders
    found = gr00t_dataset.read(only)
    assert found
    return found


def test_a_dataset_s_slices_name_the_channels(tmp_path: Path) -> None:
    stats = {"action": figures(0.0, 1.0, 2.0), "action.joints": figures(5.0, 6.0, 7.0)}
    modality = {"action": {**SLOTS, "joint": {"start": 1, "end": 3, "original_key": "action.joints"}}, "state": {}}
    info = {"fps": 20, "features": {}, "codebase_version": "v2.1"}
    folder = write(tmp_path, meta__stats=stats, meta__modality=modality, meta__info=info)
    specs = {spec.key: spec for spec in open_registry(folder).specs}
    assert specs["action"].channels == ("arm.0", "arm.1", "gripper")
    assert specs["action"].gripper == (2,)
    assert specs["action"].conventions.rate.value == 20
    assert specs["joint"].stats["mean"].tolist() == [6.0, 7.0]
    (key, _) = dataset(folder).keys
    for profile in key.alternatives:
        assert load_spec(folder, key="action", profile=profile).dim == 3
    assert {record.status for record in open_registry(folder).files} == {"read"}


def test_relative_stats_are_keys_of_their_own(tmp_path: Path) -> None:
    folder = write(tmp_path, meta__relative_stats={"arm": STEPS}, meta__modality={"action": SLOTS})
    spec = load_spec(folder, key="relative_action.arm")
    assert (spec.steps, spec.dim, spec.conventions.representation.value) == (3, 6, "relative")


def test_fingerprints_are_no_group(tmp_path: Path) -> None:
    documents = {"__fingerprints__": {"arm": "sha256:d178"}, "arm": STEPS}
    found = dataset(write(tmp_path, meta__relative_stats=documents))
    assert [key.key for key in found.keys] == ["relative_action.arm"]
    assert {finding.severity for finding in found.findings} <= {"note"}


def test_a_slice_beyond_its_feature_is_an_error(tmp_path: Path) -> None:
    modality = {"action": {"arm": {"start": 0, "end": 9, "original_key": "action.arm"}}}
    found = dataset(write(tmp_path, meta__stats={"action.arm": ARM}, meta__modality=modality))
    assert "ends at channel 9 of 2" in found.findings[0].message


def test_slices_that_do_not_cover_the_action_name_nothing(tmp_path: Path) -> None:
    for end in (2, 10**15):
        modality = {"action": {"arm": {"start": 0, "end": end}}}
        found = dataset(write(tmp_path, meta__stats={"action": figures(0.0, 1.0, 2.0)}, meta__modality=modality))
        assert found.keys[0].conventions.names.value is None


def test_modalities_alone_are_read_and_publish_nothing(tmp_path: Path) -> None:
    for folder, ecosystem in ((tmp_path / "starvla" / "x", "starvla"), (tmp_path / "y", "gr00t")):
        found = dataset(write(folder, modality={"action": SLOTS}))
        assert (found.ecosystem, found.keys, [r.status for r in found.files]) == (ecosystem, (), ["read"])


def test_a_plain_lerobot_dataset_is_not_groot_s(tmp_path: Path) -> None:
    (only,) = Tree(write(tmp_path, meta__stats={"action": ARM}, meta__info={"features": {}})).folders
    assert gr00t_dataset.read(only) is None
    assert gr00t.read(only) is None


def test_real_files(shared_registry: Path) -> None:
    specs = open_registry(shared_registry / "gr00t").specs
    counts: dict[str, int] = {}
    for spec in specs:
        counts[spec.path] = counts.get(spec.path, 0) + 1
    assert counts == {
        "cube_to_bowl_5": 2,
        "gr1.PickNPlace": 5,
        "internvla-m1-sim_pick_place": 16,
        "libero_demo": 1,
        "processor-config-fixture": 1,
        "robot_sim.PickNPlace": 1,
    }
    fixture = load_spec(shared_registry / "gr00t" / "processor-config-fixture", key="libero_panda")
    assert fixture.channels == ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
    assert fixture.unnormalize(np.full(7, 2.0))[0] == 0.9375
