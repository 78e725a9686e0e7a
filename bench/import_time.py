"""What `import execspec_fast` costs beside `import numpy`: `python bench/import_time.py`.

Medians of 10 alternating runs of a fresh interpreter, in seconds, the start of Python included.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 10


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    statements = ["import numpy", "import execspec_fast"]
    for statement in statements:
        seconds(statement)  # fills the page cache and the compiled files
    runs = [[seconds(statement) for statement in statements] for _ in range(RUNS)]
    numpy, ours = (statistics.median(times) for times in zip(*runs, strict=True))
    print(f"import numpy {numpy:.3f} s, import execspec_fast {ours:.3f} s, ratio {ours / numpy:.2f}")
