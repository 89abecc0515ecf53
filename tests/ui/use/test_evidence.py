"""Heat maps of the page: a small one with each answer, and a large one of any class."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from loravit_web.serving.answerer import TaskUnavailable
from loravit_web.ui.kit.uploads import UnreadableUpload, upload_folder
from loravit_web.ui.use.answers import answers_html
from loravit_web.ui.use.evidence import ROUTE, Request, UnreadableRequest, large_map, read_request
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp

TASK = "colours@1"


@pytest.fixture
def upload(running_app: RunningApp) -> dict[str, str]:
    """An uploaded image, half red and half green, twice as wide as high."""
    image = Image.new("RGB", (64, 32), "red")
    ImageDraw.Draw(image).rectangle((32, 0, 64, 32), "green")
    path = upload_folder() / "both.png"
    path.parent.mkdir(exist_ok=True)
    image.save(path)
    return {"path": str(path)}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"image":1,"task":"a"}', "[" * 100_000])
def test_a_request_that_the_page_cannot_have_sent_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRequest, match="Reload the page"):
        read_request(text)


def test_the_button_of_a_small_map_asks_for_the_same_map(
    running_app: RunningApp, upload: dict[str, str]
) -> None:
    html = answers_html(running_app.seen, {**upload, "orig_name": "x"}, [TASK], 2, heat=True)
    (button,) = re.findall('data-evidence="([^"]*)"', html)
    asked = read_request(unescape(button))
    assert (asked.image, asked.task) == (upload, TASK)
    assert f"“{asked.label}”" in html
    assert f'<option value="{asked.label}" selected>' in large_map(running_app.seen, asked)


def test_a_large_map_shows_any_class_and_lets_choose_another(
    running_app: RunningApp, upload: dict[str, str]
) -> None:
    found = {label: large_map(running_app.seen, Request(upload, TASK, label)) for label in ("red", "green")}
    for label, html in found.items():
        assert re.findall("<option value=.([a-z]+). selected>", html) == [label]
        assert html.count("<option") == 2
        assert f"“{label}”" in html
    assert found["red"] != found["green"]


def test_a_class_that_does_not_exist_or_a_file_of_the_machine_is_refused(
    running_app: RunningApp, upload: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(TaskUnavailable, match="no class “blue”"):
        large_map(running_app.seen, Request(upload, TASK, "blue"))
    Image.new("RGB", (8, 8)).save(tmp_path / "own.png")
    with pytest.raises(UnreadableUpload, match="not an uploaded file"):
        large_map(running_app.seen, Request({"path": str(tmp_path / "own.png")}, TASK, "red"))
    shown = answered(running_app, {"image": upload, "task": TASK, "label": "blue"})
    assert "no class “blue”" in shown
    assert "lv-error" in shown


def test_maps_are_not_counted_as_requests(running_app: RunningApp, upload: dict[str, str]) -> None:
    counted: list[Any] = []
    predictor = running_app.service.predictor
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictor, "_count", lambda *given: counted.append(given))
        shown = answered(running_app, {"image": upload, "task": TASK, "label": "red"})
    assert "<option" in shown
    assert counted == []


def answered(app: RunningApp, asked: dict[str, Any]) -> str:
    """Return what the page shows for a request."""
    (handler,) = [one.fn for one in app.demo.fns.values() if one.fn and one.api_name == ROUTE]
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright may run the loop of this thread
        return str(elsewhere.submit(asyncio.run, handler(json.dumps(asked), request())).result())
