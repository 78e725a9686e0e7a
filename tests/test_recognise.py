"""Every file has one record with a status a person understands, and nothing is loaded to find it."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from execspec_fast.formats import read_folder
from execspec_fast.formats.published import FileRecord
from execspec_fast.formats.recognise import LOOKED_INTO, NOT_METADATA, PICKLE, recognise
from execspec_fast.formats.tree import Tree

FIGURES = {"mean": [0.0], "std": [1.0]}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


class Bomb:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was loaded",)


def look(root: Path, name: str, content: bytes, *beside: str) -> FileRecord:
    for path, data in [*((root / other, b"{}") for other in beside), (root / name, content)]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder,) = [folder for folder in Tree(root).folders if any(file.path == name for file in folder.files.values())]
    (file,) = [file for file in folder.files.values() if file.path == name]
    return recognise(file, folder)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("dataset_stats.pkl", b"(dp0\n.", PICKLE),  # protocol 0 shows in the name only
        ("policy.ckpt", b"anything", PICKLE),
        ("stats.json", pickle.dumps(Bomb()), PICKLE),
        ("weights", pickle.dumps(Bomb(), 2), PICKLE),
        ("pytorch_model.bin", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl", PICKLE),
        ("tokens.bin", b"PK\x03\x04" + bytes(26) + b"tokens.txt", NOT_METADATA),
        ("model.pt", LFS, "lfs pointer"),
        ("config.json", LFS, "lfs pointer"),
        ("config.json", b"", "empty"),
        ("config.json", b'{"a": 1, "a": 2}', "unreadable"),
        ("episodes_stats.jsonl", b'{"a": 1}\n{', "unreadable"),
        ("model.gguf", b"GGUF", "weights"),
        ("model.safetensors", b"x", "weights"),
        ("config.json", b'{"model_type": "llama"}', NOT_METADATA),
        ("README.md", b"# hello", NOT_METADATA),
        ("LICENSE", b"text", NOT_METADATA),
        (".git/objects/ab/cdef", pickle.dumps(1), NOT_METADATA),
        ("data.json", b"[1, 2]", NOT_METADATA),
        ("panda.yaml", b"robot_description_path: panda.urdf", "controller"),
        ("notes.yaml", b"a: 1", NOT_METADATA),
        ("osc.json", b'{"type": "OSC_POSE", "input_max": 1}', "controller"),
    ],
)
def test_status(tmp_path: Path, name: str, content: bytes, status: str) -> None:
    assert look(tmp_path, name, content).status == status


def test_torch_archive_is_told_from_any_other(tmp_path: Path) -> None:
    for member, status in (("archive/data.pkl", PICKLE), ("a.txt", NOT_METADATA)):
        with zipfile.ZipFile(tmp_path / "blob", "w") as archive:
            archive.writestr(member, b"x")
        assert look(tmp_path, "blob", (tmp_path / "blob").read_bytes()).status == status


@pytest.mark.parametrize(
    "document",
    [
        {"checked": 6, "nested": {"actions": FIGURES}},
        {"embodiment_tags": {"gr1": {"statistics": {"action": {"arm": FIGURES}}}}},
        {"action": {"default": {"global_min": [0.0], "global_max": [1.0]}}},
        {"x2_normal": {"left_arm": {"min": [0.0], "delta": [1.0]}}},
        FIGURES,
    ],
)
def test_figures_in_an_unknown_layout_are_not_passed_over(tmp_path: Path, document: Any) -> None:
    assert "figures" in look(tmp_path, "report.json", json.dumps(document).encode()).detail


@pytest.mark.parametrize(
    "document",
    [
        {"image": FIGURES},  # pixels are normalized too
        {"image_mean": [0.5], "image_std": [0.5]},
        {"observation.state": FIGURES},
        {"qpos_mean": [0.5], "qpos_std": [0.5]},
        {"latency": {"mean": 3.5, "std": 0.1}},
    ],
)
def test_figures_of_something_else_are_none(tmp_path: Path, document: Any) -> None:
    first = next(iter(document))
    assert look(tmp_path, "report.json", json.dumps(document).encode()).detail.startswith(
        f"no statistics in it, but {first!r}"
    )


def test_unreadable_file_says_where(tmp_path: Path) -> None:
    record = look(tmp_path, "stats.json", b'{"a": {"q01": [NaN]}}')
    assert "stats.json:1:16 at /a/q01/0: NaN" in record.detail


def test_large_json_is_not_looked_into(tmp_path: Path) -> None:
    record = look(tmp_path, "big.json", b"[" + b" " * LOOKED_INTO + b"]")
    assert "not looked into" in record.detail


def test_real_registry_has_one_record_per_file(shared_registry: Path) -> None:
    records = [r for folder in Tree(shared_registry).folders for one in read_folder(folder) for r in one.files]
    names = sorted(str(p.relative_to(shared_registry)) for p in shared_registry.rglob("*") if p.is_file())
    assert sorted(record.path for record in records) == names
    assert Counter(record.status for record in records) == {
        "read": 59,
        NOT_METADATA: 21,
        "controller": 21,
        PICKLE: 2,
    }
    read = Counter(record.ecosystem for record in records if record.status == "read")
    assert read == {
        "act": 1,
        "gr00t": 20,
        "lerobot": 10,
        "nora": 1,
        "octo": 2,
        "openpi": 14,
        "openvla": 2,
        "openvla-oft": 2,
        "rdt": 1,
        "robovlms": 2,
        "starvla": 3,
        "vla0": 1,
    }
    assert all(record.sha256 for record in records if record.status == "read")
