"""Separate processes on a registry, which a test starts and kills."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.forks import Host, Job

_SECONDS = 60.0


@dataclass(frozen=True)
class Publisher:
    """A process that publishes until it is killed, and the file of the acknowledged versions."""

    job: Job
    told: Path

    def wait_for(self, count: int) -> None:
        """Until so many versions were acknowledged."""
        deadline = time.monotonic() + _SECONDS
        while len(self.acknowledged()) < count:
            assert not self.job.ended()
            assert time.monotonic() < deadline, self.acknowledged()
            time.sleep(0.002)

    def killed(self) -> list[str]:
        """Kill it; all that was acknowledged before."""
        self.job.signal(signal.SIGKILL)
        assert self.job.wait() == -signal.SIGKILL
        return self.acknowledged()

    def acknowledged(self) -> list[str]:
        return self.told.read_text().split() if self.told.exists() else []


@dataclass(frozen=True)
class Processes:
    """Starts the jobs of `worker_process`; their output is in ``log``."""

    host: Host
    log: Path

    def start(self, function: str, url: str, root: Path, **more: str) -> Job:
        return self.host.start(function, url=url, root=str(root), **more)

    def publisher(self, url: str, root: Path, name: str) -> Publisher:
        told = root.with_name(f"told-{name}")
        return Publisher(self.start("publish_for_ever", url, root, name=name, told=str(told)), told)
