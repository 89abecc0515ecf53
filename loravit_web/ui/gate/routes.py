"""The routes of Gradio that the app offers, and the conditions of each.

The page and gradio_client need the routes below. Requests for any other route of Gradio (recordings, streams,
deep links, proxies, monitoring, editing by an agent) are refused before Gradio sees them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Body = Literal["none", "json", "form", "upload"]
"""Allowed body of a request: none, a JSON document, a small form, or files."""

API = "/gradio_api"
STARTUP = f"{API}/startup-events"
"""Route by which Gradio starts the app. It does not exist afterwards."""
SESSION = r"(?P<session>[A-Za-z0-9_-]{1,128})"
_NAME = r"[A-Za-z0-9_-]{1,128}"


@dataclass(frozen=True)
class Route:
    """A kind of request that passes the gate.

    Attributes:
        methods: HTTP methods.
        path: Pattern of the whole path, without a trailing slash. Its group ``session`` is a session.
        public: Whether visitors may use the route before they sign in.
        body: Allowed body.
        counted: Whether a request counts toward the rate limit.
        stream: Whether the answer stays open. Its end means that the page of the session is closed.
    """

    methods: frozenset[str]
    path: re.Pattern[str]
    public: bool = False
    body: Body = "none"
    counted: bool = False
    stream: bool = False


_READ = frozenset({"GET", "HEAD"})
_SEND = frozenset({"POST"})


def _get(path: str, *, public: bool = False, counted: bool = False, stream: bool = False) -> Route:
    return Route(_READ, re.compile(path), public, "none", counted, stream)


def _post(path: str, body: Body = "json", *, public: bool = False, counted: bool = True) -> Route:
    return Route(_SEND, re.compile(path), public, body, counted)


ROUTES: Sequence[Route] = (
    # the page, its scripts and styles
    _get("/", counted=True),
    _get("/config", counted=True),
    _get(r"/assets/.{1,16384}", public=True),
    _get(r"/static/.{1,1024}", public=True),
    _get(r"/svelte/.{1,1024}", public=True),
    _get("/theme.css", public=True),
    _get(f"{API}/theme.css", public=True),
    _get("/favicon.ico", public=True),
    _get("/robots.txt", public=True),
    _get("/manifest.json", public=True),
    _get(r"/pwa_icon(?:/\d{1,5})?", public=True),
    # those who watch over the app; the gate answers them
    _get("/healthz", public=True),
    _get("/readyz", public=True),
    _get("/metrics", public=True),
    # signing in and out
    _post("/login", "form", public=True, counted=False),
    _get("/logout", public=True),
    _get("/login/huggingface", public=True, counted=True),
    _get("/login/callback", public=True, counted=True),
    # the description of the HTTP interface
    _get(f"{API}/info", counted=True),
    _get(f"{API}/openapi.json", counted=True),
    _get(f"{API}/app_id"),
    _get(STARTUP, public=True),
    # events
    _post(f"{API}/run/{_NAME}"),
    _post(f"{API}/call/(?:v2/)?{_NAME}"),
    _get(f"{API}/call/(?:v2/)?{_NAME}/{SESSION}", stream=True),
    _post(f"{API}/queue/join"),
    _get(f"{API}/queue/data", stream=True),
    _get(f"{API}/queue/status"),
    _get(f"{API}/heartbeat/{SESSION}", stream=True),
    _post(f"{API}/cancel", counted=False),
    _post(f"{API}/reset", counted=False),
    # files
    _post(f"{API}/upload", "upload"),
    _get(f"{API}/upload_progress"),
    _get(f"{API}/file=.{{1,4096}}"),
)


def route_of(method: str, path: str) -> Route | None:
    """Return the route of a request, or None if the app does not offer it.

    Args:
        method: HTTP method.
        path: Decoded path, without the prefix under which the app is mounted.
    """
    bare = path.rstrip("/") or "/"
    return next(
        (route for route in ROUTES if method in route.methods and route.path.fullmatch(bare)),
        None,
    )
