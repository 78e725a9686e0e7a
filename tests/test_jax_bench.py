"""The GPU benchmark runs on anything, and times only right answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "gpu.py"


def test_every_row_of_the_gpu_table_is_there(tmp_path):
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--small", "--to", tmp_path], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for start in ("answers:", "copy", "unnormalize", "sample", "mean_abs", "  the core", "  brute", "p99", "mean_l2"):
        assert any(line.startswith(start) for line in lines), (start, done.stdout)
    assert sum(line.startswith("  the core") for line in lines) == 2
    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text())
    assert file.name == f"{found['device']}.json"
    assert "jax " in found["machine"]
    assert len(found["rows"]) == len(lines) - 4
    assert all(row["run_s"] > 0 for row in found["rows"])
