"""How time grows with the number of keys and of rows: doublings, with log-log slopes for `plot.py`."""

from __future__ import annotations

from functools import partial

import numpy as np
from comparison import at_most, row, seconds, timed
from execspec_fast import ActionSample, drift_matrix
from workload import DIM, KEYS, ROWS, keys, normal_rows

KEY_COUNTS = [KEYS * 2**k // 4 for k in range(5)]  # 250 to 4,000
ROW_COUNTS = [10 * ROWS // 2**k for k in range(6, -1, -1)]  # 156,250 to 10,000,000


def report(benchmark, name, curve, sizes, times, target):
    """The value is what a doubling costs by the slope of the whole curve, which goes to the plot.

    A single one can cost more, where a table outgrows a cache: the worst is told beside it.
    """
    worst = np.divide(times[1:], times[:-1]).max()
    slope = float(np.polyfit(np.log(sizes), np.log(times), 1)[0])
    benchmark.extra_info.setdefault("curves", []).append(
        {"name": curve, "sizes": sizes, "times": times, "slope": slope}
    )
    ends = f"{seconds(times[0])} at {sizes[0]:,} to {seconds(times[-1])} at {sizes[-1]:,}"
    row(benchmark, name, f"slope {slope:.2f}; {ends}; the worst doubling {worst:.2f} x", 2**slope, target)


def test_twice_the_keys(benchmark):
    maps, sample = keys(KEY_COUNTS[-1]), ActionSample(normal_rows(ROWS), threads=1)
    outs = [np.zeros((count, count, DIM)) for count in KEY_COUNTS]
    np.testing.assert_array_equal(
        drift_matrix(maps, sample, out=outs[-1], threads=1)[: KEY_COUNTS[0], : KEY_COUNTS[0]],
        drift_matrix(maps[: KEY_COUNTS[0]], sample, out=outs[0], threads=1),
    )

    rounds = []

    def every_size():
        rounds.append(
            [timed(partial(drift_matrix, maps[: len(out)], sample, out=out, threads=1), rounds=1) for out in outs]
        )

    benchmark.pedantic(every_size, rounds=5)
    times = np.median(rounds, axis=0).tolist()
    report(
        benchmark, f"growth: K x 2, N = {ROWS:,}", f"query, N = {ROWS:,}, against K", KEY_COUNTS, times, at_most(4.4)
    )


def test_twice_the_rows(benchmark):
    maps, out, rows = keys(KEYS), np.zeros((KEYS, KEYS, DIM)), normal_rows(ROW_COUNTS[-1])
    ActionSample(rows[: ROW_COUNTS[0]], threads=1)
    tables, queries = [], []

    def every_size():
        tables.append([])
        queries.append([])
        for count in ROW_COUNTS:
            tables[-1].append(timed(partial(ActionSample, rows[:count], threads=1)))
            sample = ActionSample(rows[:count], threads=1)
            assert sample.count == count
            drift_matrix(maps, sample, out=out, threads=1)
            queries[-1].append(timed(partial(drift_matrix, maps, sample, out=out, threads=1)))

    benchmark.pedantic(every_size, rounds=3)
    work = f"growth: N x 2, K = {KEYS:,}"
    for what, curve, rounds, target in [
        ("query", f"query, K = {KEYS:,}, against N", queries, at_most(1.15)),
        ("tables", "tables, against N", tables, at_most(2.2)),
    ]:
        report(benchmark, f"{work}, {what}", curve, ROW_COUNTS, np.median(rounds, axis=0).tolist(), target)
