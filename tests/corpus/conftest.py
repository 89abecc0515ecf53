"""One app over a tiny base for the whole corpus, in a folder that is watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loravit_web.adapters.files.bundle import read_bundle
from loravit_web.adapters.files.format import to_files
from loravit_web.catalog.exchange import publish_bundle
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.launch import App
from tests.adapters.makers import random_adapter
from tests.conftest import tiny_base, tiny_service
from tests.corpus.adapters import Files, bundled
from tests.corpus.archives import SMALL
from tests.corpus.visitor import Visitor
from tests.corpus.visits import Place


@pytest.fixture(scope="session")
def good_files() -> Files:
    """The files of an adapter for the tiny base."""
    base = tiny_base(name="tiny")
    return to_files(random_adapter(base), base, name="good", title="Good")


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data folder and Gradio's in it, and nothing else."""
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="session")
def service(watched: Path) -> Iterator[Service]:
    """A service with limits that are soon reached."""
    settings = Settings(watched / "home", base="tiny", bundled=False, limits=SMALL)
    service = tiny_service(settings)
    yield service
    service.close()


@pytest.fixture(scope="session")
def place(service: Service, watched: Path, good_files: Files) -> Iterator[Place]:
    """The app with one published adapter, and somebody who talks to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(watched / "gradio"))
        publish_bundle(service.registry, service.base_for, read_bundle(bundled(good_files)), actor="test")
        app = App.over(service)
        visitor = Visitor(app.launch(host="127.0.0.1", block=False))
        yield Place(visitor, watched / "home", watched / "gradio", "good")
        visitor.close()
        app.demo.close(verbose=False)


@pytest.fixture(autouse=True)
def _nothing_outside(watched: Path) -> Iterator[None]:
    """No entry makes a file beside the data folder."""
    yield
    assert {path.name for path in watched.iterdir()} <= {"home", "gradio"}
