"""The form of log lines: text for people, or JSON for programs that collect logs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import datetime, timezone

from loravit_web.settings.environment import SettingsError

_TEXT = "%(asctime)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A formatter that writes each record as a JSON document in a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        document = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["error"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def set_up_logs(environ: Mapping[str, str], *, always: bool = True) -> None:
    """Send the log to standard error in the form that the environment chooses.

    Args:
        environ: Environment variables.
        always: Whether to do so where the environment chooses no form too.

    Raises:
        SettingsError: If the form is unknown.
    """
    form = environ.get("LORAVIT_LOG", "").strip().lower()
    if form not in ("", "text", "json"):
        raise SettingsError(f"LORAVIT_LOG is {form}. Set it to text or json.")
    if not form and not always:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
