"""Several nodes on a real PostgreSQL and a real S3 server, of which some are killed or cut off."""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from benchmarks.support.forks import ROOT
from benchmarks.support.homes import embedded_base, with_bases
from benchmarks.support.links import Link
from benchmarks.support.report import Figure, at_least, at_most, save, show, spread
from benchmarks.support.s3_server import S3Server
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.runs.queueing import create_run, offer_images
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import Recipe, preset_recipe
from loravit_web.worker.keeping import stored_log
from registry import Registry, Run
from tests.registry.postgres_server import Server, new_server

SHORT = preset_recipe(
    "draft",
    image_size=56,
    epochs=3,
    patience=3,
    min_steps=0,
    blocks=1,
    r=2,
    mirror=False,
    max_images=200,
    floor=False,
)
LONG = replace(SHORT, epochs=40, patience=1000)
SEVERAL = replace(SHORT, epochs=10, patience=1000)
MEMBERS = ("ann", "bob")
TAKEN_UP_SECONDS = 40.0
AWAY_SECONDS = 60.0
_WAIT_SECONDS = 600.0
PARTS = ("queue", "kill", "cut", "away", "kills")
SECONDS_BETWEEN_KILLS = (15.0, 45.0)


@dataclass
class Cluster:
    """A database, a store, and the web node's own machine, which trains nothing.

    Attributes:
        folder: Folder with a home for each node.
        dataset: Images that every run trains on; only the web node has them at first.
    """

    folder: Path
    postgres: Server
    s3: S3Server
    registry: Registry
    base: Base
    dataset: ImageDataset

    def queue(self, name: str, recipe: Recipe, *, actor: str = "ann") -> Run:
        offer_images(self.registry, self.dataset)
        return create_run(self.registry, self.base, self.dataset, name, recipe, actor=actor)

    @contextmanager
    def node(self, name: str, *, slots: int = 1) -> Iterator[Node]:
        """Start a node on a machine of its own: its home, and its links to the two servers."""
        with Link(_port(self.postgres)) as database, Link(self.s3.port) as store:
            node = Node(with_bases(self.folder / name), database, store, self.s3, slots)
            node.start()
            try:
                yield node
            finally:
                node.kill()


class Node:
    """``loravit worker --slots N`` and its workers, with a network that can be cut."""

    def __init__(self, home: Path, database: Link, store: Link, s3: S3Server, slots: int) -> None:
        self.home, self._links, self._slots = home, (database, store), slots
        self._environment = {
            **os.environ,
            **s3.environment(store.port),
            "LORAVIT_HOME": str(home),
            "LORAVIT_DATABASE_URL": f"postgresql+psycopg://tester@127.0.0.1:{database.port}/postgres",
            "LORAVIT_ARTIFACT_URL": s3.address,
            "LORAVIT_EXECUTOR": "workers",
            "LORAVIT_MAX_TAKE_UPS": "100",
            "OMP_NUM_THREADS": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "loravit_web", "worker", "--slots", str(self._slots)]
        with (self.home / "node.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill the node and its workers at once, as if the machine lost its power."""
        if self._process is None:
            return
        pid = self._process.pid
        # of every thread, because the supervisor starts workers on one of its own
        children = [tasks.read_text().split() for tasks in Path(f"/proc/{pid}/task").glob("*/children")]
        pids = [int(child) for of_thread in children for child in of_thread]
        for one in (pid, *pids):
            os.kill(one, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def cut(self) -> None:
        for link in self._links:
            link.cut()

    def mend(self) -> None:
        for link in self._links:
            link.mend()

    @property
    def told(self) -> str:
        log = self.home / "logs" / "worker.log"
        return log.read_text(errors="replace") if log.exists() else ""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks nodes [PART ...] [--runs 20] [--kills 100] [--json FILE]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks nodes")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for part in options.parts or PARTS:
        with cluster() as made:
            figures += {
                "queue": lambda made=made: queue_part(made, options.runs),
                "kill": lambda made=made: kill_part(made),
                "cut": lambda made=made: cut_part(made),
                "away": lambda made=made: away_part(made),
                "kills": lambda made=made: kills_part(made, options.kills),
            }[part]()
    title = "worker nodes with homes of their own, PostgreSQL and an S3 server"
    save(options.json, title, figures)
    return show(title, figures)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start the servers, and import the images on the web node's machine."""
    base = embedded_base()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(new_server())
        s3 = stack.enter_context(S3Server(folder / "s3"))
        before = dict(os.environ)
        os.environ.update(s3.environment())
        stack.callback(os.environ.update, before)
        stack.callback(os.environ.clear)
        settings = Settings(
            home=folder / "web",
            database=f"{postgres.address}/postgres",
            artifact_url=s3.address,
            executor="workers",
        ).ensure_home()
        registry = stack.enter_context(Registry.open(settings.database_url, settings.artifacts))
        dataset = DatasetStore.of(settings).import_source("sample:shapes")
        yield Cluster(folder, postgres, s3, registry, base, dataset)


def queue_part(made: Cluster, runs: int) -> list[Figure]:
    """Many runs of two members, and two nodes."""
    queued = [made.queue(f"run-{n}", SHORT, actor=MEMBERS[int(n >= runs // 2)]) for n in range(runs)]
    began = time.monotonic()
    with made.node("one"), made.node("two"):
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()), 3 * _WAIT_SECONDS)
    seconds = time.monotonic() - began
    ended = [made.registry.runs.get(run.id) for run in queued]
    shares = Counter(run.node for run in ended)
    order = "".join(run.created_by[0] for run in sorted(ended, key=lambda run: str(run.started_at)))
    lead = max(abs(order[:n].count("a") - order[:n].count("b")) for n in range(1, len(order) + 1))
    return [
        at_least(f"queue: of {runs} runs, those completed", _completed(ended), runs),
        at_most("queue: runs that were claimed twice", sum(run.attempt > 1 for run in ended), 0),
        at_least("queue: runs of the node that trained fewer", min(shares.values()), runs // 4),
        at_most("queue: runs that one member was ahead", lead, 2, note=order),
        Figure("queue: seconds", f"{seconds:.0f}"),
    ]


def kill_part(made: Cluster) -> list[Figure]:
    """The node that trains is killed in the middle of an epoch."""
    straight = made.queue("straight", LONG)
    with made.node("calm"):
        _wait_for_end(made, straight)
    moved = made.queue("moved", LONG)
    with made.node("one") as one:
        wait(lambda: _epochs(made, moved) >= 10)
        with made.node("two"):
            time.sleep(3)  # within some epoch, and the second node is up
            one.kill()
            epochs, killed = _epochs(made, moved), time.monotonic()
            wait(lambda: _goes_on(made, moved, attempt=2))
            seconds = time.monotonic() - killed
            _wait_for_end(made, moved)
    ended = made.registry.runs.get(moved.id)
    curves = [made.registry.runs.metrics(run.id, ["val_loss", "val_accuracy"]) for run in (straight, moved)]
    weights = [made.registry.catalog.resolve(name).weights_sha256 for name in ("straight", "moved")]
    log = stored_log(made.registry, moved.id, 1 << 20)
    again = log.partition("attempt 2")[2].partition("Epoch ")[2].partition(" ")[0]
    repeated = epochs - int(again or 0) + 1
    return [
        at_most("kill: seconds until another node trains on", seconds, TAKEN_UP_SECONDS, " s"),
        at_most("kill: epochs that were trained twice", repeated, 2, note=f"killed after epoch {epochs}"),
        at_least("kill: the same weights as undisturbed, bit for bit", int(weights[0] == weights[1]), 1),
        at_least("kill: the same curves", int(curves[0] == curves[1]), 1),
        at_most(
            "kill: versions of the run", len(made.registry.catalog.versions("moved")), 1, note=ended.status
        ),
    ]


def cut_part(made: Cluster) -> list[Figure]:
    """The node that trains loses its network for a minute, and goes on computing."""
    run = made.queue("cut", LONG)
    with made.node("one") as one:
        wait(lambda: _epochs(made, run) >= 5)
        with made.node("two"):
            time.sleep(8)
            one.cut()
            cut = time.monotonic()
            wait(lambda: _goes_on(made, run, attempt=2))
            taken = time.monotonic() - cut
            time.sleep(max(0.0, AWAY_SECONDS - taken))
            one.mend()
            _wait_for_end(made, run)
            wait(lambda: "no longer belongs to this worker" in one.told)
    ended = made.registry.runs.get(run.id)
    points = [point.step for point in made.registry.runs.metrics(run.id, ["val_loss"])["val_loss"]]
    return [
        at_most("cut: seconds until another node trains on", taken, TAKEN_UP_SECONDS, " s"),
        at_least("cut: the run is completed by the second attempt", int(_is_second(ended)), 1),
        at_most("cut: versions of the run", len(made.registry.catalog.versions("cut")), 1),
        at_most("cut: epochs that are missing or double", _wrong(points), 0, note=f"{len(points)} epochs"),
    ]


def away_part(made: Cluster) -> list[Figure]:
    """The store is away for a minute, and the database is started again."""
    run = made.queue("away", LONG)
    silences = []
    with made.node("one"):
        wait(lambda: _epochs(made, run) >= 3)
        made.s3.stop()
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            time.sleep(1)
            beats = made.registry.runs.heartbeats()
            silences.append(max((beat.age.total_seconds() for beat in beats), default=0.0))
        made.s3.start()
        made.postgres.stop()
        made.postgres.start()
        _wait_for_end(made, run)
    ended = made.registry.runs.get(run.id)
    return [
        at_least(
            "away: runs that are completed", _completed([ended]), 1, note=ended.error or ended.note or ""
        ),
        at_most("away: runs that were taken up", ended.attempt - 1, 0),
        at_most("away: longest silence without the store", max(silences), 15, " s", spread(silences, " s")),
        at_most("away: versions of the run", len(made.registry.catalog.versions("away")), 1),
    ]


def kills_part(made: Cluster, kills: int) -> list[Figure]:
    """One of two nodes is killed again and again at random moments, and starts again at once."""
    chance = random.Random(0)
    queued: list[Run] = []
    began = time.monotonic()
    with made.node("one") as one, made.node("two") as two:
        for _ in range(kills):
            while made.registry.runs.count("queued") < 2:
                queued.append(made.queue(f"run-{len(queued)}", SEVERAL, actor=MEMBERS[len(queued) % 2]))
            time.sleep(chance.uniform(*SECONDS_BETWEEN_KILLS))
            killed = chance.choice((one, two))
            killed.kill()
            killed.start()
        wait(lambda: not any(made.registry.runs.counts("queued", "running").values()), 3 * _WAIT_SECONDS)
    minutes = (time.monotonic() - began) / 60
    ended = [made.registry.runs.get(run.id) for run in queued]
    versions = [len(made.registry.catalog.versions(run.slug)) for run in ended if run.published is not None]
    maintenance = made.registry.maintenance
    found = maintenance.unreferenced(timedelta(0))
    for file in found:
        maintenance.remove(file, timedelta(0))
    left = len(maintenance.unreferenced(timedelta(0))) + sum(1 for _ in maintenance.broken())
    take_ups = sum(run.take_ups for run in ended)
    return [
        at_most("kills: runs that are lost", len(ended) - _completed(ended), 0, note=f"{len(ended)} runs"),
        at_most("kills: versions too many", sum(versions) - len(versions), 0, note=f"{take_ups} take-ups"),
        at_most("kills: orphans and damaged files after a sweep", left, 0, note=f"{len(found)} before it"),
        Figure("kills: kills and minutes", f"{kills}; {minutes:.0f}"),
    ]


def _is_second(run: Run) -> bool:
    return (run.status, run.attempt) == ("completed", 2)


def _completed(runs: list[Run]) -> int:
    return sum(run.status == "completed" and run.published is not None for run in runs)


def _epochs(made: Cluster, run: Run) -> int:
    return len(made.registry.runs.metrics(run.id, ["val_loss"]).get("val_loss", ()))


def _goes_on(made: Cluster, run: Run, *, attempt: int) -> bool:
    """Whether another worker has taken the run and trains epochs."""
    now = made.registry.runs.get(run.id)
    return now.attempt == attempt and (now.stage or "").startswith("Epoch")


def _wrong(steps: list[int]) -> int:
    return len(steps) - len(set(steps)) + max(steps) - len(set(steps))


def _wait_for_end(made: Cluster, run: Run) -> None:
    def has_ended() -> bool:
        return made.registry.runs.get(run.id).ended_at is not None

    wait(has_ended)


def _port(server: Server) -> int:
    return int(server.address.rpartition(":")[2])


def wait(happened: Callable[[], bool], seconds: float = _WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened for {seconds:g} s")
        time.sleep(0.2)
