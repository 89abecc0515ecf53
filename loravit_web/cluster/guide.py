"""Follows where the replicas of a cluster listen, by a process of its own that is connected to Ray.

Ray ends a process that has not reached the head node for a minute. The app must not end with it, and the
replicas that are left go on answering meanwhile.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Protocol

from loravit_web.cluster.channel import Address, Channel, ChannelLost
from loravit_web.cluster.cluster import check_is_shared, no_ray
from loravit_web.cluster.replicas import Replicas
from loravit_web.settings.environment import Settings

FIRST_SECONDS = 20.0
"""Seconds that the app waits at its start for the first word of the process."""
SILENT_SECONDS, RETRY_SECONDS = 30.0, 3.0
"""Seconds of silence after which the process is replaced, and from its end to the next one."""
_LOG = logging.getLogger(__name__)


class Process(Protocol):
    """A process as `subprocess.Popen` starts it."""

    def kill(self) -> None:
        """End the process at once."""

    def wait(self) -> int:
        """Return the exit code of the process."""


Start = Callable[[Connection], Process]
"""Starts the process, which writes to the connection; see `guide_job`."""


class Guide:
    """Knows the replicas of a cluster. Thread-safe.

    What it last heard stays valid while the process or the head node is away.

    Args:
        start: Starts the process.
        silent: Seconds of silence after which it is replaced.
        retry: Seconds from its end to the next one.
    """

    def __init__(self, start: Start, *, silent: float = SILENT_SECONDS, retry: float = RETRY_SECONDS) -> None:
        self._start, self._silent, self._retry = start, silent, retry
        self._addresses: Mapping[str, Address] = {}
        self._problem = ""
        self._heard, self._closing = threading.Event(), threading.Event()
        self._process: Process | None = None
        self._thread = threading.Thread(target=self._follow, name="guide", daemon=True)

    def open(self, seconds: float) -> None:
        """Start the process, and wait some seconds for its first word."""
        self._thread.start()
        self._heard.wait(seconds)

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def names(self) -> frozenset[str]:
        """Return the names of the replicas that were last heard of."""
        return frozenset(self._addresses)

    def channel(self, name: str) -> Channel:
        """Return a channel to a replica.

        Raises:
            ChannelLost: If no such replica is known.
        """
        address = self._addresses.get(name)
        if address is None:
            raise ChannelLost(self._problem or "no replica is known")
        return Channel(address)

    def _follow(self) -> None:
        while not self._closing.is_set():
            heard, tells = Pipe(duplex=False)
            with heard:
                with tells:  # so that its end is noticed here
                    self._process = process = self._start(tells)
                has_told = self._listen(heard)
            process.kill()
            process.wait()
            if not has_told and not self._closing.is_set():
                self._take({"problem": "The Ray cluster does not answer."})
            self._closing.wait(self._retry)

    def _listen(self, heard: Connection) -> bool:
        """Take what the process tells until it ends or is silent, and return whether it told anything."""
        has_told = False
        try:
            while not self._closing.is_set() and heard.poll(self._silent):
                self._take(json.loads(heard.recv_bytes()))
                has_told = True
        except EOFError:
            pass  # it has ended
        return has_told

    def _take(self, told: dict[str, Any]) -> None:
        problem = told.get("problem", "")
        if problem and problem != self._problem:
            _LOG.warning("%s The app looks for replicas again.", problem)
        if not problem:
            self._addresses = {
                name: Address(host, port, bytes.fromhex(key))
                for name, (host, port, key) in told["replicas"].items()
            }
        self._problem = problem
        self._heard.set()


def start_process(tells: Connection) -> subprocess.Popen[bytes]:
    """Start the process that is connected to Ray."""
    command = [sys.executable, "-m", "loravit_web.cluster.guide_job", str(tells.fileno())]
    # in a session of its own, because Ctrl-C is for the app, which ends it
    return subprocess.Popen(
        command, pass_fds=[tells.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
    )


@contextmanager
def asking(settings: Settings) -> Iterator[Replicas]:
    """Ask the replicas of the cluster at `RAY_ADDRESS`, or of that of this machine.

    A cluster without replicas, or none, is looked for again and again, and answers say so meanwhile.

    Raises:
        NoRay: If Ray is not installed.
        NotForRay: If the cluster is elsewhere, and the database or the store is on this machine only.
    """
    if find_spec("ray") is None:
        raise no_ray()
    if os.environ.get("RAY_ADDRESS"):
        check_is_shared(settings)
    guide = Guide(start_process)
    guide.open(FIRST_SECONDS)
    replicas = Replicas(guide.names, guide.channel, settings.base)
    try:
        yield replicas
    finally:
        guide.close()
        replicas.close()
