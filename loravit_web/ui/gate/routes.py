"""Which of Gradio's routes this app offers, and what a request must bring to reach each.

A route that is not in the list does not exist here. The page and gradio_client need those below; everything
else that Gradio serves (recordings, streams, deep links, proxies, monitoring, editing by an agent) is refused
before Gradio sees the request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Body = Literal["none", "json", "form", "upload"]
"""What a request may carry: nothing, a JSON document, a small form, or files."""

API = "/gradio_api"
STARTUP = f"{API}/startup-events"
"""By which Gradio tells a new app of its own to begin; not there for anybody afterwards."""
SESSION = r"(?P<session>[A-Za-z0-9_-]{1,128})"
_NAME = r"[A-Za-z0-9_-]{1,128}"


@dataclass(frozen=True)
class Route:
    """A kind of request that is let through.

    Attributes:
        methods: of HTTP.
        path: pattern of the whole path, without a trailing slash; ``session`` names a visitor's session.
        public: whether it is answered before anyone has signed in.
        body: what it may carry.
        counted: whether it counts as one of the requests that a visitor has in a minute.
        stream: whether the answer stays open; its end tells that the session's page is gone.
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
    # the page and what it is drawn with
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
    # who somebody is
    _post("/login", "form", public=True, counted=False),
    _get("/logout", public=True),
    _get("/login/huggingface", public=True, counted=True),
    _get("/login/callback", public=True, counted=True),
    # what can be asked
    _get(f"{API}/info", counted=True),
    _get(f"{API}/openapi.json", counted=True),
    _get(f"{API}/app_id"),
    _get(STARTUP, public=True),
    # questions and changes
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
    """Return the kind of a request, or None where the app offers nothing.

    Args:
        path: decoded, without the prefix that the app is mounted under.
    """
    bare = path.rstrip("/") or "/"
    return next(
        (route for route in ROUTES if method in route.methods and route.path.fullmatch(bare)),
        None,
    )
