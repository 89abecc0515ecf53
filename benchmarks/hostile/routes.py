"""Every route of a running app, asked by nobody, each role of a team, and a visitor of a demo."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.hostile.app import Place, running
from benchmarks.hostile.attack import Load, add_team
from benchmarks.hostile.visitors import NETWORK_ERRORS, Person
from benchmarks.support.report import Figure, at_most
from loravit_web.settings.environment import Settings
from loravit_web.ui.launch import App
from registry import Role
from tests.conftest import tiny_service

PEOPLE: Mapping[str, Role] = {"vera": "viewer", "ed": "editor", "ada": "admin"}
NOBODY, GUEST = "nobody", "demo"
OPEN = (
    "/",
    "/static/",
    "/assets/",
    "/svelte/",
    "/favicon.ico",
    "/robots.txt",
    "/manifest.json",
    "/pwa_icon",
    "/theme.css",
    "/gradio_api/theme.css",
)
"""Where somebody who has not signed in may get a page: the sign-in page, and what draws it."""
ENDS_SESSION = "logout"
_PARAMETER = re.compile(r"{[^}]*}")
_SECONDS = 5.0
_JSON = {"Content-Type": "application/json"}
_SENT_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Route = tuple[str, str]
"""Method and path, with parameters in braces."""


def measure(place: Place, ports: Callable[[], int], _load: Load, chosen: str = "") -> list[Figure]:
    """The statuses as a table, then what is wrong with them."""
    if chosen not in "routes":
        return []
    routes = served_routes(ports())
    add_team(place, PEOPLE)
    told: dict[str, dict[Route, str]] = {}
    with running(place, "team", ports()) as app:
        for name in (NOBODY, *PEOPLE):
            person = Person(app.url, "192.0.2.1", timeout=_SECONDS)
            if name != NOBODY:
                assert person.sign_in(name) == httpx.codes.OK
            told[name] = {route: _status(person, route) for route in routes}
            person.close()
    with running(place, "demo", ports()) as app:
        person = Person(app.url, "192.0.2.1", timeout=_SECONDS)
        told[GUEST] = {route: _status(person, route) for route in routes}
        person.close()
    _print(told)
    broken = [
        f"{' '.join(route)} as {name}"
        for name, each in told.items()
        for route in each
        if each[route].startswith("5")
    ]
    opened = [
        " ".join(route)
        for route, status in told[NOBODY].items()
        if status.startswith("2") and not _is_open(route[1])
    ]
    return [
        Figure("routes, methods counted one by one", str(len(routes))),
        at_most("answers of 5xx without a sentence", len(broken), 0, note="; ".join(broken[:6])),
        at_most("routes that open to nobody", len(opened), 0, note="; ".join(opened[:12])),
    ]


def served_routes(port: int) -> list[Route]:
    """What the app of this version serves, by path."""
    with _launched(port) as app:
        found = {
            (method, str(route.path))
            for route in _flat(app.demo.app.routes)
            for method in getattr(route, "methods", None) or ("GET",)
            if method in _SENT_METHODS
        }
    return sorted(found, key=lambda route: (route[1], route[0]))


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes, and those of the routers among them."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _flat(inner.routes)


@contextmanager
def _launched(port: int) -> Iterator[App]:
    """The app in this process, over a tiny base."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = Settings(root / "home", base="tiny", bundled=False, uploads=root / "uploads")
        service = tiny_service(settings)
        app = App.over(service)
        app.launch(host="127.0.0.1", port=port, block=False)
        try:
            yield app
        finally:
            app.close()


def _status(person: Person, route: Route) -> str:
    """What a route answers to made-up parameters and an empty body; "500" without JSON is marked."""
    method, path = route
    if path.endswith(ENDS_SESSION):
        return "not sent"
    url = _PARAMETER.sub("made-up", path)
    body = None if method in ("GET", "HEAD") else b"{}"
    try:
        with person.client.stream(method, url, content=body, headers=_JSON) as answer:
            status = str(answer.status_code)
            if answer.status_code >= 500 and _is_json(answer):
                return f"({status} with a sentence)"
            return status
    except NETWORK_ERRORS as error:
        return type(error).__name__


def _is_json(answer: httpx.Response) -> bool:
    answer.read()
    return str(answer.headers.get("content-type", "")).startswith("application/json")


def _is_open(path: str) -> bool:
    return any(path == one or (one.endswith("/") and one != "/" and path.startswith(one)) for one in OPEN)


def _print(told: Mapping[str, Mapping[Route, str]]) -> None:
    names = list(told)
    print(f"\n  {'route':64}" + "".join(f"{name:>10}" for name in names), file=sys.stdout)
    for route in told[NOBODY]:
        print(f"  {' '.join(route)[:64]:64}" + "".join(f"{told[name][route]:>10}" for name in names))
