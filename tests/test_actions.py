"""Action files: real ones of every format, and the broken ones a user will hand in."""

from __future__ import annotations

import io
import json
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from execspec_fast.actions import load_actions
from execspec_fast.errors import (
    AmbiguousKeyError,
    DTypeError,
    FormatError,
    MissingDependencyError,
    TargetNotFoundError,
    UnknownKeyError,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

U = np.arange(12.0).reshape(4, 3)


def npz(path: Path, **members: object) -> Path:
    np.savez(path, **members)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


# --- real files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "shape", "episodes", "dtype"),
    [
        ("libero/scripted/libero_goal.npz", (2005, 7), 20, np.float32),
        ("bridge/octo-debug_dataset/bridge_train_actions_states.npz", (250, 7), 1, np.float32),
        ("robosuite/panda-osc_pose-spacemouse/lift/demo.hdf5", (412, 7), 1, np.float64),
        ("lerobot/record-test-so101/data/chunk-000/file-000.parquet", (1492, 6), 4, np.float32),
        ("lerobot/g1-policy-train", (4236, 26), 10, np.float32),
        ("gr00t/robot_sim.PickNPlace", (2096, 44), 5, np.float64),
        ("libero/smolvla-spatial-rollouts/debug_v1_actions_task0.csv", (300, 7), 1, np.float64),
    ],
)
def test_real_files(shared_trajectories, file, shape, episodes, dtype):
    actions = load_actions(shared_trajectories / file)
    assert actions.values.shape == shape
    assert actions.values.dtype == dtype
    assert len(actions.lengths) == episodes
    assert sum(actions.lengths) == shape[0]


def test_real_figures_agree_with_the_published_statistics(shared_trajectories, shared_registry):
    actions = load_actions(shared_trajectories / "lerobot/record-test-so101/data/chunk-000/file-000.parquet")
    published = json.loads((shared_registry / "lerobot/record-test-so101/meta/stats.json").read_text())["action"]
    np.testing.assert_array_equal(actions.values.min(axis=0), np.float32(published["min"]))
    np.testing.assert_allclose(actions.values.mean(axis=0, dtype=float), published["mean"], rtol=1e-5)


def test_a_csv_with_three_stages_asks_which(shared_trajectories):
    folder = shared_trajectories / "libero/smolvla-spatial-rollouts"
    file = next(folder.glob("eval_v3_*.csv"))
    with pytest.raises(AmbiguousKeyError, match=r"FILE::KEY: 'raw_action', 'processed_action', 'applied_action'"):
        load_actions(file)
    raw, applied = load_actions(f"{file}::raw_action"), load_actions(file, key="applied_action")
    assert raw.values[0, 0] == -0.4657074511051178
    assert applied.values[0, 0] == -0.05362556874752045


# --- the same actions in every format ---------------------------------------------------------------------------


def in_every_format(folder: Path) -> list[Path]:
    np.save(folder / "a.npy", U)
    npz(folder / "a.npz", actions=U, state=np.ones(2))
    for name, kind in (("list", pa.list_(pa.float64())), ("fixed", pa.list_(pa.float64(), 3))):
        pq.write_table(pa.table({"action": pa.array(U.tolist(), kind)}), folder / f"{name}.parquet")
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["data/demo_1/actions"] = U
        file["data/demo_1/states"] = U
    with h5py.File(folder / "aloha.h5", "w") as file:
        file["action"] = U
        file["qpos"] = U
    lines = [",".join(map(repr, map(float, row))) for row in U]
    text(folder / "a.csv", "\n".join(["step,action_0,action_1,action_2", *(f"9,{line}" for line in lines)]))
    text(folder / "plain.csv", "\n".join(lines))
    text(folder / "bom.csv", "\ufeffaction_2,action_0,action_1\n" + "\n".join(f"{z},{x},{y}" for x, y, z in U))
    return sorted(folder.iterdir())


def test_every_format_gives_the_same_array(tmp_path):
    files = in_every_format(tmp_path)
    assert len(files) == 9
    for file in files:
        actions = load_actions(file)
        np.testing.assert_array_equal(actions.values, U, err_msg=file.name)
        assert not actions.values.flags.writeable


@given(arrays(np.float64, (3, 2), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_text_keeps_every_bit(tmp_path_factory, values):
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    text(file, "\n".join(f"{x!r},{y!r}" for x, y in values.tolist()))
    assert load_actions(file).values.tobytes() == values.tobytes()


def test_source_names_what_reads_the_same_again(tmp_path):
    for file in in_every_format(tmp_path):
        actions = load_actions(file)
        again = load_actions(actions.source)
        np.testing.assert_array_equal(again.values, actions.values)
        assert again.source == actions.source
        assert actions.source in actions.description


def test_episodes_come_in_the_order_of_their_numbers(tmp_path):
    parts = {n: np.full((n, 2), float(n)) for n in (1, 2, 10)}
    npz(tmp_path / "a.npz", **{f"{n}_actions": part for n, part in parts.items()})
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for n, part in parts.items():
            file[f"data/demo_{n}/actions"] = part
    for name in ("a.npz", "a.hdf5"):
        assert load_actions(tmp_path / name).lengths == (1, 2, 10), name


def test_parquet_episodes_and_files(tmp_path):
    """Only `data/` of a dataset holds actions, and an episode never spans two files."""
    for folder in ("data/chunk-000", "meta/episodes"):
        (tmp_path / folder).mkdir(parents=True)
    episodes = {
        "data/chunk-000/file-000": [0, 0, 1, 1],
        "data/chunk-000/file-001": [1, 2, 2, 2],
        "meta/episodes/f": [9] * 4,
    }
    for name, index in episodes.items():
        pq.write_table(pa.table({"action": U.tolist(), "episode_index": index}), tmp_path / f"{name}.parquet")
    actions = load_actions(tmp_path)
    assert actions.lengths == (2, 2, 1, 3)
    assert [len(episode) for episode in actions.episodes] == [2, 2, 1, 3]
    assert np.array_equal(np.concatenate(actions.episodes), actions.values)
    assert "8 actions in 4 episodes" in actions.description


def test_dtype_is_kept_or_widened_exactly(tmp_path):
    for stored, loaded in (("<f4", "f4"), (">f4", "f4"), ("<f2", "f4"), (">f8", "f8"), ("<i4", "f8")):
        np.save(tmp_path / "a.npy", U.astype(stored))
        actions = load_actions(tmp_path / "a.npy")
        assert actions.values.dtype == np.dtype(loaded)
        np.testing.assert_array_equal(actions.values, U)
    npz(tmp_path / "mixed.npz", **{"0_actions": U.astype("f4"), "1_actions": U / 3})
    np.testing.assert_array_equal(load_actions(tmp_path / "mixed.npz").values[4:], U / 3)


# --- what is refused --------------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_refused_by_name_and_never_loaded(tmp_path):
    objects = np.array([Bomb()], dtype=object)
    np.save(tmp_path / "object.npy", objects, allow_pickle=True)
    npz(tmp_path / "object.npz", actions=objects)
    (tmp_path / "renamed.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("object.npy", "object.npz", "renamed.npy"):
        with pytest.raises(FormatError, match=rf"{name}.*pickle is never loaded"):
            load_actions(tmp_path / name)
    for suffix in ("pkl", "pt", "pth", "ckpt", "pruned_init"):
        (tmp_path / f"a.{suffix}").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(FormatError, match=r"unauditable: .*numpy\.savez"):
            load_actions(tmp_path / f"a.{suffix}")


def test_an_unused_pickled_member_does_not_matter(tmp_path):
    file = npz(tmp_path / "a.npz", actions=U, info=np.array([Bomb()], dtype=object))
    np.testing.assert_array_equal(load_actions(file).values, U)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("action_0,action_1\n1,2\n3\n", r"a\.csv:3:1: 1 cells, the first line has 2"),
        ("action_0,action_1\n1,2\n3,x\n", r"a\.csv:3:2: 'x' is not a number"),
        ("action_0,action_1\n1,2\n3,1_0\n", r"a\.csv:3:2: '1_0' is not a number"),
        ("action_0,action_2\n1,2\n", r"a\.csv:1:1: .*numbered 0, 1, … once each, got \[0, 2\]"),
        ("action_0,action_0\n1,2\n", r"once each, got \[0, 0\]"),
        ("action_0,action_1\n1,2\n3,nan\n", r"a\.csv::action: row 1 \(from 0\), channel 1 is nan"),
        ("action_0\n", r"shape \(0, 1\) is not \(N, D\)"),
        ("x,y,z\n1,2,3\n", r"no columns action_0"),
        ("", r"the file is empty"),
    ],
)
def test_bad_csv_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(FormatError, match=message):
        load_actions(text(tmp_path / "a.csv", content))


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.ones(3), FormatError, r"shape \(3,\) is not \(N, D\)"),
        (np.ones((2, 3, 4)), FormatError, r"shape \(2, 3, 4\)"),
        (np.ones((0, 3)), FormatError, r"shape \(0, 3\)"),
        (np.array([[1.0], [np.inf]]), FormatError, r"row 1 \(from 0\), channel 0 is inf"),
        (np.ones((2, 2), bool), DTypeError, r"dtype bool"),
        (np.ones((2, 2), complex), DTypeError, r"dtype complex128"),
        (np.ones((2, 2), np.longdouble), DTypeError, r"at most 64 bits"),
    ],
)
def test_arrays_that_are_no_actions(tmp_path, array, error, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(error, match=rf"a\.npy.*{message}"):
        load_actions(tmp_path / "a.npy")


def test_parquet_rows_of_different_lengths_or_null(tmp_path):
    for bad in ([5.0], None):
        pq.write_table(pa.table({"action": [[1.0, 2.0], [3.0, 4.0], bad]}), tmp_path / "a.parquet")
        with pytest.raises(FormatError, match=r"a\.parquet::action: row 2 \(from 0\) holds"):
            load_actions(tmp_path / "a.parquet")
    pq.write_table(pa.table({"action": [[1.0, 2.0], [3.0, None]]}), tmp_path / "a.parquet")
    with pytest.raises(FormatError, match=r"row 1 \(from 0\), channel 1 is nan"):
        load_actions(tmp_path / "a.parquet")


def test_episodes_of_different_width(tmp_path):
    file = npz(tmp_path / "a.npz", **{"0_actions": np.ones((2, 7)), "1_actions": np.ones((2, 6))})
    with pytest.raises(FormatError, match="1_actions: 6 channels, the episodes before have 7"):
        load_actions(file)


def test_hdf5_never_leaves_its_file(tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["actions"] = U
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data/demo_0/actions"] = h5py.ExternalLink("other.hdf5", "/actions")
        layout = h5py.VirtualLayout(U.shape, float)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "actions", U.shape)
        file.create_virtual_dataset("data/demo_0/virtual_action", layout)
    with pytest.raises(FormatError, match="nothing that could be the action"):
        load_actions(tmp_path / "a.hdf5")


def test_a_missing_episode_dataset_is_named(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data/demo_0/actions"] = U
        file["data/demo_1/states"] = U
    with pytest.raises(FormatError, match=r"episode 'demo_1' has no dataset 'actions'"):
        load_actions(tmp_path / "a.hdf5")


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "hdf5", "csv"])
def test_garbage_and_truncation_name_the_file(tmp_path, suffix):
    whole = io.BytesIO()
    np.savez(whole, actions=np.random.default_rng(0).normal(size=(100, 3)))
    for content in (b"", b"\xff\xfe\x00garbage" * 9, whole.getvalue()[:900], b"\x93NUMPY\x01\x00"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
        with pytest.raises(FormatError, match=rf"a\.{suffix}"):
            load_actions(tmp_path / f"a.{suffix}")


def test_a_name_that_is_not_there(tmp_path):
    with pytest.raises(TargetNotFoundError, match=r"no such action file or folder: .*typo\.npz"):
        load_actions(tmp_path / "typo.npz")
    with pytest.raises(FormatError, match="no parquet file below this folder"):
        load_actions(tmp_path)
    with pytest.raises(FormatError, match=r"\.npy, \.npz, \.parquet"):
        load_actions(text(tmp_path / "a.json", "[]"))
    file = npz(tmp_path / "a.npz", raw_action=U, applied_action=U)
    with pytest.raises(UnknownKeyError, match=r"no key 'action' in .*: 'applied_action', 'raw_action'"):
        load_actions(file, key="action")
    with pytest.raises(AmbiguousKeyError):
        load_actions(file)


@pytest.mark.parametrize(("suffix", "package"), [("parquet", "pyarrow"), ("hdf5", "h5py")])
def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch, suffix, package):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"needs {package}; pip install 'execspec-fast\[actions\]'"):
        load_actions(text(tmp_path / f"a.{suffix}", ""))
