"""What every test shares: seeds, hypothesis profile, and the real data beside the repository where it is present."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "execspec",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],  # hostile figures are often unusable
)
settings.load_profile("execspec")

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"real data not present: {folder}")
    return folder


@pytest.fixture
def shared_registry() -> Path:
    """Real checkpoint metadata in native layouts."""
    return _shared("registry")


@pytest.fixture
def shared_trajectories() -> Path:
    """Real and scripted actions."""
    return _shared("trajectories")
