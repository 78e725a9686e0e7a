"""The command line: exit codes, streams, and what every command prints."""

from __future__ import annotations

import fnmatch
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from execspec_fast import __version__
from execspec_fast.auditing.audit import audit
from execspec_fast.cli import main as cli
from execspec_fast.formats import METADATA
from registry import action, openvla


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def ckpt(tmp_path):
    return openvla(tmp_path / "ckpt", {"goal": action(), "spatial": action(2.0)})


@pytest.fixture
def run(capsys):
    def call(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse leaves this way
            code = stop.code
        return code, *capsys.readouterr()

    return call


def test_help_and_version(run):
    assert run("--version") == (0, f"execspec {__version__}\n", "")
    for command in ("audit", "show", "drift", "files"):
        code, out, _ = run(command, "--help")
        assert (code, f"execspec {command}" in out, "example" in out) == (0, True, True)


@pytest.mark.parametrize(
    "arguments",
    [[], ["adit"], ["audit", "--fail-on", "fatal"], ["audit", "-j", "0"], ["audit", "--rate", "-1"], ["drift", "one"]],
)
def test_wrong_usage_is_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "typo"],
        ["audit", "CKPT", "--actions", "typo.npz"],
        ["audit", "CKPT", "--controller", "typo.json"],
        ["audit", "CKPT", "--rate", "20"],
        ["audit", "CKPT", "--config", "typo.toml"],
        ["audit", "CKPT", "--output", "no/such/folder/report.txt"],
        ["show", "CKPT"],
        ["show", "CKPT#gaol"],
        ["show", "CKPT#goal@openpi"],
        ["drift", "CKPT#goal", "typo#goal"],
        ["drift", "CKPT#goal", "CKPT#goal", "--rate", "20"],
    ],
)
def test_our_errors_are_one_line_on_stderr(run, ckpt, arguments):
    code, out, err = run(*[argument.replace("CKPT", str(ckpt)) for argument in arguments])
    assert (code, out) == (2, "")
    assert err.startswith("execspec: ")
    assert err.count("\n") == 1


def test_an_internal_error_is_2_and_debug_shows_where(run, ckpt, monkeypatch):
    monkeypatch.setattr(cli, "audit", lambda *_, **__: 1 / 0)
    code, out, err = run("audit", ckpt)
    assert (code, out) == (2, "")
    assert err == "execspec: internal error: ZeroDivisionError: division by zero; --debug shows where\n"
    with pytest.raises(ZeroDivisionError):
        cli.main(["audit", str(ckpt), "--debug"])


def test_audit_prints_the_report_and_returns_its_code(run, ckpt):
    code, out, err = run("audit", ckpt)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "PASS: no findings (exit 0)"
    openvla(ckpt, {"goal": action(q01=[9.0] * 7)})
    assert run("audit", ckpt)[0] == 1
    assert run("audit", ckpt, "--fail-on", "never")[0] == 0


def test_quiet_is_one_line(run, ckpt):
    assert run("audit", ckpt, "--quiet")[1] == "PASS: no findings (exit 0)\n"


def test_audit_json_on_stdout_and_in_a_file(run, ckpt, tmp_path):
    _, out, _ = run("audit", ckpt, "--format", "json")
    assert json.loads(out)["exit_code"] == 0
    file = tmp_path / "report.json"
    assert run("audit", ckpt, "--format", "json", "--output", file) == (0, "", "")
    assert file.read_text() == out


def test_audit_takes_actions_and_configuration(run, ckpt, tmp_path):
    np.save(tmp_path / "demos.npy", np.full((5, 7), 0.1))
    config = tmp_path / "fleet.toml"
    config.write_text('[[deployment]]\nname = "arm"\ncheckpoint = "ckpt"\nkey = "goal"\nmax_drift = 0.05\n')
    code, out, _ = run("audit", ckpt, "--actions", tmp_path / "demos.npy", "--config", config, "--format", "json")
    verdict = json.loads(out)["deployments"][0]
    assert (code, verdict["verdict"]) == (1, "FAIL")
    assert "demos.npy" in verdict["siblings"]["worst"]["sample"]


def test_show(run, ckpt):
    code, out, _ = run("show", f"{ckpt}#goal")
    assert code == 0
    assert "dataset_statistics.json#/goal/action" in out
    assert "0.9" in out
    code, out, _ = run("show", f"{ckpt}#goal@openpi-zscore", "--format", "json")
    assert json.loads(out)["spec"]["profile"]["value"] == "openpi-zscore"


def test_drift(run, ckpt, tmp_path):
    np.save(tmp_path / "demos.npy", np.full((5, 7), 0.1))
    pair = (f"{ckpt}#goal", f"{ckpt}#spatial", "--format", "json")
    physical = json.loads(run("drift", *pair, "--actions", tmp_path / "demos.npy")[1])
    assert physical["drift"]["mean"] == pytest.approx(0.1)  # twice the scale
    assert physical["read"] == {"controller units": physical["drift"]["mean"]}
    normalized = json.loads(run("drift", *pair, "--actions", tmp_path / "demos.npy", "--normalized")[1])
    assert normalized["drift"]["mean"] == pytest.approx(0.1 * np.mean([0.9, 0.8, 0.7, 0.3, 0.25, 0.2]))
    for sample in ("stats", "uniform", "gaussian"):
        assert json.loads(run("drift", *pair, "--sample", sample)[1])["drift"]["mean_l2"] is None
    code, out, _ = run("drift", *pair[:2])
    assert code == 0
    assert "not in the mean" in out
    assert "between" in out


def test_drift_says_why_there_is_no_mean_and_what_to_name_instead(run, tmp_path):
    place = openvla(tmp_path / "cogact", {"goal": action(), "near": action(1.1)})
    code, out, _ = run("drift", f"{place}#goal", f"{place}#near")
    assert code == 0
    assert "no mean   6: its map is a constant, a clip or a step and has no inverse" in out
    figures = {"goal": {"q01": [-1.0], "q99": [1.0]}}
    bare = openvla(tmp_path / "bare", figures)
    code, _, err = run("drift", f"{bare}#goal", f"{bare}#goal", "--sample", "gaussian")
    assert (code, "--sample uniform" in err) == (2, True)
    assert run("drift", f"{bare}#goal", f"{bare}#goal", "--sample", "uniform")[0] == 0


def test_drift_on_a_controller(run, ckpt, tmp_path):
    np.save(tmp_path / "demos.npy", np.full((5, 7), 0.1))
    pair = (f"{ckpt}#goal", f"{ckpt}#spatial", "--actions", tmp_path / "demos.npy")
    found = json.loads(run("drift", *pair, "--controller", "libero", "--format", "json")[1])
    # twice the scale: 0.1 of 50 mm and of half a radian
    assert found["read"] == pytest.approx({"mm": 5.0, "deg": 0.05 * 180 / np.pi, "gripper": 0.0})
    assert (found["controller"]["name"], found["drift"]["mean"]) == ("libero", pytest.approx(0.1))
    assert run("drift", *pair, "--controller", "libero", "--rate", "5")[0] == 0
    out = run("drift", *pair, "--controller", "libero")[1]
    assert "5 mm, 2.86479 deg, 0 gripper per step of libero" in out
    assert "client    on the gripper: to_endpoint" in out
    mixed = run("drift", *pair[:1], f"{ckpt}#goal@openpi-quantile", "--controller", "libero")[1]
    assert "nothing as executed; the drift holds the difference" in " ".join(mixed.split())
    joints = " ".join(run("drift", *pair, "--controller", "droid-joint_velocity")[1].split())
    assert "doubtful" in joints
    assert "channel 6 is the policy's gripper" in joints
    code, _, err = run("drift", *pair, "--controller", "aloha")
    assert (code, "aloha takes 12 channels" in err) == (2, True)


def test_files_prints_globs_that_find_every_file_that_is_read(run, shared_registry):
    code, out, _ = run("files")
    assert (code, out.split()) == (0, list(METADATA))
    read = [file["path"] for file in audit(shared_registry, cache=False).files if file["status"] == "read"]
    assert read
    assert not [path for path in read if not any(fnmatch.fnmatch(path, glob) for glob in METADATA)]
    for weights in ("model.safetensors", "model-00001-of-00003.safetensors", "pytorch_model.bin", "a/optimizer.pt"):
        assert not any(fnmatch.fnmatch(weights, glob) for glob in METADATA)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_leaves_no_trace(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    clock = iter([0.0, 0.5, 2.0, 3.0])
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    progress = cli.Progress()
    progress(10, 100)
    assert terminal.getvalue() == ""  # not in the first second
    progress(50, 100)
    assert "50 of 100 folders" in terminal.getvalue()
    progress(100, 100)
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_reader_that_goes_away_is_no_traceback(ckpt):
    command = f"{sys.executable} -m execspec_fast audit {ckpt} --no-cache --format json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{", "")
