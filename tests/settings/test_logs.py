"""Log lines are text for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from loravit_web.settings.environment import SettingsError
from loravit_web.settings.logs import JsonLines, set_up_logs


def record(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("loravit_web.worker", logging.WARNING, "", 0, message, arguments, trace)


def test_a_record_is_one_json_document_in_one_line() -> None:
    line = JsonLines().format(record("Run %s\nof “Kühe” ended.", "ab12"))
    assert "\n" not in line
    document = json.loads(line)
    assert (document["level"], document["logger"]) == ("warning", "loravit_web.worker")
    assert document["message"] == "Run ab12\nof “Kühe” ended."
    assert document["time"].endswith("+00:00")


def test_an_error_is_part_of_the_document() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        document = json.loads(JsonLines().format(record("It failed.", error=error)))
    assert document["error"].endswith("ValueError: broken")


def test_an_unknown_form_is_rejected() -> None:
    with pytest.raises(SettingsError, match="LORAVIT_LOG is xml. Set it to text or json"):
        set_up_logs({"LORAVIT_LOG": "xml"})


@pytest.mark.parametrize(
    ("environ", "always", "formatter"),
    [
        ({}, False, None),
        ({}, True, logging.Formatter),
        ({"LORAVIT_LOG": "text"}, False, logging.Formatter),
        ({"LORAVIT_LOG": "json"}, False, JsonLines),
    ],
)
def test_the_form_is_the_chosen_one(
    environ: dict[str, str], always: bool, formatter: type | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda *, level, handlers: used.extend(handlers))
    set_up_logs(environ, always=always)
    assert [type(handler.formatter) for handler in used] == ([] if formatter is None else [formatter])
    assert all(isinstance(h, logging.StreamHandler) and h.stream is sys.stderr for h in used)
