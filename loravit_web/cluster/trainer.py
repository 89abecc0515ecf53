"""The actor that trains: the same worker as everywhere, kept alive by Ray."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from loravit_web.settings.environment import read_settings
from loravit_web.settings.logs import set_up_logs
from loravit_web.worker.reaper import Reaper
from loravit_web.worker.tracking import HEARTBEAT_SECONDS
from loravit_web.worker.worker import Worker, opened_worker
from registry import RegistryError

_RETRY_SECONDS = 5.0
_WATCH_SECONDS = HEARTBEAT_SECONDS / 2
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainerState:
    """What a trainer says of itself.

    Attributes:
        machine: Name of its machine.
        ray_node: Id of the node of the cluster.
        node: Id under which the registry lists it as a node.
        is_open: Whether it has opened the registry.
        problem: Why it has not, or an empty text.
    """

    machine: str
    ray_node: str
    node: str
    is_open: bool
    problem: str


class Trainer:
    """Trains queued runs on a thread from its creation on, so a restart by Ray needs nobody.

    Settings come from the machine of the actor. Those that all machines have in common come from the caller.

    Args:
        shared: Environment variables that all machines have in common.
    """

    def __init__(self, shared: Mapping[str, str]) -> None:
        os.environ.update(shared)
        set_up_logs(os.environ)
        self._node, self._worker_id = uuid4().hex, uuid4().hex
        self._ended = threading.Event()
        self._worker: Worker | None = None
        self._problem = ""
        self._thread = threading.Thread(target=self._train, name="trainer", daemon=True)
        self._thread.start()

    def state(self) -> TrainerState:
        """Return the state of the actor."""
        import ray

        ray_node = ray.get_runtime_context().get_node_id()
        is_open = self._worker is not None
        return TrainerState(socket.gethostname(), ray_node, self._node, is_open, self._problem)

    def stop(self, seconds: float) -> bool:
        """Hand the current run back, and return whether the thread has ended in time.

        Args:
            seconds: Seconds to wait.
        """
        self._ended.set()
        if self._worker is not None:
            self._worker.terminate.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _train(self) -> None:
        """Train until the end; a registry that cannot be opened is tried again."""
        while not self._ended.is_set():
            try:
                self._open_and_work()
            except RegistryError as error:
                self._problem = str(error)
                _LOG.warning("%s The trainer tries again.", error)
            except Exception:  # noqa: BLE001 - the actor trains on after any error, which is logged
                self._problem = "The worker ended unexpectedly. See its log."
                _LOG.exception("The worker ended unexpectedly and starts again.")
            self._worker = None
            self._ended.wait(_RETRY_SECONDS)

    def _open_and_work(self) -> None:
        settings = read_settings(os.environ)
        with opened_worker(settings, worker_id=self._worker_id, node=self._node) as worker:
            if self._ended.is_set():
                return
            self._worker, self._problem = worker, ""
            ended = threading.Event()
            reporting = threading.Thread(target=self._watch, args=(worker, ended), daemon=True)
            reporting.start()
            try:
                worker.work()
            finally:
                ended.set()
                reporting.join()

    def _watch(self, worker: Worker, ended: threading.Event) -> None:
        """Do what a supervisor does elsewhere: report as a node, and take runs from silent workers.

        A worker that trains does not look for silent ones itself, and no other process may.
        """
        registry = worker.registry
        reaper = Reaper(registry, take_ups=worker.settings.take_ups)
        while not ended.is_set():
            try:
                registry.nodes.report(self._node, socket.gethostname(), 1)
                for run in reaper.reap(living=[self._worker_id]):
                    _LOG.warning("Run %s of %s lost its worker. It is %s now.", run.id, run.slug, run.status)
            except RegistryError as error:
                _LOG.warning("%s The trainer goes on.", error)
            ended.wait(_WATCH_SECONDS)
        try:
            registry.nodes.leave(self._node)
        except RegistryError as error:
            _LOG.warning("%s The trainer is listed as silent for a day.", error)
