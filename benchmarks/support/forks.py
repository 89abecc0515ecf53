"""Processes that start in milliseconds: a host that has imported everything once forks each of them.

The host has one thread and computes nothing itself, so a fork of it is as good as a process of its own, and
killing one is killing a process.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Job:
    """A process that was started by a host."""

    def __init__(self, host: Host, pid: int) -> None:
        self.pid, self._host = pid, host
        self.status: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; it may have ended, but its id is not another's before `wait`."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status, negative for the signal that ended it."""
        if self.status is None:
            self.status = int(self._host.ask({"wait": self.pid})["status"])
        return self.status

    def ended(self) -> bool:
        """Whether it has ended; never waits."""
        if self.status is None:
            self.status = self._host.ask({"look": self.pid})["status"]
        return self.status is not None


class Host:
    """Starts functions of a module as processes of their own."""

    def __init__(self, module: str, log: Path) -> None:
        """
        Args:
            module: its functions take keyword arguments that JSON can hold; ``warm_up`` is called before the
                first fork.
            log: where the processes write what they have to say.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.support.forks", module, str(log)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, function: str, **arguments: Any) -> Job:
        """Call a function of the module in a process of its own."""
        return Job(self, self.ask({"start": function, "arguments": arguments})["pid"])

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """One question to the host and its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Host:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # the host kills what it started and ends
        self._process.wait()


def _serve(module: Any, log: str) -> None:
    module.warm_up()
    living: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        if "start" in question:
            pid = os.fork()
            if pid == 0:
                _become(getattr(module, question["start"]), question["arguments"], log)
            living.add(pid)
            answer: dict[str, int | None] = {"pid": pid}
        else:
            pid = question.get("wait") or question["look"]
            found, status = os.waitpid(pid, 0 if "wait" in question else os.WNOHANG)
            ended = found == pid
            answer = {"status": os.waitstatus_to_exitcode(status) if ended else None}
            living -= {pid} if ended else set()
        print(json.dumps(answer), flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _become(function: Any, arguments: dict[str, Any], log: str) -> None:
    """Be the forked process: its streams are the log, and it never returns into the host's loop."""
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        function(**arguments)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, it is the end of this process
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    _serve(importlib.import_module(sys.argv[1]), sys.argv[2])
