"""A certificate holds the sha256 of every file it rests on, not of the figures alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import certificates
import pytest
from certificates import NOW, check
from execspec_fast import load_spec
from execspec_fast.certificates.certificate import certify
from execspec_fast.certificates.wire import VerifyCode
from lerobot_files import ACTION, pipeline
from registry import action

ARM = {name: action()[name] for name in ("mean", "std", "min", "max", "q01", "q99")}
OCTO = {{"q01": "p01", "q99": "p99"}.get(name, name): value for name, value in action().items()}
ORDER = {"robot": {"action": {"modality_keys": ["arm"], "delta_indices": [0]}}}
SLICES = {"action": {"arm": {"start": 0, "end": 6}, "gripper": {"start": 6, "end": 7}}}

LAYOUTS: dict[str, dict[str, Any]] = {
    "octo": {
        "dataset_statistics.json": {"goal": {"action": OCTO}},
        "config.json": {"dataset_kwargs": {"action_proprio_normalization_type": "bounds"}},
    },
    "gr00t": {
        "statistics.json": {"robot": {"state": {}, "action": {"arm": ARM}, "relative_action": {}}},
        "processor_config.json": {
            "processor_class": "Gr00tN1d6Processor",
            "processor_kwargs": {"modality_configs": ORDER, "use_percentiles": True},
        },
    },
    "gr00t dataset": {
        "meta/stats.json": {"action": ARM},
        "meta/modality.json": SLICES,
        "meta/info.json": {"fps": 20, "features": {}},
    },
    "lerobot dataset": {"meta/stats.json": {"action": ARM}, "meta/info.json": {"fps": 20, "features": {}}},
}


KEYS = {"octo": "goal", "gr00t": "robot", "gr00t dataset": "action", "lerobot dataset": "action"}


def assert_each_counts(folder: Path, key: str, *names: str) -> None:
    """A byte more in any of the files is a difference, and says in which."""
    name = f"{folder}#{key}"
    certificate = certify(load_spec(name), load_spec(name), now=NOW)
    assert check(certificate, name, name).ok
    assert {source["file"] for source in certificate.contents["intended"]["sources"].values()} == set(names)
    for file in (folder / name for name in names if name.endswith(".json")):
        data = file.read_bytes()
        file.write_bytes(data + b" ")
        found = check(certificate, name, name)
        file.write_bytes(data)
        assert found.code == VerifyCode.DIFFERS, file
        assert all("/sources/" in each.pointer and each.pointer.endswith("/sha256") for each in found.differences)


@pytest.mark.parametrize(("layout", "key"), KEYS.items())
def test_every_file_that_says_how_the_figures_are_used_counts(tmp_path: Path, layout: str, key: str) -> None:
    for name, document in LAYOUTS[layout].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(document))
    assert_each_counts(tmp_path, key, *LAYOUTS[layout])


def test_the_pipelines_and_the_settings_of_lerobot_count(tmp_path: Path) -> None:
    pipeline(tmp_path, "post", {"action": ACTION})
    pipeline(tmp_path, "pre", {"action": ACTION})
    (tmp_path / "config.json").write_text(json.dumps({"output_features": {}, "chunk_size": 50}))
    state = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
    assert_each_counts(
        tmp_path, "action", "policy_postprocessor.json", "policy_preprocessor.json", "config.json", state
    )


def test_a_file_that_is_gone_is_told_before_what_follows_from_it(tmp_path: Path) -> None:
    for name, document in LAYOUTS["octo"].items():
        (tmp_path / name).write_text(json.dumps(document))
    name = f"{tmp_path}#goal"
    certificate = certify(load_spec(name), load_spec(f"{name}@octo-normal"), now=NOW)
    (tmp_path / "config.json").unlink()
    found = check(certificate, name, f"{name}@octo-normal")
    assert found.code == VerifyCode.DIFFERS
    assert "/sources/profile: certified 'config.json', found None" in str(found.differences[0])
    assert found.differences[0].pointer in found.message


def test_a_checkpoint_that_lacks_a_certified_file_says_which(tmp_path: Path) -> None:
    """Figures in one file per dataset: with one of them gone its key is, and the certificate knows where it was."""
    files = {"goal": "dataset_statistics_goal.json", "wide": "dataset_statistics_wide.json"}
    folder = tmp_path / "robovlms"
    folder.mkdir()
    for n, file in enumerate(files.values(), 1):
        block = {name: value for name, value in action(float(n)).items() if name != "mask"}
        (folder / file).write_text(json.dumps({"action": block}))
    names = [f"{folder}#{key}" for key in files]
    certificate = certify(*map(load_spec, names), now=NOW)
    assert check(certificate, *names).ok
    misspelt = check(certificate, names[0], f"{folder}#wild")
    (folder / files["wide"]).unlink()
    gone = check(certificate, *names)
    shutil.rmtree(folder)
    nothing = check(certificate, *names)
    assert [each.code for each in (misspelt, gone, nothing)] == [VerifyCode.MISSING] * 3
    assert gone.message.endswith(f"; certified, and not there: {files['wide']}")
    assert "certified" not in misspelt.message + nothing.message


def test_figures_in_one_file_rest_on_that_file_alone(tmp_path: Path) -> None:
    place = certificates.checkpoint(tmp_path)
    assert {source.file for source in load_spec(place, "goal").sources.values()} == {"dataset_statistics.json"}
