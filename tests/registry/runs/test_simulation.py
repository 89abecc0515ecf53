"""Workers in simulated time: whatever is slow, killed or cut off, each run ends with one version."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults.simulation import play_all

SEEDS = 4
"""`python -m benchmarks simulation` plays 2,000."""


def test_each_run_has_one_version_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    found = play_all(range(SEEDS), tmp_path)
    assert found.violations == []
    for event in ("kills", "partitions", "take-ups", "runs lost by a worker"):
        assert found.events[event] > 0, event
