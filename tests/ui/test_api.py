from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from loravit_web.ui.kit.snippets import IMAGE, code_snippets
from tests.conftest import RECIPE, train_now
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def client(running_app: RunningApp) -> Client:
    return Client(running_app.url, verbose=False)


def ask(client: Client, image: Path, tasks: list[str]) -> Any:
    return client.predict(image=handle_file(str(image)), tasks=tasks, top_k=2, api_name="/classify")


def post(url: str, image: Any) -> str:
    """Call /classify over plain HTTP and return the event's text."""
    reply = httpx.post(f"{url}gradio_api/call/classify", json={"data": [image, ["colours"], 2]})
    return httpx.get(f"{url}gradio_api/call/classify/{reply.json()['event_id']}", timeout=30).text


def test_tasks_lists_what_can_be_asked(client: Client) -> None:
    tasks = {task["task"]: task for task in client.predict(api_name="/tasks")}
    assert tasks["colours@1"] == {
        "task": "colours@1",
        "title": "Colours",
        "version": 1,
        "classes": ["green", "red"],
        "base": "tiny",
        "status": "ready",
        "labels_per_image": "one",
    }


def test_classify_answers_for_the_tasks_that_can_and_says_why_for_the_others(
    client: Client, running_app: RunningApp
) -> None:
    answer = ask(client, running_app.images / "test" / "red" / "0.png", ["colours", "nothing"])
    colours, nothing = answer["results"]
    assert colours["task"] == "colours@1"
    assert colours["labels"][0]["label"] == "red"
    assert (colours["answer"], colours["labels_per_image"]) == (["red"], "one")
    assert colours["error"] is None
    assert "no adapter" in nothing["error"]
    assert answer["milliseconds"] > 0


def test_a_file_that_is_no_image_gets_one_sentence(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello")
    with pytest.raises(AppError, match="not an image"):
        ask(client, file, ["colours"])


def test_no_file_of_the_server_can_be_read(running_app: RunningApp) -> None:
    secret = running_app.images / "test" / "red" / "0.png"
    for image in (
        {"path": str(secret)},
        {"path": str(secret), "meta": {"_type": "gradio.FileData"}},
        {"path": str(running_app.service.settings.home / "registry.db")},
        str(secret),
        None,
    ):
        text = post(running_app.url, image)
        assert "event: error" in text
        assert "labels" not in text
        assert str(running_app.service.settings.home) not in text


@pytest.mark.parametrize(
    ("tasks", "top_k", "sentence"),
    [
        ("colours", 2, "list of names"),
        ([1], 2, "list of names"),
        (["colours"], 0, "whole number"),
        (["colours"], None, "whole number"),
        (["colours"], 2.5, "whole number"),
    ],
)
def test_arguments_of_a_wrong_kind_get_one_sentence(
    running_app: RunningApp, tasks: Any, top_k: Any, sentence: str
) -> None:
    reply = httpx.post(f"{running_app.url}gradio_api/call/classify", json={"data": [None, tasks, top_k]})
    text = httpx.get(f"{running_app.url}gradio_api/call/classify/{reply.json()['event_id']}", timeout=30).text
    assert sentence in text


def run(url: str, image: Any) -> httpx.Response:
    """Call /classify in one trip."""
    question = {"data": [image, ["colours"], 2], "session_hash": "somebody"}
    return httpx.post(f"{url}gradio_api/run/classify", json=question, timeout=30)


def upload(url: str, image: Path) -> dict[str, Any]:
    reply = httpx.post(f"{url}gradio_api/upload", files={"files": image.read_bytes()})
    return {"path": reply.json()[0]}


def test_one_request_is_answered_or_refused_in_one_sentence(running_app: RunningApp) -> None:
    red = upload(running_app.url, running_app.images / "test" / "red" / "0.png")
    (answer,) = run(running_app.url, red).json()["data"]
    assert answer["results"][0]["labels"][0]["label"] == "red"
    refused = run(running_app.url, {"path": "/etc/hostname"})
    assert refused.status_code == 500
    assert refused.json()["error"].startswith("The image is not an uploaded file")


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_shell_code_answers(running_app: RunningApp, tmp_path: Path) -> None:
    shutil.copy(running_app.images / "test" / "red" / "0.png", tmp_path / IMAGE)
    code = code_snippets(running_app.url, ["colours@1"], 1)["shell"]
    said = subprocess.run(["sh", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    (result,) = json.loads(said.stdout)["data"][0]["results"]
    assert result["labels"][0]["label"] == "red"


def test_the_data_folder_is_not_served(running_app: RunningApp) -> None:
    reply = httpx.get(f"{running_app.url}gradio_api/file={running_app.service.settings.home / 'registry.db'}")
    assert reply.status_code in (403, 404)


def test_a_new_version_answers_without_a_restart(client: Client, running_app: RunningApp) -> None:
    service = running_app.service
    dataset = service.datasets.import_source(running_app.images)
    for seed in (0, 1):
        train_now(service, dataset, "Hues", replace(RECIPE, seed=seed), service.new_worker())
        answer = ask(client, running_app.images / "test" / "red" / "0.png", ["hues"])
        assert answer["results"][0]["task"] == f"hues@{seed + 1}"


def test_an_alias_answers_over_http(client: Client, running_app: RunningApp) -> None:
    image = running_app.images / "test" / "red" / "0.png"
    running_app.service.registry.aliases.promote("colours@1", "production", actor="test")
    answer = ask(client, image, ["colours@production", "colours@latest", "colours@staging"])
    production, latest, staging = answer["results"]
    assert (production["task"], latest["task"]) == ("colours@1", "colours@1")
    assert "no version or alias 'staging'" in staging["error"]


def test_pages_do_not_offer_their_inner_events_to_clients(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert set(endpoints["named_endpoints"]) == {"/tasks", "/classify"}
