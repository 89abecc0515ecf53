"""What the server is told when it starts, tried from outside."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import gradio as gr
import httpx
import pytest

from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from loravit_web.ui import api as ui_api
from loravit_web.ui.kit.visitors import seen_by
from loravit_web.ui.kit.waiting import QUEUE_FULL
from loravit_web.ui.launch import AddressUnavailable, App
from loravit_web.ui.use import ask as ui_ask
from loravit_web.visibility import Seen
from tests.conftest import tiny_service
from tests.corpus.visitor import Visitor


def opened(settings: Settings) -> App:
    service = tiny_service(settings)
    return App.over(service)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, httpx.Client]]:
    """An app with small limits and a client of it."""
    folder = tmp_path_factory.mktemp("launch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        limits = Limits(upload_mib=1, waiting=3)
        app = opened(Settings(folder / "home", base="tiny", bundled=False, limits=limits))
        with httpx.Client(base_url=app.launch(host="127.0.0.1", block=False), timeout=30) as client:
            yield app, client
        app.close()


def test_a_busy_port_is_one_sentence(settings: Settings) -> None:
    app = opened(replace(settings, bundled=False))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressUnavailable, match=f"port {port} of 127.0.0.1. Choose another port"):
            app.launch(host="127.0.0.1", port=port, block=False)


@pytest.mark.parametrize(
    ("name", "status"),
    [("127.0.0.1", 200), ("localhost:7860", 200), ("LOCALHOST", 200), ("evil.example:7860", 421), ("", 421)],
)
def test_who_is_alone_with_the_app_reaches_it_under_no_foreign_name(
    started: tuple[App, httpx.Client], name: str, status: int
) -> None:
    _app, client = started
    for path in ("/", "/config", "/gradio_api/info"):
        reply = client.get(path, headers={"Host": name})
        assert reply.status_code == status
    assert ("names another host. Open the app there" in reply.text) == (status == 421)


def test_a_file_over_the_limit_is_refused_while_it_comes_and_a_smaller_one_is_taken(
    started: tuple[App, httpx.Client],
) -> None:
    _app, client = started
    reply = client.post("/gradio_api/upload", files={"files": ("a.bin", bytes(2 << 20))})
    assert reply.status_code == 413
    assert "larger than the 1,048,576 bytes" in reply.json()["detail"]
    assert client.post("/gradio_api/upload", files={"files": ("a.bin", bytes(1 << 19))}).status_code == 200


def test_a_forged_address_gives_nobody_more_requests(settings: Settings) -> None:
    limits = Limits(requests_per_minute=2)
    app = opened(replace(settings, bundled=False, mode="demo", limits=limits))
    with httpx.Client(base_url=app.launch(host="127.0.0.1", block=False), timeout=30) as client:
        for number in range(3):
            # what a proxy on this machine adds stands last; all before it is what the visitor claims to be
            headers = {"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.5"}
            question = {"data": [None, ["a"], 2], "session_hash": "x"}
            reply = client.post("/gradio_api/run/classify", json=question, headers=headers)
            assert ("The image is missing" in reply.text) == (number < 2)
    app.close()
    assert reply.status_code == 429
    assert "You sent 2 requests within 60 seconds" in reply.json()["error"]
    assert 0 < int(reply.headers["Retry-After"]) <= 60


def test_who_may_not_train_reads_so_before_giving_any_data(settings: Settings) -> None:
    app = opened(replace(settings, bundled=False, mode="demo"))
    visitor = Visitor(app.launch(host="127.0.0.1", block=False))
    notice = next(
        one["id"] for one in visitor.config["components"] if one["props"].get("elem_id") == "train-read-only"
    )
    (arrival,) = [call for call in visitor.config["dependencies"] if notice in call["outputs"]]
    reply = visitor.call(arrival["id"], [None, None, None])
    assert reply.data["train-read-only"]["visible"] is True
    assert "Visitors of this public demo cannot do this" in reply.shown("train-read-only")
    visitor.close()
    app.close()


def test_an_empty_queue_is_looked_at_a_hundred_times_a_second_at_most(
    started: tuple[App, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    queue = started[0].demo._queue
    length = type(queue).__len__

    def looked_at(other: object) -> int:
        if other is queue:  # other apps of this process have theirs
            looks.append(length(other))
        return length(other)

    monkeypatch.setattr(type(queue), "__len__", looked_at)
    time.sleep(0.5)
    assert 0 < len(looks) <= 60
    assert not any(looks)


def test_a_full_queue_is_one_sentence_and_goes_on_when_there_is_room(
    started: tuple[App, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, client = started
    assert app.demo._queue.max_size == 3
    with monkeypatch.context() as patch:
        patch.setattr(type(app.demo._queue), "__len__", lambda _queue: 3)
        reply = client.post("/gradio_api/call/tasks", json={"data": []})
        assert reply.status_code == 503
        assert reply.json()["detail"] == QUEUE_FULL
    accepted = client.post("/gradio_api/call/tasks", json={"data": []})
    assert accepted.status_code == 200
    # until it has ended: a slow machine would run it within another test
    assert "event: complete" in client.get(f"/gradio_api/call/tasks/{accepted.json()['event_id']}").text


def test_questions_of_the_page_and_over_http_wait_together_and_those_too_many_are_refused(
    started: tuple[App, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    _app, client = started
    page = json.dumps({"picture": None, "tasks": [], "labels": 3, "looks": False, "near": []})
    held, go_on = threading.Semaphore(0), threading.Event()

    def hold(service: Service, request: gr.Request) -> Seen:
        held.release()
        assert go_on.wait(30)
        return seen_by(service, request)

    def ask(name: str, *data: object) -> str:
        question = {"data": data, "session_hash": name}
        return client.post(f"/gradio_api/run/{name}", json=question).text

    monkeypatch.setattr(ui_api, "seen_by", hold)
    monkeypatch.setattr(ui_ask, "seen_by", hold)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, "answers", page) for _ in range(2)]
        asked.append(pool.submit(ask, "classify", None, ["a"], 5))
        try:
            assert all(held.acquire(timeout=30) for _ in range(3))
            assert QUEUE_FULL in ask("classify", None, ["a"], 5)
            assert QUEUE_FULL in ask("answers", page)
        finally:
            go_on.set()
        assert not any(QUEUE_FULL in one.result() for one in asked)
    assert "The image is missing" in ask("classify", None, ["a"], 5)


def test_events_are_not_counted_for_a_page_that_is_off(
    started: tuple[App, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, client = started
    queue = app.demo._queue
    tables: list[int] = []
    table_of = queue._get_df

    def counted(records: list[object]) -> object:
        tables.append(len(records))
        return table_of(records)

    monkeypatch.setattr(type(queue), "_get_df", staticmethod(counted))
    for _ in range(3):
        event = client.post("/gradio_api/call/v2/tasks", json={}).json()["event_id"]
        assert "event: complete" in client.get(f"/gradio_api/call/tasks/{event}").text
    assert (tables, len(queue.event_analytics)) == ([], 1)


def test_nothing_is_counted_kept_or_told_that_a_visitor_has_not_asked_for(
    started: tuple[App, httpx.Client],
) -> None:
    app, client = started
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config["run_history"] is False
    assert config["show_error"] is False
    assert config["max_file_size"] == 1 << 20
    assert app.demo.delete_cache is None
    assert client.get("/gradio_api/runs").status_code == 404


def test_what_a_visitor_is_told_of_the_app_names_no_folder_of_the_machine_but_gradios(
    started: tuple[App, httpx.Client],
) -> None:
    app, client = started
    here = (str(app.service.settings.home), str(Path(__file__).resolve().parents[2]), str(Path.home()))
    for path in ("/", "/config", "/gradio_api/info", "/openapi.json", "/theme.css"):
        text = client.get(path).text
        assert not [folder for folder in here if folder in text], path


def test_an_event_that_there_is_not_is_no_failure_of_the_server(started: tuple[App, httpx.Client]) -> None:
    _app, client = started
    unknown = {"data": [], "fn_index": 99_999, "session_hash": "x"}
    for reply in (
        client.post("/gradio_api/queue/join", json=unknown),
        client.post("/gradio_api/call/nothing", json={"data": []}),
    ):
        assert reply.status_code == 404
        assert reply.json()["detail"].startswith("This event does not exist. Reload the page")
