"""A real PostgreSQL server for tests: in a temporary folder, on a free port, careless of its disk."""

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
    """Why there is no PostgreSQL here."""


def programs() -> Path:
    """The folder of PostgreSQL's programs; NoServer when there is none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = [path for path in Path(DEBIAN_FOLDERS).glob("*/bin") if (path / "initdb").exists()]
    if not found:
        raise NoServer("there is no PostgreSQL server here (apt-get install postgresql)")
    return max(found, key=lambda path: int(path.parent.name))


@contextmanager
def running_server() -> Iterator[str]:
    """The address of a server that lives as long as the block, for a user who may do everything."""
    folder = Path(tempfile.mkdtemp(prefix="loravit-postgres-"))
    try:
        yield from _serve(programs(), folder)
    finally:
        shutil.rmtree(folder)


def _serve(binaries: Path, folder: Path) -> Iterator[str]:
    user = _unprivileged(folder)
    data = folder / "data"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "tester", "--auth=trust"]
    subprocess.run(
        [*initdb, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, capture_output=True, **user
    )
    port = _free_port()
    options = [word for name, value in FAST.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            **user,
        )
    try:
        _wait_for(binaries, port, server, folder / "log")
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}"
    finally:
        # the quick end: connections are cut
        server.send_signal(signal.SIGINT)
        server.wait(START_SECONDS)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """The server refuses to run as root, so there it runs as the user that Debian made for it."""
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
