"""Log file of each run, to find out why it failed."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

MAX_LINES = 200
"""Maximum number of lines to show."""
_LINE_BYTES = 500
"""More bytes than a line has on average, to find the last lines from the end of the file."""
TAIL_BYTES = MAX_LINES * _LINE_BYTES
_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^/\\\s\"':]+[/\\])+([^/\\\s\"':]+[/\\][^/\\\s\"':]+)")
_PACKAGE = logging.getLogger("loravit_web")
_STEPS = logging.getLogger("loravit_web.steps_of_a_run")
_LOG = logging.getLogger(__name__)


class _RunFile(logging.FileHandler):
    """A log file whose errors, such as a full disk, are reported on stderr and do not end the training."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, delay=True, encoding="utf-8")
        formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != _STEPS.name and record.levelno < logging.WARNING:
            return
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)


@contextlib.contextmanager
def run_log_file(path: Path) -> Iterator[None]:
    """Append the steps of a run and the package's warnings to a log file.

    Args:
        path: Log file of the run.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _LOG.warning(
            "The log %s cannot be written (%s). The training continues without it.", path.name, error
        )
        yield
        return
    handler = _RunFile(path)
    _STEPS.setLevel(logging.INFO)
    _STEPS.propagate = False  # other logs do not need every step
    for logger in (_PACKAGE, _STEPS):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in (_PACKAGE, _STEPS):
            logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk may lose the last lines
            handler.close()


def log_step(text: str) -> None:
    """Add a line to the log of the current run."""
    if _STEPS.handlers:
        _STEPS.info("%s", text)


def metrics_line(epoch: int, values: Mapping[str, float]) -> str:
    """Return the metrics of an epoch as a line."""
    return f"epoch {epoch}: " + ", ".join(f"{key} {value:.4g}" for key, value in values.items())


def log_of(folder: Path, run_id: str) -> Path:
    """Return the path of the log of a run."""
    return folder / f"{run_id}.log"


def tail(path: Path, lines: int = MAX_LINES) -> str:
    """Return the last lines of a log without the folders of this machine, or an empty string.

    Args:
        path: Log file.
        lines: Maximum number of lines.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - lines * _LINE_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return last_lines(text, lines)


def last_lines(text: str, lines: int = MAX_LINES) -> str:
    """Return the last lines of a text without the folders of a machine."""
    return without_folders("\n".join(deque(text.splitlines(), maxlen=lines)))


def without_folders(text: str) -> str:
    """Return the text with only the last two parts of every absolute path."""
    return _PATH.sub(lambda found: f"…/{found[1]}", text)
