"""Deployments that must not pass by accident, and what the last line says of errors that nobody gates."""

from __future__ import annotations

import pytest
from execspec_fast import audit
from execspec_fast.auditing import siblings
from execspec_fast.cli.paper import Paper
from execspec_fast.cli.report import verdict
from registry import action, openvla


def deployed(root, **fields):
    lines = [f"{name} = {value!r}" for name, value in {"name": "arm", "checkpoint": "ckpt", **fields}.items()]
    (root / "execspec.toml").write_text("[[deployment]]\n" + "\n".join(lines))
    return audit(root, cache=False)


def test_keys_that_nobody_ranked_do_not_pass_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(siblings, "MANY", 2)
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1), "c": action(1.2)})
    (judged,) = deployed(tmp_path, key="a", max_drift=0.001).deployments
    assert judged["verdict"] == "FAIL"
    assert "too many to rank" in judged["reasons"][0]
    assert deployed(tmp_path, key="a").deployments[0]["verdict"] == "PASS"


def test_errors_under_fail_on_never_are_no_pass(tmp_path):
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1)})
    deployed(tmp_path, key="lost")
    report = audit(tmp_path, cache=False, fail_on="never")
    assert report.exit_code == 0
    assert verdict(report, Paper()).startswith("NOT GATED: 1 error")


def test_repo_and_revision_of_a_cache_are_told(tmp_path):
    repo = tmp_path / "models--org--vla"
    (repo / "blobs").mkdir(parents=True)
    openvla(tmp_path / "plain", {"a": action()})
    (tmp_path / "plain" / "dataset_statistics.json").rename(repo / "blobs" / "f00d")
    (repo / "snapshots" / "0123abc").mkdir(parents=True)
    (repo / "snapshots" / "0123abc" / "dataset_statistics.json").symlink_to("../../blobs/f00d")
    rows = [row for row in audit(repo, cache=False).rows if row.keys]
    assert [row.repos for row in rows] == [("org/vla@0123abc",)]


@pytest.mark.parametrize(("key", "code"), [("a", 0), ("lost", 1)])
def test_the_exit_code_follows(tmp_path, key, code):
    openvla(tmp_path / "ckpt", {"a": action(), "b": action(1.1)})
    assert deployed(tmp_path, key=key).exit_code == code
