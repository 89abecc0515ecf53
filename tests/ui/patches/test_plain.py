"""The app runs as well without any patch that makes Gradio faster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio.state_holder import StateHolder

from loravit_web.settings.environment import PLAIN_GRADIO, Settings
from loravit_web.ui.launch import App
from loravit_web.ui.scripts import source
from tests.conftest import make_colours, tiny_service
from tests.ui.conftest import RunningApp

ROOT = Path(__file__).resolve().parents[3]
IMPORTED = "import loravit_web.ui, gradio.component_meta as it; print(it.create_or_modify_pyi.__module__)"


@pytest.fixture(scope="module")
def plain_app(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[RunningApp]:
    """An app without those patches, with ann's adapter ``colours@1``."""
    folder = tmp_path_factory.mktemp("plain")
    shutil.copytree(trained_home, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        service = tiny_service(Settings(home=folder / "home", base="tiny", plain_gradio=True))
        app = App.over(service)
        url = app.launch(host="127.0.0.1", block=False)
        yield RunningApp(url, app.demo, service, make_colours(folder / "colours", test=1))
        app.close()


@pytest.mark.parametrize(("plain", "imported"), [("yes", "gradio.component_meta"), ("no", "loravit_web.")])
def test_gradio_is_imported_as_it_is_only_where_that_is_asked_for(plain: str, imported: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), PLAIN_GRADIO: plain}
    done = subprocess.run([sys.executable, "-c", IMPORTED], env=environment, capture_output=True, text=True)
    assert done.stdout.startswith(imported), done.stderr


def test_the_page_is_loaded_as_gradio_sends_it(plain_app: RunningApp) -> None:
    page = httpx.get(plain_app.url, headers={"accept-encoding": "br"})
    assert page.status_code == 200
    assert "content-encoding" not in page.headers
    head = httpx.get(f"{plain_app.url}config").json()["head"]
    assert source("page/arrival") in head
    assert source("patches/styles") not in head
    assert type(plain_app.demo.app.state_holder) is StateHolder
    assert plain_app.demo._queue.ANALYTICS_MAX_EVENTS > 1
    hidden = [event for event in plain_app.demo.fns.values() if event.show_progress == "hidden"]
    assert len(hidden) > 50
    assert {event.show_progress_on for event in hidden} == {None}


def test_an_image_is_classified(plain_app: RunningApp) -> None:
    image = (plain_app.images / "test" / "red" / "0.png").read_bytes()
    with httpx.Client(base_url=plain_app.url, timeout=30) as client:
        path = client.post("gradio_api/upload", files={"files": image}).json()[0]
        question = {"data": [{"path": path}, ["colours"], 1], "session_hash": "somebody"}
        (answer,) = client.post("gradio_api/run/classify", json=question).json()["data"]
    assert answer["results"][0]["labels"][0]["label"] == "red"


def test_what_protects_the_server_stays(plain_app: RunningApp) -> None:
    foreign = httpx.get(plain_app.url, headers={"host": "evil.example"})
    assert foreign.status_code == 421
    unknown = httpx.post(f"{plain_app.url}gradio_api/call/nothing", json={"data": []})
    assert (unknown.status_code, "This event does not exist" in unknown.text) == (404, True)
