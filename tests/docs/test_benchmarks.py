"""benchmarks/README.md lists the benchmarks that there are, and figures live there alone."""

from __future__ import annotations

import re

import pytest

from benchmarks.__main__ import BENCHMARKS
from tests.docs.markdown import DOCUMENTS, ROOT, names_of, prose_of, rows_of, sections_of

FIGURES = ROOT / "benchmarks" / "README.md"
COMMANDS = rows_of(sections_of(FIGURES, 2)["Commands"])


def test_the_table_lists_exactly_the_benchmarks() -> None:
    assert sorted(names_of(command)[0].split()[0] for _kind, command, _what in COMMANDS) == sorted(BENCHMARKS)


def test_every_figure_has_a_target_a_date_and_a_command() -> None:
    rows = [row for row in rows_of(sections_of(FIGURES, 2)["Faults"]) if len(row) == 5]
    rows += [row for row in rows_of(sections_of(FIGURES, 2)["Speed"]) if len(row) == 5]
    assert len(rows) > 30
    for what, _figure, target, where, command in rows:
        assert target, what
        assert re.match(r"(?:fast|slow|xeon), 2026-\d\d-\d\d", where), what
        name = (names_of(command) or [""])[0].split()[0:1]
        assert command == "same" or name[0] in BENCHMARKS, what


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_benchmark_that_is_named_exists(document) -> None:  # type: ignore[no-untyped-def]
    named = re.findall(r"python -m benchmarks ([a-z-]+)", prose_of(document))
    assert set(named) <= set(BENCHMARKS)
