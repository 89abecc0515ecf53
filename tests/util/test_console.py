from __future__ import annotations

import io

from loravit_web.util.console import progress_printer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_per_kind_of_work_and_quarter() -> None:
    log = io.StringIO()
    tell = progress_printer(log)
    for megabytes in range(0, 101, 5):
        tell(megabytes / 100, f"Fetching {megabytes} of 100 MB")
    tell(0.1, "Converting")
    assert log.getvalue().splitlines() == [
        "  0% Fetching 0 of 100 MB",
        " 25% Fetching 25 of 100 MB",
        " 50% Fetching 50 of 100 MB",
        " 75% Fetching 75 of 100 MB",
        "100% Fetching 100 of 100 MB",
        " 10% Converting",
    ]


def test_a_terminal_gets_one_line_that_is_rewritten() -> None:
    terminal = Terminal()
    tell = progress_printer(terminal)
    tell(0.5, "Half")
    tell(1.0, "Done")
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("100% Done\n")
