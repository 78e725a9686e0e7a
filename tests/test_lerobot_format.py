"""LeRobot policies: processor pipelines, what they publish, and what is said about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from execspec_fast.formats import lerobot
from execspec_fast.formats.tree import Tree
from hostile import says_it_in_words, values
from hypothesis import given, settings
from hypothesis import strategies as st
from lerobot_files import ACTION, MEAN_STD, STATE, codes, folder_of, found, pipeline, policy, tensors
from safetensors.numpy import save_file


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("MEAN_STD", "lerobot-mean_std"),
        ("MIN_MAX", "lerobot-min_max"),
        ("QUANTILES", "lerobot-quantiles"),
        ("QUANTILE10", "lerobot-quantile10"),
    ],
)
def test_a_healthy_policy(tmp_path: Path, mode: str, profile: str) -> None:
    quantiles = {"q01": [-0.9, -1.5, 0], "q10": [-0.5, -1, 0], "q90": [0.5, 1, 1], "q99": [0.9, 1.5, 1]}
    policy(tmp_path, {**ACTION, **quantiles}, norm_map={**MEAN_STD, "ACTION": mode}, eps=1e-5)
    checkpoint = found(tmp_path)
    (key,) = checkpoint.keys
    assert not checkpoint.findings
    assert (key.key, key.profile.value, key.profile.status, key.alternatives) == ("action", profile, "declared", ())
    assert key.profile.why == "policy_postprocessor.json#/steps/0/config/norm_map/ACTION"
    assert (key.eps, key.stats.count, key.stats.float32, key.stats.estimator) == (1e-5, 500, True, None)
    assert key.stats["mean"].tolist() == [float(np.float32(v)) for v in ACTION["mean"]]
    assert set(key.stats) == {*ACTION, *quantiles} - {"count"}
    source = key.sources["stats"]
    assert str(source) == "policy_postprocessor_step_0_unnormalizer_processor.safetensors#action"
    assert len(checkpoint.files) == 4
    assert source.sha256 in {record.sha256 for record in checkpoint.files}


def test_the_state_file_is_the_one_the_step_names(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": ACTION}, index=7)
    tensors(tmp_path, "policy_postprocessor_step_0_unnormalizer_processor.safetensors", {"action": STATE})
    assert found(tmp_path).keys[0].stats.dim == 3


def test_stored_float64_is_what_lerobot_loads(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": ACTION})
    tensors(tmp_path, "policy_postprocessor_step_0_unnormalizer_processor.safetensors", {"action": ACTION}, np.float64)
    stats = found(tmp_path).keys[0].stats
    assert stats.float32
    assert stats["std"].tolist() == [float(np.float32(v)) for v in ACTION["std"]] != ACTION["std"]


def test_statistics_inside_the_pipeline_win_and_stay_float64(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": STATE}, stats={"action": ACTION})
    (key,) = found(tmp_path).keys
    assert (key.stats.float32, key.stats["std"].tolist()) == (False, ACTION["std"])
    assert str(key.sources["stats"]) == "policy_postprocessor.json#/steps/0/config/stats/action"


def test_a_step_may_be_named_by_its_class(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": ACTION})
    file = tmp_path / "policy_postprocessor.json"
    name = '"class": "lerobot.processor.normalize_processor.UnnormalizerProcessorStep"'
    file.write_text(file.read_text().replace('"registry_name": "unnormalizer_processor"', name))
    assert [key.profile.value for key in found(tmp_path).keys] == ["lerobot-mean_std"]


def test_a_block_under_another_name_leaves_the_action_as_it_is(tmp_path: Path) -> None:
    blocks = {"so100.buffer.action": ACTION, "so101.buffer.action": ACTION, "observation.state": STATE}
    pipeline(tmp_path, "post", blocks)
    checkpoint = found(tmp_path)
    assert not checkpoint.keys
    assert {key.key: key.profile.value for key in checkpoint.shadowed} == {
        "so100.buffer.action": "lerobot-mean_std",
        "so101.buffer.action": "lerobot-mean_std",
    }
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity) == ("K3", "error")
    assert finding.evidence["found"] == ["so100.buffer.action", "so101.buffer.action"]


def test_no_state_file_leaves_the_action_as_it_is(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", None)
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("K3", "error")])


@pytest.mark.parametrize(
    ("norm_map", "status", "severity"),
    [({"STATE": "MEAN_STD"}, "inferred", "error"), ({"ACTION": "IDENTITY"}, "declared", "note")],
)
def test_identity_by_omission_is_an_error_and_by_choice_a_note(
    tmp_path: Path, norm_map: dict[str, str], status: str, severity: str
) -> None:
    pipeline(tmp_path, "post", {"action": ACTION}, norm_map=norm_map)
    checkpoint = found(tmp_path)
    (key,) = checkpoint.keys
    assert (key.profile.value, key.profile.status) == ("lerobot-identity", status)
    assert codes(checkpoint) == [("K3", severity)]


def test_a_post_processor_without_the_step(tmp_path: Path) -> None:
    steps = [{"registry_name": "xvla_rotation_6d_to_axis_angle", "config": {}}]
    (tmp_path / "policy_postprocessor.json").write_text(json.dumps({"name": "p", "steps": steps}))
    assert codes(found(tmp_path)) == [("K3", "warning")]
    steps = [{"registry_name": "groot_action_unpack_unnormalize_v1", "config": {"env_action_dim": 7}}]
    (tmp_path / "policy_postprocessor.json").write_text(json.dumps({"name": "p", "steps": steps}))
    assert codes(found(tmp_path)) == [("T1", "warning")]


def test_an_unknown_mode_is_never_guessed(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": ACTION}, norm_map={"ACTION": "MEANSTD"})
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S7", "error")])


def test_a_dangling_state_file(tmp_path: Path) -> None:
    policy(tmp_path)
    (tmp_path / "policy_postprocessor_step_0_unnormalizer_processor.safetensors").unlink()
    checkpoint = found(tmp_path)
    assert not checkpoint.keys
    (finding,) = checkpoint.findings
    assert (finding.code, finding.severity, finding.pointer) == ("S1", "error", "policy_postprocessor.json#/steps/0")
    assert "policy_postprocessor_step_0_unnormalizer_processor.safetensors" in finding.message


def test_a_state_file_outside_the_folder_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    policy(tmp_path / "model")
    tensors(tmp_path, "other.safetensors", {"action": ACTION})
    file = tmp_path / "model" / "policy_postprocessor.json"
    name = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    file.write_text(file.read_text().replace(name, "../other.safetensors"))
    checkpoint = found(tmp_path / "model")
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "error")])


def test_a_state_file_that_was_not_fetched(tmp_path: Path) -> None:
    policy(tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 884\n"
    (tmp_path / "policy_postprocessor_step_0_unnormalizer_processor.safetensors").write_text(pointer)
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "error")])
    assert len(checkpoint.files) == 3  # the pointer is named as one elsewhere


def test_a_pre_processor_alone_un_normalizes_nothing(tmp_path: Path) -> None:
    pipeline(tmp_path, "pre", {"action": ACTION, "observation.state": STATE})
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "error")])


@pytest.mark.parametrize("text", ["{", "[]", '{"steps": {}}', '{"steps": [3]}', '{"steps": [{"registry_name": 3}]}'])
def test_a_broken_pipeline(tmp_path: Path, text: str) -> None:
    policy(tmp_path)
    (tmp_path / "policy_postprocessor.json").write_text(text)
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S1", "error")])
    record = next(record for record in checkpoint.files if record.path == "policy_postprocessor.json")
    assert record.status == "unreadable"


def test_a_state_file_without_its_pipeline(tmp_path: Path) -> None:
    tensors(tmp_path, "policy_postprocessor_step_0_unnormalizer_processor.safetensors", {"action": ACTION})
    checkpoint = found(tmp_path)
    (key,) = checkpoint.keys
    assert (key.profile.value, key.profile.status, key.alternatives) == (
        "lerobot-mean_std",
        "inferred",
        ("lerobot-min_max",),
    )
    assert codes(checkpoint) == [("S1", "warning")]
    (tmp_path / "config.json").write_text(json.dumps({"normalization_mapping": {"ACTION": "MIN_MAX"}}))
    assert found(tmp_path).keys[0].profile.value == "lerobot-min_max"


def test_copies_that_disagree(tmp_path: Path) -> None:
    policy(tmp_path)
    pipeline(tmp_path, "pre", {"action": {**ACTION, "mean": [0.1, -0.2, 1.5]}, "observation.state": STATE})
    (finding,) = found(tmp_path).findings
    assert (finding.code, finding.severity) == ("P2", "error")
    assert dict(finding.evidence) == {"figure": "mean", "channel": 2, "difference": 1.0, "values": [1.5, 0.5]}


def test_modes_that_disagree(tmp_path: Path) -> None:
    policy(tmp_path)
    pipeline(tmp_path, "post", {"action": ACTION}, norm_map={"ACTION": "MIN_MAX"})
    assert codes(found(tmp_path)) == [("P2", "error")]


def test_a_width_that_does_not_fit(tmp_path: Path) -> None:
    policy(tmp_path, {name: values[:2] for name, values in ACTION.items()})
    (finding,) = found(tmp_path).findings
    assert (finding.code, finding.severity, dict(finding.evidence)) == ("S6", "error", {"statistics": 2, "action": 3})


def test_figures_of_different_shapes(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": {"mean": [0.0] * 3, "std": [1.0]}})
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("S6", "error")])


def test_figures_under_names_that_are_not_read(tmp_path: Path) -> None:
    figures = {"quantile_01": [-1.0] * 3, "quantile_99": [1.0] * 3}
    pipeline(tmp_path, "post", {"action": figures}, norm_map={"ACTION": "QUANTILES"})
    checkpoint = found(tmp_path)
    assert (checkpoint.keys, codes(checkpoint)) == ((), [("K4", "warning"), ("S1", "error")])
    (near,) = [finding for finding in checkpoint.findings if finding.code == "K4"]
    assert dict(near.evidence) == {"names": {"quantile_01": "q01", "quantile_99": "q99"}}


def test_an_observation_that_reaches_the_policy_raw(tmp_path: Path) -> None:
    policy(tmp_path)
    features = {"observation.environment_state": {"type": "ENV", "shape": [8]}}
    pipeline(tmp_path, "pre", {"action": ACTION}, {**MEAN_STD, "ENV": "MEAN_STD"}, features=features)
    assert codes(found(tmp_path)) == [("K3", "warning")]
    blocks = {"action": ACTION, "observation.environment.state": STATE}
    pipeline(tmp_path, "pre", blocks, {**MEAN_STD, "ENV": "MEAN_STD"}, features=features)
    assert codes(found(tmp_path)) == [("K4", "warning")]


def test_relative_actions_and_the_horizon_are_declared(tmp_path: Path) -> None:
    policy(tmp_path)
    file = tmp_path / "policy_preprocessor.json"
    document = json.loads(file.read_text())
    document["steps"].insert(0, {"registry_name": "relative_actions_processor", "config": {"enabled": True}})
    file.write_text(json.dumps(document))
    settings = {"chunk_size": 50, "n_action_steps": 10, "output_features": {"action": {"type": "ACTION", "shape": [3]}}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    conventions = found(tmp_path).keys[0].conventions
    assert conventions.representation.to_dict() == {
        "value": "relative",
        "status": "declared",
        "why": "policy_preprocessor.json#/steps/0",
    }
    assert (conventions.horizon.value, conventions.horizon.why) == (50, "config.json#/chunk_size")


def test_settings_without_statistics(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"normalization_mapping": MEAN_STD, "chunk_size": 50}))
    assert codes(found(tmp_path)) == [("S1", "warning")]
    save_file({"model.weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    assert codes(found(tmp_path)) == [("S1", "error")]


def test_another_librarys_files_are_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"norm_stats": {}, "architectures": ["OpenVLA"]}))
    save_file({"model.weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors")
    assert lerobot.read(folder_of(tmp_path)) is None


WORDS = ["ACTION", "MEAN_STD", "IDENTITY", "action", "type", "shape", "mean", "std", "enabled"]
FIELDS = ["eps", "features", "norm_map", "stats", "state_file", "registry_name", "class", "config"]


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(FIELDS), values(WORDS), max_size=4), values(WORDS))
def test_no_pipeline_crashes_it(
    tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any], document: Any
) -> None:
    root = tmp_path_factory.mktemp("hostile")
    policy(root)
    for name in ("policy_postprocessor.json", "policy_preprocessor.json"):
        pipe = json.loads((root / name).read_text())
        step = next(step for step in pipe["steps"] if "normalizer" in step["registry_name"])
        step.update({field: value for field, value in change.items() if field in FIELDS[4:]})
        if isinstance(step["config"], dict):
            step["config"].update({field: value for field, value in change.items() if field in FIELDS[:4]})
        (root / name).write_text(json.dumps(pipe))
    (root / "config.json").write_text(json.dumps({"normalization_mapping": document, "output_features": document}))
    assert says_it_in_words(lerobot.read(folder_of(root)))


def test_real_policies(shared_registry: Path) -> None:
    checkpoints = {f.path: c for f in Tree(shared_registry / "lerobot").folders if (c := lerobot.read(f))}
    assert {path: (len(c.keys), codes(c)) for path, c in checkpoints.items()} == {
        "groot-lerobot-policy": (0, [("S1", "warning")]),
        "libero-act": (0, [("S1", "error"), ("S1", "error")]),
        "record-test-so101/derived": (1, [("S1", "warning")]),
    }
