"""Requests that no page sends: each with the statuses that are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

FILE = "/gradio_api/file="
REFUSED = (400, 403, 404, 405, 413, 422)
Place = Callable[[Path], str]


@dataclass(frozen=True)
class RequestEntry:
    """A request; its path may depend on where the data folder is."""

    name: str
    path: Place
    method: str = "GET"
    body: dict[str, Any] = field(default_factory=dict)
    statuses: tuple[int, ...] = REFUSED


def at(path: str) -> Place:
    """The same path wherever the data is."""
    return lambda _home: path


def post(name: str, path: str, statuses: tuple[int, ...] = REFUSED, **body: Any) -> RequestEntry:
    """A POST."""
    return RequestEntry(name, at(path), "POST", body, statuses)


JOIN = "/gradio_api/queue/join"

# fmt: off
REQUESTS: tuple[RequestEntry, ...] = (
    RequestEntry("the database", lambda home: f"{FILE}{home}/registry.db"),
    RequestEntry("the database, encoded", lambda home: FILE + quote(f"{home}/registry.db", safe="")),
    RequestEntry("the database, encoded twice", lambda home: FILE + quote(quote(f"{home}/registry.db", safe=""))),
    RequestEntry("the database by climbing", lambda home: f"{FILE}{home}/../{home.name}/registry.db"),
    RequestEntry("the database by a fragment", lambda home: f"{FILE}{home}/registry.db%23x"),
    RequestEntry("the database by the old route", lambda home: f"/file={home}/registry.db"),
    RequestEntry("the database by NUL", lambda home: f"{FILE}{home}/registry.db%00.png"),
    RequestEntry("the data folder", lambda home: f"{FILE}{home}"),
    RequestEntry("stored images", lambda home: f"{FILE}{home}/datasets"),
    RequestEntry("stored files", lambda home: f"{FILE}{home}/artifacts"),
    RequestEntry("the log", lambda home: f"{FILE}{home}/logs/worker.log"),
    RequestEntry("the users of the machine", at(f"{FILE}/etc/passwd")),
    RequestEntry("this program", at(f"{FILE}app.py")),
    RequestEntry("this program by climbing", at(f"{FILE}loravit_web/../app.py")),
    RequestEntry("a file of Git", at(f"{FILE}.git/config")),
    RequestEntry("the environment", at(f"{FILE}/proc/self/environ")),
    RequestEntry("another site", at(f"{FILE}http://127.0.0.1:1/x")),
    RequestEntry("another site through the proxy", at("/gradio_api/proxy=http://127.0.0.1:1/x")),
    RequestEntry("static files by climbing", at("/static/..%2f..%2f..%2fetc%2fpasswd")),
    RequestEntry("assets by climbing", at("/assets/..%2f..%2fapp.py")),
    RequestEntry("a component by climbing", at("/custom_component/x/y/..%2f..%2fz")),
    RequestEntry("monitoring", at("/monitoring")),
    RequestEntry("the summary of monitoring", at("/monitoring/summary")),
    RequestEntry("monitoring with a key", at("/monitoring/x")),
    RequestEntry("a page that there is not", at("/admin")),
    post("an event without a body", JOIN, content=b""),
    post("an event that is no JSON", JOIN, content=b"{"),
    post("an event without a number", JOIN, json={"data": []}),
    post("an event of another number", JOIN, REFUSED, json={"data": [], "fn_index": 99_999, "session_hash": "x"}),
    post("an event of text", JOIN, json={"data": [], "fn_index": "DROP TABLE", "session_hash": "x"}),
    post("a call that there is not", "/gradio_api/call/evil", REFUSED, json={"data": []}),
    post("an upload of nothing", "/gradio_api/upload", content=b""),
    post("an upload that is no form", "/gradio_api/upload", content=b"x", headers={"content-type": "multipart/form-data; boundary=x"}),
    post("a recording of nothing", "/gradio_api/process_recording", content=b"x"),
    post("a function of a component", "/gradio_api/component_server", REFUSED, json={"component_id": 1, "fn_name": "preprocess", "data": "/etc/passwd", "session_hash": "x"}),
)
