"""CONTRIBUTING.md names the markers that pytest knows, and they choose the tests that it says."""

from __future__ import annotations

import pytest

from tests import markers
from tests.docs.markdown import ROOT, names_of, rows_of, sections_of
from tests.markers import kinds_of

TESTS = sections_of(ROOT / "CONTRIBUTING.md", 2)["Tests"]
MARKERS = {names_of(row[0])[0] for row in rows_of(TESTS)}


def test_the_table_lists_exactly_the_markers_of_the_project(pytestconfig: pytest.Config) -> None:
    own = {*markers.BY_PLACE, *markers.BY_FIXTURE, *markers.BY_PARAMETER}
    known = {line.partition(":")[0].partition("(")[0] for line in pytestconfig.getini("markers")}
    assert own == MARKERS
    assert own <= known


@pytest.mark.parametrize("place", sorted({place for places in markers.BY_PLACE.values() for place in places}))
def test_every_folder_and_file_with_a_marker_exists(place: str) -> None:
    assert (markers.TESTS / place).exists()


def test_a_test_is_marked_by_its_place_its_fixtures_and_its_database() -> None:
    assert kinds_of("browser/test_use.py", [], []) == {"browser", "slow"}
    assert kinds_of("engine/test_cuda.py", [], []) == {"gpu"}
    assert kinds_of("registry/test_users.py", ["registry"], ["postgresql"]) == {"postgres"}
    assert kinds_of("test_service.py", ["embedded_folder"], []) == {"embedded"}
    assert kinds_of("browsers/test_use.py", ["registry"], ["sqlite"]) == set()
