"""The codes of the guard, in Python as in C++."""

from __future__ import annotations

import re
from pathlib import Path

from execspec_fast import _core
from execspec_fast.guarding.status import HARD, MEANINGS, Fault, Mode, Verdict

ROOT = Path(__file__).parents[1]
HEADER = ROOT / "cpp" / "include" / "execspec" / "guard" / "status.hpp"


def test_faults_are_those_of_the_header():
    ours = [(str(f.name).lower(), f.value.bit_length() - 1, bool(f & HARD), MEANINGS[f]) for f in Fault]
    assert ours == _core.guard_faults()
    assert [bit for _, bit, *_ in ours] == list(range(len(Fault)))


def test_verdicts_and_modes_are_those_of_the_header():
    text = HEADER.read_text()
    for ours in (Verdict, Mode):
        (body,) = re.findall(rf"enum class {ours.__name__} : std::uint32_t {{ (.*) }};", text)
        assert body == ", ".join(f"{one.name.lower()} = {one.value}" for one in ours)


def test_a_mask_is_told_in_words():
    mask = Fault.NOT_FINITE | Fault.STALE
    assert mask.words == "not finite, stale"
    assert mask.meaning == f"{MEANINGS[Fault.NOT_FINITE]}; {MEANINGS[Fault.STALE]}"
    assert mask.hard
    assert not Fault.STALE.hard


def test_the_readme_lists_every_fault():
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (yes|) ?\| (.*) \|$", text, re.MULTILINE)
    assert [(name, int(bit), hard == "yes", meaning) for bit, name, hard, meaning in rows] == _core.guard_faults()
