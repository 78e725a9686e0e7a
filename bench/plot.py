"""`growth.svg`: the curves of `bench_growth.py` on log-log axes, with their slopes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
from matplotlib import pyplot  # noqa: E402


def draw(curves: list[dict[str, Any]], path: Path) -> None:
    """One panel against K, one against N; text stays text, and the same figures give the same bytes."""
    figure, panels = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
    for curve in curves:
        panel = panels[int(curve["name"].endswith("N"))]
        label = f"{curve['name'].rpartition(', against ')[0]}: slope {curve['slope']:.2f}"
        marked = curve["sizes"][::2]
        panel.loglog(curve["sizes"], curve["times"], "o-", markersize=3, label=label)
        panel.set_xticks(marked, [f"{size:,}" for size in marked])
        panel.minorticks_off()
    for panel, axis in zip(panels, ("K, keys", "N, rows"), strict=True):
        panel.set_xlabel(axis)
        panel.grid(True, which="major", linewidth=0.3)
        panel.legend(frameon=False)
    panels[0].set_ylabel("seconds, one thread")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
