"""A running app over a tiny base, with one published adapter."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.launch import App
from loravit_web.visibility import Seen
from tests.conftest import make_colours, tiny_service
from tests.ui.catalog.catalog_page import CatalogPage


@dataclass(frozen=True)
class RunningApp:
    """Where the app listens, its page and service, and a folder of images for it."""

    url: str
    demo: gr.Blocks
    service: Service
    images: Path

    @property
    def seen(self) -> Seen:
        """What the one person at the page sees."""
        return self.service.seen_by(LOCAL)


@pytest.fixture(scope="module")
def running_app(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[RunningApp]:
    """One app for the tests of a module, with ann's adapter ``colours@1``."""
    with colours_app(tmp_path_factory.mktemp("app"), trained_home) as app:
        yield app


@contextmanager
def colours_app(folder: Path, trained_home: Path, *, translated: bool = False) -> Iterator[RunningApp]:
    """An app with ann's adapter ``colours@1``, in English alone unless it is ``translated``."""
    shutil.copytree(trained_home, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        settings = Settings(home=folder / "home", base="tiny")
        service = tiny_service(settings)
        images = make_colours(folder / "colours", test=4)
        app = App.over(service, translated=translated)
        url = app.launch(host="127.0.0.1", block=False)
        yield RunningApp(url, app.demo, service, images)
        app.close()


@pytest.fixture(scope="module")
def shared_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogPage]:
    """One Catalog tab for the tests of a module."""
    folder = tmp_path_factory.mktemp("catalog")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        page = CatalogPage(folder)
        yield page
        page.close()


@pytest.fixture
def catalog(shared_catalog: CatalogPage, tmp_path: Path) -> CatalogPage:
    """The Catalog tab as just opened, over an empty catalog."""
    shared_catalog.empty(tmp_path)
    shared_catalog.reload()
    return shared_catalog
