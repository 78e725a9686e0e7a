"""The tree: one file per name, hostile names included; links only inside a cache; folders as they are deployed."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

import pytest
from execspec_fast.errors import FormatError, TargetNotFoundError, UnsafePathError
from execspec_fast.formats import read_folder
from execspec_fast.formats.tree import READ_LIMIT, Tree

REVISION = "3a1f0c"


def write(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems(root: Path) -> dict[str, str]:
    return {file.path: file.problem for file in Tree(root).files}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A Hugging Face cache of one model: `blobs`, `refs` and a snapshot of links into the blobs."""
    repo = tmp_path / "hub" / "models--lab--arm-policy"
    snapshot = repo / "snapshots" / REVISION
    write(repo / "blobs" / "aaa", '{"a": 1}')
    write(repo / "blobs" / "bbb", '{"b": 2}')
    write(repo / "refs" / "main", REVISION)
    (snapshot / "assets" / "arm").mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/aaa")
    (snapshot / "assets" / "arm" / "norm_stats.json").symlink_to("../../../../blobs/bbb")
    return repo


def test_cache_is_read_from_the_cache_the_repository_and_the_snapshot(cache: Path) -> None:
    for target in (cache.parent, cache, cache / "snapshots" / REVISION):
        (folder,) = [folder for folder in Tree(target).folders if "config.json" in folder.files]
        assert (folder.repo, folder.revision) == ("lab/arm-policy", REVISION)
        assert folder.files["config.json"].json() == {"a": 1}
        assert folder.files["assets/arm/norm_stats.json"].json() == {"b": 2}
        assert folder.files["config.json"].size == len('{"a": 1}')


def test_cache_target_may_be_one_linked_file(cache: Path) -> None:
    (file,) = Tree(cache / "snapshots" / REVISION / "config.json").files
    assert (file.path, file.json()) == ("config.json", {"a": 1})


def test_target_that_a_cache_link_leads_out_of_its_blobs_is_refused(cache: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "config.json", '{"secret": 1}')
    snapshots = cache / "snapshots"
    (snapshots / REVISION / "leaving.json").symlink_to(tmp_path / "outside" / "config.json")
    (snapshots / REVISION / "refs.json").symlink_to("../../refs/main")
    (snapshots / "r9").symlink_to(tmp_path / "outside")
    (cache / "blobs" / "ccc").symlink_to(tmp_path / "outside" / "config.json")
    (snapshots / REVISION / "twice.json").symlink_to("../../blobs/ccc")
    for name in (f"{REVISION}/leaving.json", f"{REVISION}/refs.json", f"{REVISION}/twice.json", "r9", "r9/config.json"):
        with pytest.raises(UnsafePathError, match="leads out of its blobs"):
            Tree(snapshots / name)


def test_target_in_a_cache_whose_blobs_are_a_link_is_refused(cache: Path, tmp_path: Path) -> None:
    (cache / "blobs").rename(tmp_path / "elsewhere")
    (cache / "blobs").symlink_to(tmp_path / "elsewhere")
    for target in (cache / "snapshots" / REVISION / "config.json", cache / "blobs", cache / "blobs" / "aaa"):
        with pytest.raises(UnsafePathError):
            Tree(target)


def test_cache_that_the_user_linked_is_a_target(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(cache.parent)
    (file,) = Tree(tmp_path / "linked" / cache.name / "snapshots" / REVISION / "config.json").files
    assert file.json() == {"a": 1}


def test_cache_blobs_and_refs_are_recorded_and_never_read_twice(cache: Path) -> None:
    files = {file.path: file for file in Tree(cache).files}
    assert sorted(files) == [
        "blobs/aaa",
        "blobs/bbb",
        "refs/main",
        f"snapshots/{REVISION}/assets/arm/norm_stats.json",
        f"snapshots/{REVISION}/config.json",
    ]
    assert {files[path].problem for path in ("blobs/aaa", "blobs/bbb", "refs/main")} == {"not metadata: cache blob"}


def test_cache_of_a_dataset_with_an_absolute_link(cache: Path) -> None:
    repo = cache.rename(cache.with_name("datasets--lab--arm-data"))
    link = repo / "snapshots" / REVISION / "meta" / "stats.json"
    link.parent.mkdir()
    link.symlink_to(repo / "blobs" / "aaa")
    (folder,) = [folder for folder in Tree(repo).folders if "meta/stats.json" in folder.files]
    assert (folder.repo, folder.files["meta/stats.json"].json()) == ("lab/arm-data", {"a": 1})


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "../../refs/main",  # in the repository, but no blob
        "../../../other/blobs/aaa",  # another repository's blob
        "../../blobs/../refs/main",
        "../../blobs",
        "config.json",  # a sibling, not a blob
    ],
)
def test_cache_link_that_leaves_the_blobs_is_refused(cache: Path, target: str) -> None:
    write(cache.parent / "other" / "blobs" / "aaa")
    link = cache / "snapshots" / REVISION / "stats.json"
    link.symlink_to(target)
    (file,) = [file for file in Tree(cache).files if file.name == "stats.json"]
    assert file.problem == f"refused: link to {target}"
    with pytest.raises(FormatError, match="refused"):
        file.read()


def test_cache_link_through_linked_blobs_is_refused(cache: Path, tmp_path: Path) -> None:
    (cache / "blobs").rename(tmp_path / "elsewhere")
    (cache / "blobs").symlink_to(tmp_path / "elsewhere")
    assert problems(cache)[f"snapshots/{REVISION}/config.json"].startswith("refused: link")


def test_cache_link_to_a_blob_that_was_never_fetched_is_unreadable(cache: Path) -> None:
    (cache / "blobs" / "aaa").unlink()
    assert problems(cache)[f"snapshots/{REVISION}/config.json"] == "unreadable: No such file or directory"


def test_cache_blob_that_is_itself_a_link_is_refused(cache: Path) -> None:
    (cache / "blobs" / "aaa").unlink()
    (cache / "blobs" / "aaa").symlink_to("/etc/passwd")
    assert problems(cache)[f"snapshots/{REVISION}/config.json"].startswith("refused")


def test_whatever_is_no_regular_file_has_a_record_and_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "config.json")
    write(tmp_path / "empty.json", "")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "passwd.json").symlink_to("/etc/passwd")
    (tmp_path / "inside.json").symlink_to("config.json")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    assert problems(tmp_path) == {
        "circle": "refused: link to circle",
        "config.json": "",
        "empty.json": "",
        "inside.json": "refused: link to config.json",
        "loop": "refused: link to .",
        "passwd.json": "refused: link to /etc/passwd",
        "pipe.json": "refused: FIFO",
        "s": "refused: socket",
    }
    (checkpoint,) = read_folder(Tree(tmp_path).folders[0])
    statuses = {record.path: (record.status, record.detail) for record in checkpoint.files}
    assert statuses["passwd.json"] == ("refused", "link to /etc/passwd")
    assert statuses["pipe.json"] == ("refused", "FIFO")
    assert statuses["empty.json"] == ("empty", "")


def test_file_swapped_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "a" / "pipe.json")
    write(tmp_path / "a" / "link.json")
    write(tmp_path / "b" / "config.json")
    write(tmp_path / "secret" / "config.json", '{"secret": 1}')
    files = {file.path: file for file in Tree(tmp_path).files}
    for name in ("pipe.json", "link.json"):
        (tmp_path / "a" / name).unlink()
    os.mkfifo(tmp_path / "a" / "pipe.json")
    (tmp_path / "a" / "link.json").symlink_to("/etc/passwd")
    (tmp_path / "b" / "config.json").unlink()
    (tmp_path / "b").rmdir()
    (tmp_path / "b").symlink_to("secret")
    for path in ("a/pipe.json", "a/link.json", "b/config.json"):
        with pytest.raises(FormatError, match="cannot be opened"):
            files[path].read()


HOSTILE = [b"new\nline.json", b"\x1b[31mred.json", b"\xff\xfe.json", "‮nosj.json".encode(), b"back\\slash.json"]


def test_hostile_names_are_escaped_readable_and_distinct(tmp_path: Path) -> None:
    for name in (*HOSTILE, b"back\\\\slash.json", "café.json".encode()):
        (tmp_path / os.fsdecode(name)).write_text("[1]")
    files = Tree(tmp_path).files
    paths = [file.path for file in files]
    assert len(set(paths)) == len(paths) == 7
    assert "new\\nline.json" in paths
    assert "café.json" in paths
    for file in files:
        assert file.path.isprintable()
        assert file.path.encode()
        assert file.json() == [1]


def test_forbidden_file_and_folder_are_unreadable(tmp_path: Path) -> None:
    write(tmp_path / "ok.json")
    write(tmp_path / "secret.json").chmod(0)
    write(tmp_path / "closed" / "config.json")
    (tmp_path / "closed").chmod(0)
    try:
        if os.access(tmp_path / "secret.json", os.R_OK):
            pytest.skip("this user reads everything")
        assert problems(tmp_path)["closed"] == "unreadable: Permission denied"
        records = {r.path: r for folder in Tree(tmp_path).folders for c in read_folder(folder) for r in c.files}
        assert records["secret.json"].status == "unreadable"
        assert "Permission denied" in records["secret.json"].detail
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_target_must_be_there_and_be_a_folder_or_a_file(tmp_path: Path) -> None:
    for missing in (tmp_path / "no", tmp_path / "no" / "such", Path("a\0b"), write(tmp_path / "f") / "below"):
        with pytest.raises(TargetNotFoundError):
            Tree(missing)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafePathError, match="FIFO"):
        Tree(tmp_path / "pipe")


def test_target_link_is_the_choice_of_the_user(tmp_path: Path) -> None:
    write(tmp_path / "real" / "config.json", "[2]")
    (tmp_path / "current").symlink_to("real")
    (tmp_path / "one.json").symlink_to("real/config.json")
    for target in (tmp_path / "current", tmp_path / "one.json"):
        tree = Tree(target)
        assert [(file.path, file.json()) for file in tree.files] == [("config.json", [2])]
        assert tree.root == tmp_path / "real"


def test_folders_hold_what_is_deployed_together(tmp_path: Path) -> None:
    layout = {
        "pi0/7000": ["assets/lab/arm/norm_stats.json", "norm_stats.json", "norm_stats/norm_stats.json", "_METADATA"],
        "pi0/7000/assets": ["logo.svg"],
        "dataset": ["meta/info.json", "meta/stats.json"],
        "dataset/data": ["0.parquet"],
        "oft": ["config.json", "lora_adapter/adapter_config.json"],
        "run/pretrained_model": ["config.json"],
        "run/training_state": ["scheduler.json"],
        "meta/llm": ["config.json"],  # an organisation called meta
    }
    for folder, names in layout.items():
        for name in names:
            write(tmp_path / folder / name)
    write(tmp_path / "readme.md")
    found = {folder.path: sorted(folder.files) for folder in Tree(tmp_path).folders}
    assert found == {".": ["readme.md"], **{folder: sorted(names) for folder, names in layout.items()}}


def test_digest_is_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", "[1]")
    (file,) = Tree(path).files
    assert file.json() == [1]
    path.write_text("[2]")
    assert file.sha256 == hashlib.sha256(b"[1]").hexdigest()
    assert file.source("/0").sha256 == file.sha256


def test_large_file_is_neither_read_nor_hashed(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as stream:
        stream.truncate(READ_LIMIT + 1)
    (file,) = Tree(tmp_path).files
    assert file.sha256 == ""
    with pytest.raises(FormatError, match="too long"):
        file.read()
    assert file.head(4) == bytes(4)


def test_disk_that_fails_is_a_format_error() -> None:
    (file,) = Tree("/proc/self/mem").files  # Linux answers a read at 0 with an I/O error
    with pytest.raises(FormatError, match="cannot be read"):
        file.read()


def test_ten_thousand_files_are_walked_in_two_seconds(tmp_path: Path) -> None:
    for i in range(100):
        (tmp_path / str(i)).mkdir()
        for j in range(100):
            (tmp_path / str(i) / f"{j}.json").touch()
    start = time.perf_counter()
    tree = Tree(tmp_path)
    assert time.perf_counter() - start < 2
    assert len(tree.files) == 10_000
    assert len(tree.folders) == 100
