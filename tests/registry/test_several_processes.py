"""Several processes on one database, and processes that are killed."""

from pathlib import Path

from registry import Registry
from tests.registry.conftest import only_sqlite
from tests.registry.processes import Processes


def published_numbers(registry: Registry) -> list[int]:
    return sorted(version.version for version in registry.catalog.versions("shared"))


def test_four_concurrent_processes_create_log_and_publish_without_losing_a_row(
    url: str, tmp_path: Path, processes: Processes
) -> None:
    # all four also find the database missing at the same time
    root = tmp_path / "artifacts"
    jobs = [processes.start("log_and_publish", url, root, name=f"worker-{i}") for i in range(4)]
    statuses = [job.wait() for job in jobs]

    assert processes.log.read_text() == ""
    assert statuses == [0] * 4
    with Registry.open(url, root) as registry:
        runs = registry.runs.list(status=["completed"])
        assert {run.worker for run in runs} == {f"worker-{i}" for i in range(4)}
        for run in runs:
            assert [point.step for point in registry.runs.metrics(run.id)["loss"]] == list(range(25))
            assert registry.runs.summary(run.id)["accuracy"].last == 0.24
        assert published_numbers(registry) == list(range(1, 21))
        assert registry.revision() == 20


def test_a_killed_publisher_leaves_only_complete_versions_with_consecutive_numbers(
    url: str, tmp_path: Path, processes: Processes
) -> None:
    acknowledged = []
    for round_, seen in enumerate((1, 4, 7, 10)):
        publisher = processes.publisher(url, tmp_path / "artifacts", f"round-{round_}")
        publisher.wait_for(seen)
        acknowledged += publisher.killed()

    with Registry.open(url, tmp_path / "artifacts") as registry:
        versions = registry.catalog.versions("shared")
        assert published_numbers(registry) == list(range(1, len(versions) + 1))
        assert set(acknowledged) <= {version.ref for version in versions}
        for version in versions:
            content = registry.catalog.read_files(version)
            assert content["adapter_model.safetensors"] == content["task.json"] * 1000


@only_sqlite
def test_a_publisher_stops_if_its_database_is_moved_away_and_no_acknowledged_version_is_lost(
    url: str, tmp_path: Path, processes: Processes
) -> None:
    publisher = processes.publisher(url, tmp_path / "artifacts", "robbed")
    publisher.wait_for(3)
    (tmp_path / "data" / "registry.db").unlink()
    assert publisher.job.wait() not in (0, None)
    rescued = tmp_path / "data" / "backups" / "registry-rescued-1.db"
    assert not (tmp_path / "data" / "registry.db").exists()
    with Registry.open(f"sqlite:///{rescued}", tmp_path / "artifacts") as registry:
        versions = {version.ref for version in registry.catalog.versions("shared")}
    assert set(publisher.acknowledged()) <= versions
