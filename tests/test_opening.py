"""The base is loaded while Gradio is imported and the page built; a failed start gives everything back."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loravit_web import opening
from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.temporary import TemporaryFolderUnusable
from loravit_web.util import cores
from loravit_web.util.heap import pause_collection
from tests.conftest import tiny_service


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an app whose base is tiny."""
    monkeypatch.setattr(opening, "Service", lambda settings, progress, answerer: tiny_service(settings))
    yield replace(settings, bundled=False)
    gc.unfreeze()
    assert cores._gathered is None


def test_an_opened_app_has_its_base_and_its_page(settings: Settings) -> None:
    app = opening.open_app(settings)
    assert app.service._predictor is not None
    assert app.service._base is not None
    assert app.demo.fns
    app.close()


def test_a_folder_for_temporary_files_that_belongs_to_others_is_told_before_anything_is_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def opened(_settings: Settings, **_parts: object) -> Service:
        raise AssertionError("The service was opened.")

    monkeypatch.setattr(opening, "Service", opened)
    (tmp_path / "gradio").write_text("a file cannot be written into, even by root")
    with pytest.raises(TemporaryFolderUnusable, match="cannot be written .*Set GRADIO_TEMP_DIR to a folder"):
        opening.open_app(replace(settings, uploads=tmp_path / "gradio" / "files"))


def test_the_garbage_collector_is_paused_until_the_app_is_opened(settings: Settings) -> None:
    pause_collection()
    assert not gc.isenabled()
    app = opening.open_app(settings)
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    app.close()


def test_a_start_that_fails_is_told_and_gives_back_the_cores(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Any] = []
    close = Service.close
    monkeypatch.setattr(Service, "close", lambda service: (closed.append(service), close(service)))

    def start(_service: Service) -> None:
        raise LoraVitError("The base is damaged. Delete its file.")

    monkeypatch.setattr(Service, "start", start)
    with pytest.raises(LoraVitError, match="The base is damaged"):
        opening.open_app(settings)
    assert len(closed) == 1
