"""Reports: what a person reads, what a program reads, and names from foreign files that do no harm."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from execspec_fast.auditing import siblings
from execspec_fast.auditing.audit import audit
from execspec_fast.cli.paper import Paper, columns, escape
from execspec_fast.cli.report import ROWS, as_json, as_text
from execspec_fast.errors import Finding
from registry import action, openvla

PAPER = Paper(100)


def text(path, paper=PAPER, everything=False, **named):
    return as_text(audit(path, cache=False, **named), paper, everything=everything)


def test_a_small_registry_reads_like_this(tmp_path, monkeypatch):
    """The whole text of a report: a change of it is a change of what people see."""
    for name in ("a", "b"):
        openvla(tmp_path / name, {"goal": action(), "spatial": action(2.0)})
    openvla(tmp_path / "backwards", {"reach": action(q01=[9.0] * 7)})
    (tmp_path / "stats.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "execspec.toml").write_text('[[deployment]]\nname = "arm"\ncheckpoint = "a"\nkey = "gaol"\n')
    monkeypatch.chdir(tmp_path)
    assert text(".") == EXPECTED


EXPECTED = """\
.: 3 checkpoints, 5 keys that can run, 5 files (3 read, 1 not metadata, 1 unauditable: pickle)

DEPLOYMENTS
FAIL  arm  a#gaol: no key 'gaol'; nearest: 'goal'

         CHECKPOINT  ECOSYSTEM  KEYS  INTENDED KEY           RULES
error    a           openvla       2  gaol (deployment arm)  K1
error    backwards   openvla       1  reach (only key)       S5
ok       b           openvla       2  unknown
         nearest of 2 pairs  0.267  goal → spatial
         worst pair          0.267  spatial → goal

FINDINGS
error    K1 deployment arm: no key 'gaol'; nearest: 'goal'.
            Fix: Name a key the policy was trained with; if none of these is, the checkpoint has no
            right key.
            a#gaol
error    S5 q01 > q99: the channel runs backwards (channels 0-5).
            Fix: Recompute the statistics from the training data.
            backwards#reach

NOT READ
  stats.pkl: unauditable: pickle (statistics, by the name)

Drift: mean |b - a| per action over the channels that are no gripper, where b is executed and a was
meant (a → b), in controller units; actions: published quantiles (min, q01, q99, max), uniform
between. A wrong key is plausible if every channel's range is within 10x of the intended one's;
where the intended key is unknown, all are tried.

FAIL: 2 errors (exit 1)
"""


def test_a_controller_says_how_far_the_intended_key_moves(tmp_path):
    openvla(tmp_path / "a", {"goal": action(1.25)})
    moves = "libero: channel 0 saturates 13 % of the time; moves 44 to 51 mm per step, 88 to 100 cm/s;"
    assert f"\n         {moves}" in text(tmp_path, Paper(200), controller="libero")
    (tmp_path / "execspec.toml").write_text(
        '[[deployment]]\nname = "arm"\ncheckpoint = "a"\nkey = "goal"\ncontroller = "libero"\n'
    )
    seen = text(tmp_path, Paper(200))
    assert f"PASS  arm  a#goal: no plausible wrong key\n      {moves}" in seen
    assert seen.count(moves) == 1
    assert "assumes" not in seen
    assert "Motion: of the intended key, over actions: published quantiles" in seen


def test_equal_findings_are_told_once_with_their_targets(tmp_path):
    for name in ("a", "b", "c"):
        openvla(tmp_path / name, {"goal": action(std=[9.0] * 7)})
    seen = text(tmp_path)
    assert seen.count("std is larger") == 1
    assert "a#goal, b#goal, c#goal" in seen
    assert "a x3 " in seen


def test_one_fault_with_different_numbers_is_told_once(tmp_path):
    for n in (10, 20):
        openvla(tmp_path / f"c{n}", {"goal": action(std=[float(n)] * 7)})
    seen = " ".join(text(tmp_path).split())
    assert seen.count("std is larger") == 1
    assert "c10#goal (channels 0-6, std 10, at most" in seen
    assert "c20#goal (channels 0-6, std 20, at most" in seen


def test_rows_and_targets_beyond_twenty_are_counted(tmp_path):
    for n in range(ROWS + 5):
        openvla(tmp_path / f"c{n:02}", {f"key{n}": action(1 + n, std=[500.0] * 7)})
    seen = text(tmp_path)
    assert "and 5 more rows (--all shows them)" in seen
    assert ", and 5 more" in seen
    assert "c24" not in seen
    assert "c24" in text(tmp_path, everything=True)
    assert "more" not in text(tmp_path, everything=True)


def test_a_checkpoint_with_too_many_keys_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(siblings, "MANY", 1)
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0)})
    assert "         2 pairs  -  too many keys to rank them\n" in text(tmp_path)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_table_is_as_wide_as_the_paper(tmp_path, width):
    openvla(tmp_path / ("deep/" * 12) / "openvla-7b-finetuned", {"k" * 70: action()})
    header = next(line for line in text(tmp_path, Paper(width)).splitlines() if "CHECKPOINT" in line)
    row = next(line for line in text(tmp_path, Paper(width)).splitlines() if line.startswith("ok "))
    assert max(len(header), len(row)) <= width
    assert "finetuned" in row
    assert "kkk" in row


def test_colour_only_where_it_is_welcome(tmp_path):
    openvla(tmp_path / "a", {"goal": action(q01=[9.0] * 7)})
    assert "\x1b" not in text(tmp_path)
    assert "\x1b[31merror\x1b[0m" in text(tmp_path, Paper(100, colour=True))


def test_ascii_paper(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0)})
    assert text(tmp_path, Paper(100, plain=True)).isascii()


def test_long_keys_are_cut_in_text_and_whole_in_json(tmp_path):
    """Also those of findings, of deployments, and with spaces and letters that are printed as escapes."""
    keys = ["k" * 500, "goal " + "й" * 500 + " end", "word " * 100]
    openvla(tmp_path / "a", {key: action(1 + n, std=[900.0] * 7) for n, key in enumerate(keys)})
    (tmp_path / "execspec.toml").write_text(
        f'[[deployment]]\nname = "arm"\ncheckpoint = "a"\nkey = {json.dumps(keys[0])}\n'
        f'[[deployment]]\nname = "lost"\ncheckpoint = "a"\nkey = "{"x" * 500}"\n'
    )
    seen = " ".join(text(tmp_path, Paper(200), everything=True).split())
    for run in ("k" * 80, "й" * 80, "\\u0439" * 40, "word " * 20, "x" * 80):
        assert run not in seen
    assert "k" * 39 + "…" + "k" * 39 in seen
    document = as_json(audit(tmp_path, cache=False).to_dict())
    assert all(json.dumps(key)[1:-1] in document for key in keys)


def test_names_do_no_harm(tmp_path):
    """Terminal control codes, line feeds and text that turns direction, in keys."""
    hostile = "goal\x1b[2J\x1b]0;owned\x07\nPASS: no findings\u202e"
    openvla(tmp_path / "a", {hostile: action(), "spatial": action(2.0), "object": action(q01=[9.0] * 7)})
    openvla(tmp_path / "b", {hostile: action(1.1), "spatial": action(2.0)})
    (tmp_path / "execspec.toml").write_text(
        f'[[deployment]]\nname = "arm\\u001b[2J"\ncheckpoint = "a"\nkey = {json.dumps(hostile)}\n'
    )
    seen = text(tmp_path, everything=True)
    assert not any(c in seen for c in "\x1b\x07\u202e")
    assert sum(line.startswith("PASS:") for line in seen.splitlines()) == 0
    assert json.loads(as_json(audit(tmp_path, cache=False).to_dict()))["rows"]


def test_escape_keeps_what_prints():
    assert escape("libero_goal 东西 é") == "libero_goal 东西 é"
    assert escape("a\x1b\n\u202e") == "a\\x1b\\n\\u202e"


def test_no_number_of_a_report_is_beyond_json(tmp_path):
    """`to_dict` itself: null for what is infinite, in evidence too; the message says it in words."""
    openvla(tmp_path / "a", {"goal": action()})
    finding = Finding("X", "note", "a", "", "inf", {"x": [np.inf, {"y": float("nan")}]})
    told = replace(audit(tmp_path, cache=False), general=(finding,)).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["findings"][0]["evidence"] == {"x": [None, {"y": None}]}


def test_json_is_strict_and_stable(tmp_path):
    openvla(tmp_path / "a", {"goal": action(), "spatial": action(2.0)}, "config.json")
    report = as_json(audit(tmp_path, cache=False).to_dict())
    assert report == as_json(audit(tmp_path, cache=False).to_dict())
    document = json.loads(report, parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    assert {"rows", "deployments", "findings", "pairs", "specs", "files", "target", "exit_code"} <= set(document)
    assert all(document[name] for name in ("rows", "pairs", "specs", "files"))
    assert as_json({"a": [float("nan"), float("inf"), 1.0]}) == '{\n "a": [\n  null,\n  null,\n  1.0\n ]\n}\n'


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_paper_of_a_stream(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Paper.of(Terminal()).colour
    assert not Paper.of(io.StringIO()).colour
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Paper.of(Terminal()).colour
    monkeypatch.setenv("COLUMNS", "77")
    assert Paper.of(Terminal()).width == 77


def test_columns():
    assert columns([("a", "1"), ("bb", "22")], right=(1,)) == ["a    1", "bb  22"]
