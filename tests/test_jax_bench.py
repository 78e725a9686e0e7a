"""The GPU benchmark runs on anything, and times only right answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "gpu.py"


def test_every_row_of_the_gpu_table_is_there():
    env = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, SCRIPT, "--small"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for start in ("answers:", "copy", "unnormalize", "sample", "mean_abs", "  the core", "  brute", "p99", "mean_l2"):
        assert any(line.startswith(start) for line in lines), (start, done.stdout)
