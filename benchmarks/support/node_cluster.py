"""Nodes with machines of their own, on a real PostgreSQL and a real S3 server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.forks import ROOT
from benchmarks.support.homes import embedded_base, with_bases
from benchmarks.support.links import Link
from benchmarks.support.s3_server import S3Server
from loravit_web.backbones import Base
from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.runs.queueing import create_run, offer_images
from loravit_web.settings.environment import Settings
from loravit_web.training.recipe import Recipe
from registry import Registry, Run
from tests.registry.postgres_server import Server, new_server

WAIT_SECONDS = 600.0


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
        """Start ``loravit worker`` on a machine of its own."""
        command = [sys.executable, "-m", "loravit_web", "worker", "--slots", str(slots)]
        with self._running(name, command, {}) as node:
            yield node

    @contextmanager
    def web_node(self, name: str) -> Iterator[Node]:
        """Start ``python app.py`` on a machine of its own."""
        port = free_port()
        environment = {
            "GRADIO_SERVER_PORT": str(port),
            "LORAVIT_MODE": "local",
            "LORAVIT_BUNDLED": "no",
        }
        with self._running(name, [sys.executable, "app.py"], environment) as node:
            node.url = f"http://127.0.0.1:{port}"
            yield node

    @contextmanager
    def _running(self, name: str, command: list[str], environment: dict[str, str]) -> Iterator[Node]:
        with Link(_port(self.postgres)) as database, Link(self.s3.port) as store:
            node = Node(with_bases(self.folder / name), database, store, self.s3, command, environment)
            node.start()
            try:
                yield node
            finally:
                node.kill()


class Node:
    """A machine with a program and its training processes, and with a network that can be cut.

    Attributes:
        home: Its data folder.
        url: Address of its app, if it is a web node.
    """

    def __init__(
        self,
        home: Path,
        database: Link,
        store: Link,
        s3: S3Server,
        command: list[str],
        environment: dict[str, str],
    ) -> None:
        self.home, self._links, self._command, self.url = home, (database, store), command, ""
        self._environment = {
            **os.environ,
            **s3.environment(store.port),
            "LORAVIT_HOME": str(home),
            "LORAVIT_DATABASE_URL": f"postgresql+psycopg://tester@127.0.0.1:{database.port}/postgres",
            "LORAVIT_ARTIFACT_URL": s3.address,
            "LORAVIT_EXECUTOR": "workers",
            "LORAVIT_MAX_TAKE_UPS": "100",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._left_alone: list[int] = []

    def start(self) -> None:
        with (self.home / "node.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    @property
    def workers(self) -> list[int]:
        """Process ids of its training processes."""
        if self._process is None:
            return []
        # of every thread, because the supervisor starts workers on one of its own
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/children")
        return [int(child) for thread in threads for child in thread.read_text().split()]

    def kill(self) -> None:
        """Kill the node and its workers at once, as if the machine lost its power."""
        self.kill_program()
        for worker in self._left_alone:
            kill_process(worker)
        self._left_alone = []

    def kill_program(self) -> None:
        """Kill the program alone, whose workers go on."""
        if self._process is not None:
            self._left_alone += self.workers
            self._process.kill()
            self._process.wait()
            self._process = None

    def is_ready(self) -> bool:
        """Whether its app can answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

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


def wait(happened: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened for {seconds:g} s")
        time.sleep(0.2)


def kill_process(pid: int) -> None:
    """Kill a process, which may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(server: Server) -> int:
    return int(server.address.rpartition(":")[2])
