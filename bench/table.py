"""Run every benchmark and print the table of README.md: `python bench/table.py`.

`--write` also puts it into README.md and draws growth.svg. Other arguments go to pytest (`-k sweep`).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from workload import machine

HERE = Path(__file__).parent
SUBJECTS = ("pairs", "survey", "l2", "unnormalize", "growth", "guard")
MARKED = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- /table -->)", re.DOTALL)


def run(arguments: list[str]) -> list[dict[str, Any]]:
    """The `extra_info` of every benchmark, in order."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "bench.json")
        modules = [str(HERE / f"bench_{subject}.py") for subject in SUBJECTS]
        options = ["-q", "--benchmark-json", str(file), "--benchmark-columns=median,iqr,rounds"]
        done = subprocess.run([sys.executable, "-m", "pytest", *modules, *options, *arguments], stdout=sys.stderr)
        if done.returncode:
            sys.exit(done.returncode)
        return [benchmark["extra_info"] for benchmark in json.loads(file.read_text())["benchmarks"]]


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| work | measured | | must | aim | |", "|---|---|---|---|---|---|"]
    for row in rows:
        value = f"{digits(row['value'])} {row['unit']}"
        must, aim = (
            "" if row[key] is None else f"{row['sign']} {row[key]:,g} {row['unit']}" for key in ("must", "aim")
        )
        cells = row["work"], row["measured"], value, must, aim, "" if row["met"] else "missed"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", machine(), ""])


def digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    infos = run([argument for argument in arguments if argument != "--write"])
    text = table([row for info in infos for row in info.get("rows", [])])
    print(text, end="")
    if "--write" in arguments:
        from plot import draw

        draw([curve for info in infos for curve in info.get("curves", [])], HERE / "growth.svg")
        readme = HERE / "README.md"
        readme.write_text(MARKED.sub(lambda _: f"\n{text}\n", readme.read_text()))
