"""A periodic job goes on after an error, and an error that was to be expected takes one line of the log."""

from __future__ import annotations

from typing import NoReturn

import pytest

from loravit_web.util.periodic import Periodic


def fail() -> NoReturn:
    raise ConnectionError("The database is away.")


def test_an_expected_error_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Periodic("expiry", fail, 60, expected=(ConnectionError,)).run_once()
    (record,) = caplog.records
    assert record.getMessage() == "expiry failed. It is tried again in 60 s. The database is away."
    assert record.exc_info is None


def test_any_other_error_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    Periodic("expiry", fail, 60, expected=(KeyError,)).run_once()
    (record,) = caplog.records
    assert record.exc_info is not None
