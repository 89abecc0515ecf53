"""Middleware in front of Gradio: requests that nobody should be able to make."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.members import Members

LOOPBACK = ("127.0.0.1", "localhost")
_ELSEWHERE = (
    "Whoever is alone with the app reaches it as http://127.0.0.1 or http://localhost, and this request "
    "names another host: open it there, or start it with python -m loravit_web serve --host ADDRESS, which "
    "lets in all who reach that address, with all rights."
)


class OwnNames:
    """Refuses requests under a foreign name.

    Without this, a site that makes its own name lead here (DNS rebinding) could use the app through the
    browser of whoever visits it, with all rights.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            name = Headers(scope=scope).get("host", "").partition(":")[0]
            if name.lower() not in self._names:
                await PlainTextResponse(_ELSEWHERE, status_code=421)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class StillMembers:
    """Middleware that signs out, before their request is looked at, who may not sign in any more.

    Gradio remembers whoever signed in until it ends, for all that it serves itself: pages, files, events.
    """

    def __init__(self, app: ASGIApp, members: Members) -> None:
        self._app, self._members = app, members

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            signed_in: dict[str, str] = scope["app"].tokens
            for token in Request(scope).cookies.values():
                name = signed_in.get(token)
                if name is not None and not await asyncio.to_thread(self._members.may_sign_in, name):
                    signed_in.pop(token, None)
        await self._app(scope, receive, send)
