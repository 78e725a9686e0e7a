"""The instruction set in use can be seen and forced, and not to one that the machine lacks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from execspec_fast import isa
from execspec_fast.errors import UnsupportedIsaError


def run(name: str) -> subprocess.CompletedProcess[str]:
    code = "from execspec_fast import isa; print(isa.active())"
    env = {**os.environ, "EXECSPEC_ISA": name}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def test_the_best_is_chosen_and_any_can_be_forced():
    assert isa.available()[0] == "baseline"
    before = isa.active()
    for name in isa.available():
        isa.use(name)
        assert isa.active() == name
        assert run(name).stdout.strip() == name
    isa.use(before)


def test_what_the_machine_lacks_is_an_error():
    with pytest.raises(UnsupportedIsaError, match=r"'sve'.*baseline"):
        isa.use("sve")
    refused = run("mmx")
    assert refused.returncode != 0
    assert "EXECSPEC_ISA" in refused.stderr
    assert "baseline" in refused.stderr
