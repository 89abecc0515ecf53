"""A real PostgreSQL server for tests, in a temporary folder, on a free port and without syncing to disk."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEBIAN_FOLDERS = "/usr/lib/postgresql"
START_SECONDS = 30
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class NoServer(Exception):
    """The reason why there is no PostgreSQL here."""


def programs() -> Path:
    """Return the folder of PostgreSQL's programs, or raise NoServer if there is none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = [path for path in Path(DEBIAN_FOLDERS).glob("*/bin") if (path / "initdb").exists()]
    if not found:
        raise NoServer("there is no PostgreSQL server here (apt-get install postgresql)")
    return max(found, key=lambda path: int(path.parent.name))


class Server:
    """A server that can be stopped and started on the same port with the same data.

    Attributes:
        address: the address for a superuser, without the name of a database.
    """

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self._user = _unprivileged(folder)
        initdb = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "tester", "--auth=trust"]
        subprocess.run(
            [*initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            **self._user,
        )
        self._port = _free_port()
        self.address = f"postgresql+psycopg://tester@127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [word for name, value in FAST.items() for word in ("-c", f"{name}={value}")]
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    *("-D", str(self._folder / "data"), "-p", str(self._port)),
                    *options,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                **self._user,
            )
        _wait_for(self._binaries, self._port, self._process, log)

    def stop(self) -> None:
        """End the server in the quick way, which cuts all connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server answer nothing, while its connections stay open."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pids = [pid, *(int(child) for child in children)]
        for one in pids:
            os.kill(one, signal.SIGSTOP)
        try:
            yield
        finally:
            for one in pids:
                os.kill(one, signal.SIGCONT)


@contextmanager
def new_server() -> Iterator[Server]:
    """Run a server in its own folder during the block; NoServer without its programs."""
    folder = Path(tempfile.mkdtemp(prefix="loravit-postgres-"))
    try:
        server = Server(programs(), folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_server() -> Iterator[str]:
    """Yield the address of a server, for a superuser, during the block."""
    with new_server() as server:
        yield server.address


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return the options to run the server as another user than root, which it refuses to run as."""
    if os.geteuid() != 0:
        return {}
    names = [entry.pw_name for entry in pwd.getpwall()]
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": folder}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(binaries: Path, port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(ready, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}")
        time.sleep(0.05)
