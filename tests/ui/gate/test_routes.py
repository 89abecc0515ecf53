"""Only what the app offers is reachable, and a route that a new Gradio brings is decided on by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from loravit_web.ui.gate.routes import API, route_of
from tests.ui.conftest import RunningApp
from tests.ui.gate.conftest import Ask

REFUSED = {
    "/openapi.json",  # FastAPI's own description of Gradio's routes
    "/login/",
    "/gradio_api/deep_link",
    "/monitoring",
    "/monitoring/summary",
    "/monitoring/{key}",
    f"{API}/user",
    f"{API}/login_check",
    f"{API}/token",
    f"{API}/dev/reload",
    f"{API}/runs",
    f"{API}/custom_component/{{id}}/{{environment}}/{{type}}/{{file_name}}",
    f"{API}/proxy={{url_path:path}}",
    f"{API}/stream/{{event_id}}",
    f"{API}/stream/{{event_id}}/close",
    f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/playlist.m3u8",
    f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/{{segment_id}}.{{ext}}",
    f"{API}/stream/{{session_hash}}/{{run}}/{{component_id}}/playlist-file",
    f"{API}/file/{{path:path}}",
    f"{API}/api/{{api_name}}",
    f"{API}/component_server",
    f"{API}/process_recording",
    f"{API}/vibe-edit",
    f"{API}/undo-vibe-edit",
    f"{API}/vibe-code",
    f"{API}/vibe-starter-queries",
}
"""Gradio's routes that this app does not offer."""


def routes_of(router: Any) -> Iterator[tuple[str, str]]:
    """Every method and path of a FastAPI app."""
    for route in router.routes:
        if hasattr(route, "methods"):
            yield from ((method, route.path) for method in route.methods or ())
        else:
            yield from routes_of(route.original_router)


def filled(path: str) -> str:
    """A path with something in the place of its parameters."""
    for pattern, example in (("{path:path}", "a/b.js"), ("{path_or_url:path}", "/a/b"), ("{size}", "192")):
        path = path.replace(pattern, example)
    while "{" in path:
        path = path[: path.index("{")] + "x1" + path[path.index("}") + 1 :]
    return path


def test_every_route_of_gradio_is_offered_or_refused_on_purpose(running_app: RunningApp) -> None:
    found = {(method, path) for method, path in routes_of(running_app.demo.app) if method != "HEAD"}
    assert len(found) > 60
    for method, path in sorted(found):
        offered = route_of(method, filled(path)) is not None
        refused = path in REFUSED or path.rstrip("/") in REFUSED
        assert offered != refused or (offered and path == "/login/"), (method, path)


def test_every_refused_route_is_still_one_of_gradio(running_app: RunningApp) -> None:
    paths = {path for _method, path in routes_of(running_app.demo.app)}
    assert {path.rstrip("/") for path in REFUSED} <= {path.rstrip("/") for path in paths}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{API}/process_recording"),
        ("GET", f"{API}/proxy=https://example.org/"),
        ("POST", f"{API}/stream/x"),
        ("GET", f"{API}/deep_link?session_hash=x"),
        ("PUT", f"{API}/upload"),
        ("DELETE", "/"),
        ("GET", "/somewhere/else"),
        ("GET", f"{API}/heartbeat/{'x' * 129}"),
        ("GET", f"{API}/heartbeat/a%2Fb"),
    ],
)
def test_what_is_not_offered_is_answered_in_a_sentence(ask: Ask, method: str, path: str) -> None:
    reply = ask(method, path)
    assert reply.status_code == 404
    assert reply.json()["detail"].endswith("start page instead.")


def test_files_are_handed_out_of_one_folder_alone(ask: Ask, house: Any) -> None:
    own = f"{house.folder}/a/b.png"
    assert ask("GET", f"{API}/file={own}").status_code == 200
    for path in (
        "/etc/passwd",
        f"{house.folder}/../x",
        "https://example.org/x",
        f"{house.folder}x/y",
        "a\0b",
    ):
        assert ask("GET", f"{API}/file={path.replace(chr(0), '%00')}").status_code == 404, path
