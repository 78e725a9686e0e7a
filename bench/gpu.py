"""The JAX path on this machine's accelerator: answers first, then times beside what the card can do at best.

python bench/gpu.py            # minutes on a GPU; writes results/<card>.json there
python bench/gpu.py --small    # seconds, on anything: is everything still right?

Float32, D = 7, all actions and keys on the device. Bytes and operations are counted below, before anything is measured.
Compilation is timed apart. Aims are for an H100.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import execspec_fast as es
import execspec_fast.jax as esj
import jax
import jax.numpy as jnp
import numpy as np
from workload import DIM, keys, machine, normal_rows, scales_offsets

BOUND = 1e-6  # relative, of every figure in float32
RESULTS = Path(__file__).parent / "results"
PEAK = {"H100": 67e12, "H200": 67e12, "A100": 19.5e12}  # float32 operations per second, from NVIDIA's data sheets
ROW_OPERATIONS = 4 * DIM + 2  # of one pair on one row: two multiply-adds per channel, a root, a sum


def compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], float]:
    """The program for these arguments, and the seconds it took to compile."""
    start = perf_counter()
    program = jax.jit(function).lower(*arguments).compile()
    return program, perf_counter() - start


def seconds(call: Callable[..., Any], *arguments: Any, rounds: int = 5) -> float:
    """Median, after a warm-up."""
    jax.block_until_ready(call(*arguments))
    times = []
    for _ in range(rounds):
        start = perf_counter()
        jax.block_until_ready(call(*arguments))
        times.append(perf_counter() - start)
    return median(times)


class Report:
    """Rows of the table, printed as they come."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        print(f"{'work':<52}{'compile':>10}{'run':>12}  beside")

    def add(self, work: str, run: float, compile_time: float | None = None, beside: str = "", **numbers: float) -> None:
        self.rows.append({"work": work, "run_s": run, "compile_s": compile_time, "beside": beside, **numbers})
        compiling = f"{compile_time:.2f} s" if compile_time is not None else ""
        print(f"{work:<52}{compiling:>10}{run * 1e3:>9.3f} ms  {beside}", flush=True)


def check(got: Any, want: np.ndarray, what: str) -> None:
    """Against the core's float64 figures; a wrong answer is not timed."""
    difference = np.abs(np.asarray(got, np.float64) - want)
    assert (difference <= BOUND * np.abs(want)).all(), f"{what}: off by {np.nanmax(difference / np.abs(want)):.1e}"


def answers(rows: int) -> None:
    specs, u = keys(12), normal_rows(rows).astype(np.float32)
    sample, maps = esj.ActionSample.of(u, "float32"), esj.Maps.of(specs, "float32")
    for metric in ("mean_abs", "p99", "mean_l2"):
        check(esj.drift_matrix(maps, sample, metric), es.drift_matrix(specs, u, metric), metric)
    got, want = esj.unnormalize(specs[0], jnp.asarray(u)), specs[0](u.astype(np.float64))
    reach = max(1.0, float(np.abs(want).max()))
    assert np.abs(got - want).max() <= 4 * np.finfo(np.float32).eps * reach, "unnormalize"
    print(f"answers: mean_abs, p99, mean_l2 within {BOUND:g}, unnormalize within 4 eps, on {rows:,} rows\n")


def bandwidth(report: Report, rows: int) -> None:
    """Un-normalizing reads and writes every action once: 8 bytes each, as a copy does."""
    u = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (rows, DIM)), jnp.float32)
    copy, _ = compiled(lambda x: x + 0.0, u)
    copied = seconds(copy, u)
    rate = 2 * u.nbytes / copied
    report.add(f"copy {rows:,} x {DIM}", copied, beside=f"{rate / 1e9:,.0f} GB/s", bytes_per_s=rate)
    table = esj.Table.of(keys(1)[0], "float32")
    program, took = compiled(esj.unnormalize, table, u)
    run = seconds(program, table, u)
    share = copied / run
    report.add(f"unnormalize {rows:,} x {DIM}", run, took, f"{share:.2f} of the copy (aim 0.85)", of_copy=share)


def pairs(report: Report, counts: tuple[int, ...], sample: esj.ActionSample, host: es.ActionSample) -> None:
    """A look per pair and channel is a bisection of log2(N) gathers; writing the figures alone is 4 bytes each."""
    aims = {1_000: 0.05, 10_000: 1.0}
    for count in counts:
        specs = keys(count)
        maps = esj.Maps.of(specs, "float32")
        program, took = compiled(lambda maps, sample: esj.drift_matrix(maps, sample, "mean_abs"), maps, sample)
        run = seconds(program, maps, sample, rounds=3)
        aim = f"(aim {aims[count]} s)" if count in aims else ""
        rate = count**2 * DIM / run
        report.add(f"mean_abs, K = {count:,}", run, took, f"{rate:.2e} figures/s {aim}", per_s=rate)
    specs, count = keys(counts[0]), counts[0]
    start = perf_counter()
    es.drift_matrix(specs, host)
    report.add(f"  the core on the host, K = {count:,}", perf_counter() - start)
    some = min(count, 32)
    scale, offset = (jnp.asarray(x[:some], jnp.float32) for x in scales_offsets(specs))

    def brute(scale: jax.Array, offset: jax.Array, rows: jax.Array) -> jax.Array:
        def pair(i: jax.Array, j: jax.Array) -> jax.Array:
            alpha, beta = scale[j] - scale[i], offset[j] - offset[i]
            return jnp.abs(alpha[:, None] * rows + beta[:, None]).mean(axis=1)

        every = jnp.arange(some)
        return jax.lax.map(lambda i: jax.vmap(lambda j: pair(i, j))(every), every)

    program, took = compiled(brute, scale, offset, sample.rows)
    run = seconds(program, scale, offset, sample.rows, rounds=2) * (count / some) ** 2
    report.add(f"  brute force, vmap, K = {count:,} from {some}", run, took)
    maps = esj.Maps.of(specs, "float32")
    program, took = compiled(lambda maps, sample: esj.drift_matrix(maps, sample, "p99"), maps, sample)
    run = seconds(program, maps, sample, rounds=3)
    report.add(f"p99, K = {count:,}", run, took, f"{count**2 * DIM / run:.2e} figures/s")


def joint(report: Report, count: int, sample: esj.ActionSample, host: es.ActionSample) -> None:
    """Half of the ordered pairs on every row: two multiply-adds of a channel need 4 bytes, which many pairs share."""
    specs = keys(count)
    maps = esj.Maps.of(specs, "float32")
    program, took = compiled(lambda maps, sample: esj.drift_matrix(maps, sample, "mean_l2"), maps, sample)
    run = seconds(program, maps, sample, rounds=2)
    rate = count**2 / 2 * sample.count * ROW_OPERATIONS / run
    peak = next((flops for name, flops in PEAK.items() if name in jax.devices()[0].device_kind), None)
    share = f", {rate / peak:.2f} of peak" if peak else ""
    report.add(f"mean_l2, K = {count:,}", run, took, f"{rate:.2e} operations/s{share} (aim 1 s)", operations_per_s=rate)
    some = min(count, 32)
    start = perf_counter()
    es.drift_matrix(specs[:some], host, "mean_l2")
    run = (perf_counter() - start) * (count / some) ** 2
    report.add(f"  the core on the host, K = {count:,} from {some}", run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a few keys and rows: checks the script, measures nothing")
    parser.add_argument("--to", type=Path, help="folder for the figures as JSON; of a whole run on a GPU, results/")
    asked = parser.parse_args()
    small, device = asked.small, jax.devices()[0]
    count, more, rows, batch = (8, 12, 2_000, 10_000) if small else (1_000, 10_000, 1_000_000, 50_000_000)
    print(f"{device.device_kind} ({device.platform}), {machine()}")
    answers(rows)
    report = Report()
    bandwidth(report, batch)
    u = normal_rows(rows).astype(np.float32)
    on_device = jnp.asarray(u)
    program, took = compiled(lambda u: esj.ActionSample.of(u, "float32"), on_device)
    report.add(f"sample of {rows:,} rows, sort and sums", seconds(program, on_device, rounds=3), took)
    sample = program(on_device)
    host = es.ActionSample(u)
    pairs(report, (count, more), sample, host)
    joint(report, count, sample, host)
    folder = asked.to or (RESULTS if device.platform == "gpu" and not small else None)
    if folder:
        folder.mkdir(exist_ok=True)
        file = folder / f"{re.sub(r'[^a-z0-9]+', '-', device.device_kind.lower())}.json"
        driver, memory = device.client.platform_version, device.memory_stats() or {}
        found = {"device": device.device_kind, "driver": driver, "machine": machine(), "rows": report.rows}
        file.write_text(json.dumps(found | {"peak_bytes": memory.get("peak_bytes_in_use")}, indent=2) + "\n")


if __name__ == "__main__":
    main()
