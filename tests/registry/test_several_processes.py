"""Several processes on one database, and processes that are killed."""

import subprocess
import sys
from pathlib import Path

from registry import Registry

ROOT = Path(__file__).parents[2]


def start(job: str, url: str, artifacts: Path, name: str) -> "subprocess.Popen[str]":
    script = str(Path(__file__).with_name("worker_process.py"))
    return subprocess.Popen(
        [sys.executable, script, job, url, str(artifacts), name],
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def published_numbers(registry: Registry) -> list[int]:
    return sorted(version.version for version in registry.catalog.versions("shared"))


def test_four_processes_create_log_and_publish_at_once_without_losing_a_row(url: str, tmp_path: Path) -> None:
    # all four also meet the missing database at the same instant
    processes = [start("log-and-publish", url, tmp_path / "artifacts", f"worker-{i}") for i in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]

    assert errors == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    with Registry.open(url, tmp_path / "artifacts") as registry:
        runs = registry.runs.list(status=["completed"])
        assert {run.worker for run in runs} == {f"worker-{i}" for i in range(4)}
        for run in runs:
            assert [point.step for point in registry.runs.metrics(run.id)["loss"]] == list(range(25))
            assert registry.runs.summary(run.id)["accuracy"].last == 0.24
        assert published_numbers(registry) == list(range(1, 21))
        assert registry.revision() == 20


def test_a_killed_publisher_leaves_only_whole_versions_with_consecutive_numbers(
    url: str, tmp_path: Path
) -> None:
    acknowledged = []
    for round_, seen in enumerate((1, 4, 7, 10)):
        process = start("publish", url, tmp_path / "artifacts", f"round-{round_}")
        assert process.stdout is not None
        acknowledged += [process.stdout.readline().strip() for _ in range(seen)]
        process.kill()
        acknowledged += process.communicate(timeout=20)[0].split()

    with Registry.open(url, tmp_path / "artifacts") as registry:
        versions = registry.catalog.versions("shared")
        assert published_numbers(registry) == list(range(1, len(versions) + 1))
        assert set(acknowledged) <= {version.ref for version in versions}
        for version in versions:
            content = registry.catalog.read_files(version)
            assert content["adapter_model.safetensors"] == content["task.json"] * 1000
