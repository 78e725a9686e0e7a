"""A registry of 10,000 keys, summarised while its 10^8 ordered pairs stream by: wall time and peak memory.

Run as a program it does that work once, in a process of its own, and prints its figures as JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
from comparison import at_most, row
from execspec_fast import ActionSample, drift_matrix
from execspec_fast.survey import survey
from workload import ROWS, keys, normal_rows

KEYS = 10_000
THREADS = 2


def summarise(keys_count, rows_count):
    maps, rows = keys(keys_count), normal_rows(rows_count)
    start = time.perf_counter()
    sample = ActionSample(rows, threads=THREADS)
    summary = survey(maps, sample, metric="mean", threads=THREADS)
    return maps, sample, summary, time.perf_counter() - start


def test_streamed_summary(benchmark):
    maps, sample, summary, _ = summarise(100, 10_000)
    drifts = drift_matrix(maps, sample, "mean") + np.diag(np.full(len(maps), np.inf))
    np.testing.assert_array_equal(summary.nearest.index[:, 0], drifts.argmin(axis=1))
    command = [sys.executable, __file__, str(KEYS), str(ROWS)]
    done = benchmark.pedantic(subprocess.run, (command,), {"check": True, "capture_output": True}, rounds=1)
    took, peak = json.loads(done.stdout)
    work = f"K = {KEYS:,} ({KEYS**2:,} ordered pairs), N = {ROWS:,}, streamed summary of the mean, {THREADS} threads"
    row(benchmark, work, "sample and summary, a fresh process", took, at_most(60, aim=15, unit="s"))
    row(benchmark, "peak RSS of that process", "getrusage, rows and keys included", peak, at_most(1.5, unit="GB"))


if __name__ == "__main__":
    took = summarise(int(sys.argv[1]), int(sys.argv[2]))[-1]
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9]))
