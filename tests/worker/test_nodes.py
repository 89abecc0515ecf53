"""Worker processes with homes of their own, on a real PostgreSQL and, where there is one, on real S3."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from benchmarks.faults import chaos
from benchmarks.faults.chaos_jobs import EPOCHS, RECIPE, draw_images, tiny_base
from benchmarks.faults.node_jobs import settings_of
from benchmarks.support.forks import Host, Job
from benchmarks.support.links import Link
from benchmarks.support.s3_server import NoS3Server, S3Server
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.runs.queueing import create_run, offer_images
from loravit_web.worker.keeping import CHECKPOINT
from registry import Registry, Run
from tests.registry.postgres_server import NoServer, Server, new_server

BEAT = 0.25
"""A twentieth of the real time; all others are in proportion."""
SECONDS = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this file's own; without PostgreSQL the tests are skipped."""
    try:
        import psycopg  # noqa: F401

        with new_server() as running:
            yield running
    except (ImportError, NoServer) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"not on PostgreSQL: {error}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host("benchmarks.faults.node_jobs", tmp_path_factory.mktemp("host") / "log") as host:
        yield host


@dataclass
class Team:
    """The web node's registry and images, and the address of everything for the others."""

    host: Host
    folder: Path
    registry: Registry
    dataset: ImageDataset
    url: str
    artifacts: str
    environ: dict[str, str]

    def queue(self, name: str, *, actor: str = "ann") -> Run:
        recipe = replace(RECIPE, floor=False)  # so that the trained weights are published and compared
        offer_images(self.registry, self.dataset)
        return create_run(self.registry, tiny_base(), self.dataset, name, recipe, actor=actor)

    def node(self, name: str, *, pause: float = 0.0, url: str | None = None) -> Job:
        return self.host.start(
            "train",
            home=str(self.folder / name),
            url=url or self.url,
            artifacts=self.artifacts,
            environ=self.environ,
            beat=BEAT,
            pause=pause,
        )

    def wait_for(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not happened():
            assert time.monotonic() < deadline, self.registry.runs.list()
            time.sleep(0.02)

    def epochs(self, run: Run) -> int:
        return len(self.registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ()))


@pytest.fixture(params=["folder", "s3"])
def team(
    request: pytest.FixtureRequest,
    server: Server,
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:
    store = store_of(request.param, tmp_path)
    try:
        environ: dict[str, str] = {} if isinstance(store, Path) else store.environment()
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        artifacts = str(store) if isinstance(store, Path) else store.address
        url = new_database(server)
        web = settings_of(tmp_path / "web", url, artifacts)
        images = DatasetStore(web.datasets, workers=1).import_source(draw_images(tmp_path / "images"))
        with Registry.open(web.database_url, web.artifacts) as registry:
            yield Team(host, tmp_path, registry, images, url, artifacts, environ)
    finally:
        if isinstance(store, S3Server):
            store.stop()


def store_of(kind: str, folder: Path) -> Path | S3Server:
    if kind == "folder":
        return folder / "artifacts"
    try:
        store = S3Server(folder / "s3")
    except NoS3Server as error:
        pytest.skip(str(error))
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()  # of an earlier server at another port
    store.start()
    return store


def new_database(server: Server) -> str:
    import psycopg

    name = f"team_{uuid4().hex}"
    address = server.address.replace("+psycopg", "")
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{server.address}/{name}"


def reference(team: Team) -> dict[str, Any]:
    """What an undisturbed run gives."""
    run = team.queue("reference")
    assert team.node("calm").wait() == 0
    return chaos.outcome(team.registry, run.id)


def test_a_run_whose_node_is_killed_continues_on_another_one_and_equals_an_undisturbed_run(
    team: Team,
) -> None:
    straight = reference(team)
    run = team.queue("moved")
    one = team.node("one", pause=0.1)
    team.wait_for(lambda: team.epochs(run) > EPOCHS // 2 and has_checkpoint(team, run))
    two = team.node("two")
    one.signal(signal.SIGKILL)
    assert one.wait() == -signal.SIGKILL
    assert two.wait() == 0
    ended = team.registry.runs.get(run.id)
    assert (ended.status, ended.worker, ended.attempt, ended.take_ups) == ("completed", "two", 2, 1)
    assert chaos.outcome(team.registry, run.id) == straight
    assert not has_checkpoint(team, run)


def has_checkpoint(team: Team, run: Run) -> bool:
    return CHECKPOINT in team.registry.run_files.names(run.id)


def test_a_node_that_was_cut_off_writes_nothing_after_its_run_was_taken_up(team: Team) -> None:
    straight = reference(team)
    run = team.queue("cut")
    with Link(int(team.url.rpartition(":")[2].partition("/")[0])) as link:
        through = team.url.replace(f":{team.url.rpartition(':')[2].partition('/')[0]}/", f":{link.port}/")
        one = team.node("one", pause=0.1, url=through)
        team.wait_for(lambda: team.epochs(run) >= 2)
        two = team.node("two", pause=0.02)
        time.sleep(2 * BEAT)
        link.cut()
        team.wait_for(lambda: team.registry.runs.get(run.id).attempt == 2)
        link.mend()
        assert (one.wait(), two.wait()) == (0, 0)
    ended = team.registry.runs.get(run.id)
    assert (ended.status, ended.published) == ("completed", "cut@1")
    assert ended.attempt >= 2
    assert len(team.registry.catalog.versions("cut")) == 1
    assert chaos.outcome(team.registry, run.id) == straight


def test_two_nodes_train_a_queue_of_two_members_in_turns_and_none_twice(team: Team) -> None:
    runs = [team.queue(f"run-{n}", actor="ann" if n < 4 else "bob") for n in range(6)]
    assert [job.wait() for job in (team.node("one"), team.node("two"))] == [0, 0]
    ended = [team.registry.runs.get(run.id) for run in runs]
    assert {(run.status, run.attempt) for run in ended} == {("completed", 1)}
    assert {run.worker for run in ended} == {"one", "two"}
    order = sorted(ended, key=lambda run: (str(run.started_at), run.id))
    assert [run.created_by for run in order[:4]].count("bob") == 2
