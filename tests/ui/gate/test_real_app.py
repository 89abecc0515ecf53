"""What a hostile tester did to a running app, tried from outside."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from loravit_web.ui.gate.routes import API
from loravit_web.ui.launch import App
from tests.ui.conftest import RunningApp


@pytest.fixture
def client(running_app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running_app.url, timeout=30) as client:
        yield client


def folder(running_app: RunningApp) -> Path:
    return Path(running_app.demo.app.uploaded_file_dir)


def files_in(running_app: RunningApp) -> set[str]:
    """The files that lie there now; what is removed meanwhile is passed over."""
    found = os.walk(folder(running_app))
    return {str(Path(parent, name)) for parent, _folders, names in found for name in names}


@pytest.mark.parametrize("path", [f"{API}/info", f"{API}/openapi.json"])
def test_the_description_names_the_address_of_whoever_asks(
    running_app: RunningApp, client: httpx.Client, path: str
) -> None:
    client.post(f"{API}/call/v2/tasks", json={}, headers={"X-Forwarded-Host": "evil.example"})
    poisoned = client.get(path, headers={"X-Forwarded-Host": "evil.example", "Host": "127.0.0.1"})
    assert poisoned.status_code in (200, 421)
    own = client.get(path)
    assert "evil.example" not in own.text
    assert "app.invalid" not in own.text
    if path.endswith("info"):
        assert f"127.0.0.1:{running_app.demo.server_port}" in own.text


def test_a_recording_is_not_taken_and_leaves_nothing(running_app: RunningApp, client: httpx.Client) -> None:
    before = sorted(folder(running_app).rglob("*"))
    reply = client.post(f"{API}/process_recording", files={"video": ("a.mp4", bytes(100_000))})
    assert reply.status_code == 404
    assert sorted(folder(running_app).rglob("*")) == before


def test_an_upload_that_breaks_off_over_the_network_leaves_nothing(
    running_app: RunningApp, client: httpx.Client
) -> None:
    before = files_in(running_app)
    assert running_app.demo.server_port is not None
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", running_app.demo.server_port)) as connection:
            head = (
                f"POST {API}/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
                '--b\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
            )
            connection.sendall(head.encode() + bytes(200_000))
    client.get("/config")
    for _ in range(100):
        left = files_in(running_app) - before
        if not left:
            break
        client.get("/config")
    assert left == set()


ODD: list[tuple[str, str, object]] = [
    ("POST", "run/classify", {}),
    ("POST", "run/classify", {"data": None}),
    ("POST", "run/classify", {"data": 3}),
    ("POST", "run/classify", {"data": {"a": 1}}),
    ("POST", "run/classify", {"data": []}),
    ("POST", "run/classify", {"data": [1, 2, 3, 4, 5]}),
    ("POST", "run/classify", {"data": ["x", "y", "z"], "fn_index": "a"}),
    ("POST", "run/classify", {"data": [], "fn_index": -1}),
    ("POST", "run/classify", {"data": [], "fn_index": 10**12}),
    ("POST", "run/classify", {"data": [], "event_data": "x"}),
    ("POST", "run/classify", {"data": [], "event_data": [1]}),
    ("POST", "run/classify", {"data": [], "trigger_id": "x"}),
    ("POST", "run/classify", {"data": [], "batched": True}),
    ("POST", "run/nothing", {"data": []}),
    ("POST", "run/predict", {"data": [], "fn_index": 0}),
    ("POST", "run/predict", {"data": [None] * 100, "fn_index": 1, "session_hash": "x"}),
    ("POST", "call/classify", {"data": [[]]}),
    ("POST", "call/v2/classify", {"data": []}),
    ("POST", "call/v2/classify", {"nothing": 1}),
    ("POST", "call/v2/nothing", {}),
    ("POST", "call/nothing", {"data": []}),
    ("POST", "queue/join", {"data": []}),
    ("POST", "queue/join", {"data": [], "fn_index": 0}),
    ("POST", "queue/join", {"data": [], "fn_index": None, "session_hash": "x"}),
    ("POST", "queue/join", {"data": "x", "fn_index": 0, "session_hash": "x"}),
    ("POST", "cancel", {}),
    ("POST", "cancel", {"session_hash": "x", "fn_index": 0, "event_id": "x"}),
    ("POST", "reset", {}),
    ("GET", "queue/data", None),
    ("GET", "upload_progress", None),
    ("GET", "upload_progress?upload_id=" + "x" * 100, None),
    ("GET", "call/classify/" + "x" * 64, None),
    ("GET", "file=", None),
    ("GET", "file=x\x00y".replace("\x00", "%00"), None),
    ("GET", "theme.css?v=1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ODD)
def test_an_odd_call_is_refused_in_a_sentence_or_answered(
    client: httpx.Client, method: str, path: str, body: object
) -> None:
    with client.stream(method, f"{API}/{path}", json=body) as reply:
        if reply.status_code < 400:
            return  # a stream or an answer
        content = json.loads(reply.read())
    told = content.get("error") or content.get("detail")
    assert isinstance(told, str), content
    assert told.strip().endswith("."), told


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " + "a=" + "b" * 7000 + "\r\n\r\n",
        "GET /%ff%fe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET /" + "a" * 10_000 + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "POST /gradio_api/run/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /gradio_api/run/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_odd_heads_end_in_no_failure_of_the_server(running_app: RunningApp, head: str) -> None:
    assert running_app.demo.server_port is not None
    with socket.create_connection(("127.0.0.1", running_app.demo.server_port), timeout=20) as connection:
        connection.sendall(head.encode())
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        assert reply.status < 500


def test_an_app_that_ends_takes_its_folder_with_it(
    running_app: RunningApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import tiny_service

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    settings = replace(running_app.service.settings, home=tmp_path / "home", bundled=False)
    app = App.over(tiny_service(settings))
    assert list((tmp_path / "gradio").iterdir())
    app.close()
    assert list((tmp_path / "gradio").iterdir()) == []
