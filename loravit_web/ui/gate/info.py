"""The description of the HTTP interface, with the URL under which each caller reaches the app.

Gradio writes the URL of the first caller into the description and caches it for all. Here Gradio always sees
the same URL, which is replaced in each answer.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loravit_web.ui.gate.routes import API
from loravit_web.ui.kit.callers import caller_of

HOST = "app.invalid"
NEUTRAL = f"http://{HOST}"
_DESCRIPTIONS = frozenset({f"{API}/info", f"{API}/openapi.json"})
_HIDDEN = frozenset({b"host", b"x-forwarded-proto", b"accept-encoding"})


class OwnInfo:
    """ASGI middleware behind the gate that puts the caller's URL into the description.

    Args:
        app: Answers the requests.
        prefix: Prefix of every path if the app is mounted under one.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the description, or pass on any other request."""
        path = scope["path"].removeprefix(self._prefix).rstrip("/") if scope["type"] == "http" else ""
        described = path in _DESCRIPTIONS
        if not described and not path.startswith(f"{API}/call/v2/"):
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in _HIDDEN]
        neutral = {**scope, "headers": [*headers, (b"host", HOST.encode())], "scheme": "http"}
        if not described:  # such a call creates the description if there is none yet
            await self._app(neutral, receive, send)
            return
        await self._app(neutral, receive, _Replaced(send, caller_of(scope).site).send)


class _Replaced:
    """An answer in which the caller's URL replaces the neutral one."""

    def __init__(self, send: Send, site: str) -> None:
        self._send, self._site = send, site.encode()
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Collect an answer, then send it."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False) or self._start is None:
            return
        body = self._body.replace(NEUTRAL.encode(), self._site)
        headers = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._send({**self._start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
