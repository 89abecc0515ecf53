"""The app as a process of its own under attack: held to so much memory, watched from outside."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.support.forks import ROOT
from benchmarks.support.sampling import highest

LIMIT = 4 * 1024**3
"""Bytes of memory that the app may have."""
_READY = re.compile(r"is ready: (http://\S+)")
_START_SECONDS, _END_SECONDS = 120.0, 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.02


class NoStart(Exception):
    """The app did not start; the text is the end of its log."""


@dataclass(frozen=True)
class Place:
    """The folders of one app.

    Attributes:
        root: holds everything below.
        home: data folder, ``LORAVIT_HOME``.
    """

    root: Path
    home: Path

    @property
    def uploads(self) -> Path:
        """``GRADIO_TEMP_DIR``."""
        return self.root / "uploads"

    @property
    def scratch(self) -> Path:
        """``TMPDIR``: Gradio keeps an upload there until it is whole."""
        return self.root / "tmp"

    @property
    def log(self) -> Path:
        """Standard output and standard error of the app."""
        return self.root / "app.log"

    def bytes(self) -> int:
        """Size of all files of the app, without the weights of the base and the log."""
        return sum(sizes(self).values())


def sizes(place: Place) -> dict[Path, int]:
    """Size of each file that the app keeps, except the weights of the base."""
    found = {}
    weights = place.home / "bases"
    for folder in (place.home, place.uploads, place.scratch):
        for parent, _folders, names in os.walk(folder):  # goes on where the app deletes what it walks through
            for path in (Path(parent) / name for name in names):
                with contextlib.suppress(FileNotFoundError):
                    if not path.is_relative_to(weights):
                        found[path] = path.stat().st_size
    return found


@dataclass(frozen=True)
class Running:
    """An app that runs.

    Attributes:
        held: what holds its memory, in words; empty where nothing does.
    """

    url: str
    place: Place
    process: subprocess.Popen[bytes]
    held: str

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self.url.rstrip("/").rpartition(":")[2])

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def memory(self) -> float:
        """Resident megabytes now; 0 once the process has ended."""
        return self._status("VmRSS")

    def peak(self) -> float:
        """Most resident megabytes since `forget_peak`; 0 once the process has ended."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin to measure the peak anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu(self) -> float:
        """Seconds of processor time so far; 0 once the process has ended."""
        if not self.alive():
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def busy(self, seconds: float) -> float:
        """Cores that the app keeps busy over the next seconds."""
        before, started = self.cpu(), time.perf_counter()
        time.sleep(seconds)
        return (self.cpu() - before) / (time.perf_counter() - started)

    def log_bytes(self) -> int:
        """Size of the log."""
        return self.place.log.stat().st_size

    def _status(self, name: str) -> float:
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        found = re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) / 1e3 if found else 0.0


@contextmanager
def watched(app: Running) -> Iterator[Callable[[], float]]:
    """Sample the resident memory for a while; the callable gives the most of it, in megabytes."""
    app.forget_peak()
    with highest(lambda: max(app.memory(), app.peak()), every=_SAMPLE_SECONDS) as most:
        yield most


@contextmanager
def running(
    place: Place,
    mode: str,
    port: int,
    variables: Mapping[str, str] | None = None,
    *,
    limit: int | None = None,
    descriptors: int | None = None,
) -> Iterator[Running]:
    """Run ``python -m loravit_web serve`` on the folders of a place; ends with all processes it started.

    Args:
        variables: more of the environment.
        limit: most bytes of memory, if any.
        descriptors: most open files, if any.

    Raises:
        NoStart: if the app ends before it is ready, or is not ready in time.
    """
    for folder in (place.uploads, place.scratch):
        folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "LORAVIT_HOME": str(place.home),
        "LORAVIT_BUNDLED": "no",
        "LORAVIT_MODE": mode,
        "GRADIO_TEMP_DIR": str(place.uploads),
        "TMPDIR": str(place.scratch),
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(variables or {}),
    }
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "loravit_web", "serve", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    let_go: Callable[[], None] = lambda: None  # noqa: E731 - replaced once something holds the process
    try:
        held = ""
        if limit is not None:
            held, let_go = _hold(process.pid, limit)
        url = _url(process, place.log)
        if limit is not None and not held:
            held = _hold_by_rlimit(process.pid, limit)
        if descriptors is not None:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        yield Running(url, place, process, held)
    finally:
        _end(process, place)
        let_go()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if found := _READY.search(text):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise NoStart(log.read_text(errors="replace")[-2000:])


def _end(process: subprocess.Popen[bytes], place: Place) -> None:
    """End the app politely, then for good, with the training processes that it left behind."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
    if process.poll() is None:
        process.kill()
        process.wait()
    mark = f"LORAVIT_HOME={place.home}".encode()
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _hold(pid: int, limit: int) -> tuple[str, Callable[[], None]]:
    """Put a process into a new control group; what holds it, or nothing, and how to let go."""
    own = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    second, first = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
    for root, inside, file, name in (
        (second, own.get("", "/"), "memory.max", "cgroup v2 memory.max"),
        (first, own.get("memory", "/"), "memory.limit_in_bytes", "cgroup v1 memory.limit_in_bytes"),
    ):
        for parent in (root / inside.strip("/"), root):
            folder = parent / f"loravit-hostile-{pid}"
            try:
                folder.mkdir()
            except OSError:
                continue
            try:
                if not (folder / file).exists():
                    raise FileNotFoundError(file)
                (folder / file).write_text(str(limit))
                (folder / "cgroup.procs").write_text(str(pid))
            except OSError:
                folder.rmdir()
                continue
            return name, partial(_remove, folder)
    return "", lambda: None


def _remove(folder: Path) -> None:
    """Remove a control group, once the processes in it are gone."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)


def _hold_by_rlimit(pid: int, limit: int) -> str:
    """Limit the data segment; what a started app has reserved and not used does not count."""
    kilobytes = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M))
    most = limit + 1024 * (int(kilobytes["VmData"]) - int(kilobytes["RssAnon"]))
    resource.prlimit(pid, resource.RLIMIT_DATA, (most, most))
    return "RLIMIT_DATA"
