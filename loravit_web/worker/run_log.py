"""What happened in a run, line by line, in a file of its own: for whoever asks why it failed."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

MOST_LINES = 200
_LINE_BYTES = 500
"""More than a line of a log has on average: how far from its end a file is read for so many lines."""
_PATH = re.compile(r"(?:[A-Za-z]:)?[/\\](?:[^/\\\s\"':]+[/\\])+([^/\\\s\"':]+[/\\][^/\\\s\"':]+)")
_PACKAGE = logging.getLogger("loravit_web")
_STEPS = logging.getLogger("loravit_web.steps_of_a_run")
_LOG = logging.getLogger(__name__)


class _RunFile(logging.FileHandler):
    """A log that can't be written, as on a full disk, is told on stderr and ends no training."""

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
def logged(path: Path) -> Iterator[None]:
    """Keep in a file, after what is there, what `tell` is told meanwhile and the package's warnings."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _LOG.warning("The log %s can't be kept (%s); the training goes on.", path.name, error)
        yield
        return
    handler = _RunFile(path)
    _STEPS.setLevel(logging.INFO)
    _STEPS.propagate = False  # other logs need not have every step
    for logger in (_PACKAGE, _STEPS):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in (_PACKAGE, _STEPS):
            logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk refuses the last lines
            handler.close()


def tell(text: str) -> None:
    """Add a line to the log of the run that is going on here."""
    if _STEPS.handlers:
        _STEPS.info("%s", text)


def told_metrics(epoch: int, values: Mapping[str, float]) -> str:
    """What an epoch measured, as a line."""
    return f"epoch {epoch}: " + ", ".join(f"{key} {value:.4g}" for key, value in values.items())


def log_of(folder: Path, run_id: str) -> Path:
    """Where the log of a run is kept."""
    return folder / f"{run_id}.log"


def tail(path: Path, lines: int = MOST_LINES) -> str:
    """The last lines of a log, without the folders of this machine; empty when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - lines * _LINE_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return without_folders("\n".join(deque(text.splitlines(), maxlen=lines)))


def without_folders(text: str) -> str:
    """The text with only the last two parts of every absolute path."""
    return _PATH.sub(lambda found: f"…/{found[1]}", text)
