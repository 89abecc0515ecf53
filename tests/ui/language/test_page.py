"""The page in the language of its reader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from loravit_web.ui.patches.page_texts import PageTexts, with_texts
from tests.ui.conftest import RunningApp, colours_app

GERMAN = {"accept-language": "de-DE,de;q=0.9"}


@pytest.fixture(scope="module")
def running_app(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[RunningApp]:
    """One translated app for all tests."""
    with colours_app(tmp_path_factory.mktemp("app"), trained_home, translated=True) as app:
        yield app


def page(app: RunningApp, query: str = "", headers: dict[str, str] | None = None) -> str:
    return httpx.get(f"{app.url}{query}", headers=headers, timeout=60).text


def config_in(text: str) -> dict[str, Any]:
    _, _, rest = text.partition("window.gradio_config = ")
    config: dict[str, Any] = json.JSONDecoder().raw_decode(rest)[0]
    return config


def labels(config: dict[str, Any]) -> set[Any]:
    return {component["props"].get("label") for component in config["components"]}


def test_the_page_is_in_the_language_that_its_address_names(running_app: RunningApp) -> None:
    german, english = page(running_app, "?lang=de"), page(running_app, "?lang=en", GERMAN)
    assert '<html\n\tlang="de"' in german and '<html\n\tlang="en"' in english
    assert {"Anwenden", "Trainieren", "Katalog", "Läufe"} <= labels(config_in(german))
    assert {"Use", "Train", "Catalog", "Runs"} <= labels(config_in(english))


def test_the_page_is_in_the_language_that_its_browser_prefers(running_app: RunningApp) -> None:
    assert page(running_app, headers=GERMAN) == page(running_app, "?lang=de")
    assert "Anwenden" not in labels(config_in(page(running_app, headers={"accept-language": "fr"})))


def test_only_texts_differ_between_languages(running_app: RunningApp) -> None:
    german, english = config_in(page(running_app, "?lang=de")), config_in(page(running_app))
    assert german["layout"] == english["layout"]
    for one, other in zip(german["components"], english["components"], strict=True):
        assert (one["id"], one["type"]) == (other["id"], other["type"])
        assert one["props"].keys() == other["props"].keys()
        values, others = (choice_values(component["props"]) for component in (one, other))
        assert values == others
    for one, other in zip(german["dependencies"], english["dependencies"], strict=True):
        assert {**one, "js": None} == {**other, "js": None}


def choice_values(props: dict[str, Any]) -> list[Any] | None:
    """What the server takes from a component with choices, which is the same in every language."""
    choices = props.get("choices")
    return None if choices is None else [choice[1] for choice in choices]


def test_an_answer_is_in_the_language_of_its_request(running_app: RunningApp) -> None:
    question = json.dumps({"picture": None, "tasks": [], "labels": 3, "looks": False, "near": []})
    asked = {"data": [question], "session_hash": "language"}
    url = f"{running_app.url}gradio_api/run/answers"
    german = httpx.post(f"{url}?lang=de", json=asked, timeout=60).json()["data"][0]
    assert "Ein Bild ablegen" in german
    assert "Drop an image" in httpx.post(url, json=asked, timeout=60).json()["data"][0]
    assert "Ein Bild ablegen" in httpx.post(url, json=asked, headers=GERMAN, timeout=60).json()["data"][0]


def test_programs_are_answered_in_english(running_app: RunningApp) -> None:
    asked = {"data": [None, ["colours"], 3], "session_hash": "program"}
    answer = httpx.post(f"{running_app.url}gradio_api/run/classify", json=asked, timeout=60)
    assert "The image is missing" in answer.text


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "'&\u2028"])
def test_no_text_can_end_the_script_that_holds_it(text: str) -> None:
    given = (
        'lang="en" <script>window.gradio_config = {"components":[{"props":{}}],"dependencies":[]};</script>'
    )
    changed = with_texts(given, PageTexts("de", [{"label": text}], [], "head"))
    assert changed.count("</script>") == 1 and not re.search(r"<!--|'", changed)
    assert config_in(changed)["components"] == [{"props": {"label": text}}]
