"""settings.md names every environment variable that the code reads, with its default."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import fields

import pytest

from loravit_web.settings.environment import read_settings
from loravit_web.settings.limits import Limits, variable_of
from loravit_web.util.openmp import share_cores
from tests.docs.environment import variables_read
from tests.docs.markdown import DOCS, DOCUMENTS, names_of, prose_of, rows_of, sections_of

SECTIONS = sections_of(DOCS / "settings.md", 2)
LIBRARIES, FILES = "Read by libraries", "Files in `LORAVIT_HOME`"
OWN = [row for title, text in SECTIONS.items() if title not in (LIBRARIES, FILES) for row in rows_of(text)]
DEFAULTS = {names_of(variable)[0]: default for variable, _meaning, default in OWN}
VALUES = {
    variable: match[1]
    for variable, default in DEFAULTS.items()
    if (match := re.fullmatch(r"`?([\w.:,~/-]+)`?", default)) and default != "none"
}
"""Defaults that are values, by variable; the others are described in words."""
NOT_SETTINGS = {"GRADIO_ANALYTICS_ENABLED", "GRADIO_SERVER_NAME", "GOMP_SPINCOUNT", "RAY_USAGE_STATS_ENABLED"}
"""Variables that no setting comes from."""


def test_the_tables_list_exactly_the_variables_that_the_code_reads() -> None:
    assert set(DEFAULTS) == variables_read()


def test_no_variable_is_listed_twice() -> None:
    libraries = [names_of(row[0])[0] for row in rows_of(SECTIONS[LIBRARIES])]
    listed = Counter([names_of(row[0])[0] for row in OWN] + libraries)
    assert {variable: count for variable, count in listed.items() if count > 1} == {}


@pytest.mark.parametrize("variable", sorted(set(VALUES) - NOT_SETTINGS))
def test_a_variable_that_is_set_to_its_default_changes_nothing(variable: str) -> None:
    assert read_settings({variable: VALUES[variable]}) == read_settings({})


@pytest.mark.parametrize("name", [one.name for one in fields(Limits)])
def test_every_limit_is_listed_with_a_number_as_its_default(name: str) -> None:
    assert VALUES[variable_of(name)] == str(getattr(Limits(), name))


def test_the_spin_of_idle_threads_is_the_documented_one() -> None:
    environ: dict[str, str] = {}
    share_cores(environ)
    assert environ == {"GOMP_SPINCOUNT": VALUES["GOMP_SPINCOUNT"]}


def test_most_defaults_are_values_that_are_tried() -> None:
    assert len(set(VALUES) - NOT_SETTINGS) >= 30


def test_every_variable_that_another_document_names_is_in_the_tables() -> None:
    named = {
        name
        for document in DOCUMENTS
        for code in names_of(prose_of(document))
        for name in re.findall(r"\bLORAVIT_[A-Z_]+[A-Z]\b(?![_*])", code)
    }
    assert named - {"LORAVIT_DEMO", "LORAVIT"} <= set(DEFAULTS)


def test_the_files_of_the_data_folder_are_those_of_the_settings() -> None:
    settings = read_settings({"LORAVIT_HOME": "/home"})
    folders = (settings.bases, settings.datasets, settings.pools, settings.backups, settings.work)
    logs = settings.worker_log.parent
    caches = (settings.artifact_cache.parent, settings.snapshot_scratch.parent)
    named = {names_of(row[0])[0].rstrip("/") for row in rows_of(SECTIONS[FILES])}
    assert named == {folder.name for folder in (*folders, logs, *caches)} | {
        "registry.db",
        "secret.key",
        "artifacts",
    }
