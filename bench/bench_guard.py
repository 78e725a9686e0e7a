"""The gate's step: in C++ on an idle and on a loaded machine, from Python, and beside the check a user would write."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from itertools import repeat, starmap
from pathlib import Path

import numpy as np
import pytest
from comparison import at_least, at_most, beside, reported, row
from execspec_fast import Unnormalizer
from execspec_fast.guarding.guard import Guard
from workload import DIM

HERE = Path(__file__).parent
HEADERS = HERE.parent / "cpp" / "include"
STEPS = 10_000_000
CALLS = 100_000  # of one round, to make a clock's tick small
LOW, HIGH = np.random.default_rng(6).uniform(0.5, 1.0, (2, 33, DIM)) * [[[-1]], [[1]]]
TARGETS = {  # by siblings and flag
    (0, ""): at_most(40, unit="ns"),
    (0, "-mavx2"): at_most(40, 10, "ns"),
    (32, ""): at_most(200, unit="ns"),
    (32, "-mavx2"): at_most(200, 60, "ns"),
}


def guard(siblings: int = 0) -> Guard:
    """Seven channels with limits on everything, and 0 or 32 siblings."""
    spec, *others = (Unnormalizer.from_bounds(low, high) for low, high in zip(LOW, HIGH, strict=True))
    return Guard(spec, siblings=others[:siblings], limits=(-1, 1), jump=2.5, walk=1e9, relative=True, mode="enforce")


def compiled(name: str, source: Path, *flags: str, folder: Path) -> Path:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip(f"no g++ to compile {source.name} with")
    built = folder / name
    subprocess.run([compiler, "-O3", *flags, str(source), "-o", str(built)], check=True)
    return built


def instructions(program: Path, image: Path, steps: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), str(image), str(steps)]
    done = subprocess.run([*command, "untimed"], capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


@contextmanager
def load(processes: int):
    """So many processes that do nothing but compute."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.parametrize("flag", ["", "-mavx2"])
@pytest.mark.parametrize("siblings", [0, 32])
def test_cpp_step(benchmark, tmp_path, siblings, flag):
    flags = ["-std=c++17", "-ffp-contract=off", f"-I{HEADERS}", *flag.split()]
    program = compiled("guard_step", HERE / "guard_step.cpp", *flags, folder=tmp_path)
    image = tmp_path / "guard.img"
    image.write_bytes(guard(siblings).image)

    def run():
        done = subprocess.run([str(program), str(image), str(STEPS)], capture_output=True, check=True)
        return json.loads(done.stdout)

    idle = benchmark.pedantic(run, rounds=1)
    with load(os.cpu_count() or 1):
        loaded = run()
    assert idle["allocations"] == loaded["allocations"] == 0
    work = f"C++ gate step, {DIM} channels, {siblings} siblings, -O3 {flag or '(x86-64 baseline)'}"
    for name, times in (("idle", idle), ("a busy process per core", loaded)):
        alone = ", ".join(f"{q} {times[q]:,.0f}" for q in ("p50", "p99", "p999", "max"))
        steps, clock = times["steps"], times["clock"]
        measured = (
            f"{name}: median of loops over {steps:,} varying steps; each alone, ns, {clock:.0f} for the clock: {alone}"
        )
        row(benchmark, work, measured, times["loop"], TARGETS[siblings, flag] if name == "idle" else reported("ns"))
    if shutil.which("valgrind"):
        few, more = (instructions(program, image, steps) for steps in (10_240, 20_480))
        row(benchmark, work, "callgrind, of a clean step", (more - few) / 10_240, reported("instructions"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    flags = ["-x", "c", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    name = "bare_calls" + sysconfig.get_config_var("EXT_SUFFIX")
    built = compiled(name, HERE / "peers" / "bare_calls.c", *flags, folder=tmp_path_factory.mktemp("bare"))
    found = importlib.util.spec_from_file_location("bare_calls", built)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def pair():
    u = np.random.default_rng(7).uniform(-1, 1, DIM)
    a = np.empty(DIM)
    guard().command(u, a)
    return u, a


def repeated(call, *arguments, calls=CALLS):
    """`calls` times the call, in a loop that costs as little as Python can."""

    def rounds():
        for _ in starmap(call, repeat(arguments, calls)):
            pass

    return rounds


def test_tick_beside_an_empty_call(benchmark, bare, pair):
    g = guard()
    g.bind(*pair)
    assert g.tick() == 0
    work = f"Python tick(), {DIM} channels, {CALLS:,} calls"
    beside(benchmark, work, repeated(g.tick), "an empty METH_NOARGS", repeated(bare.empty), at_most(2, 1.5), rounds=15)


def test_step_beside_two_buffers(benchmark, bare, pair):
    g = guard()
    assert g.step(*pair) == 0
    work, name = f"Python step(u, a), {CALLS:,} calls", "a METH_FASTCALL that takes and gives back two buffers"
    peer = repeated(bare.two_buffers, *pair)
    beside(benchmark, work, repeated(g.step, *pair), name, peer, at_most(1.6, 1.3), rounds=15)


def test_step_beside_numpy(benchmark, pair):
    g, (low, high) = guard(), (LOW[0], HIGH[0])

    def by_hand(u, a):
        return np.allclose(a, 0.5 * (u + 1) * (high - low) + low)

    assert by_hand(*pair)
    assert not by_hand(pair[0], pair[1] + 1e-3)
    assert g.step(*pair) == 0
    calls = CALLS // 100
    peer = repeated(by_hand, *pair, calls=calls)
    name = f"np.allclose of OpenVLA's expression, from {calls:,} calls"
    ours = repeated(g.step, *pair)
    beside(benchmark, "the same", ours, name, peer, at_least(80, 200), rounds=9, whole=100)
