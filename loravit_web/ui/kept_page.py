"""The page as it is sent to everybody, written and compressed once instead of at every visit."""

from __future__ import annotations

import brotli
from anyio.to_thread import run_sync
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
"""The headers by which Gradio finds the address that it writes into the page."""
_OWN = ("page", "deep_link", "all_endpoints")
"""What Gradio itself reads in a link to the page; all else is read by the page's own events."""
_MOST = 32

Key = tuple[str | None, ...]


class KeptPage:
    """ASGI middleware that answers for the page, once the app behind it has written it.

    Gradio copies the description of every component and writes it anew for each visitor: 60 ms in the one
    thread that also answers every question, and half a megabyte on the way, with this page. It is the same
    for everybody who opens it by the same address, unless it names who signed in: not for an app with
    passwords.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[Key, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        if key not in self._kept:
            written = _Written()
            await self._app(scope, receive, written.take)
            if not written.is_page:
                await written.pass_on(send)
                return
            if len(self._kept) >= _MOST:  # by somebody who makes addresses up
                self._kept.clear()
            content = await run_sync(lambda: brotli.compress(written.body, quality=5))
            headers = {"Content-Encoding": "br", "Vary": "Accept-Encoding"}
            self._kept[key] = Response(content, headers=headers, media_type="text/html")
        await self._kept[key](scope, receive, send)


def _key(scope: Scope) -> Key | None:
    """What the page depends on; None for all other requests."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
        return None
    headers = Headers(scope=scope)
    if "br" not in headers.get("accept-encoding", "") or any(
        name in QueryParams(scope["query_string"]) for name in _OWN
    ):
        return None
    return scope["scheme"], *(headers.get(name) for name in _ADDRESS)


class _Written:
    """An answer that is held back until all of it is there."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def take(self, message: Message) -> None:
        self._messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self._messages[1:])

    @property
    def is_page(self) -> bool:
        start = self._messages[0]
        headers = Headers(raw=start["headers"])
        return (
            start["status"] == 200
            and headers.get("content-type", "").startswith("text/html")
            and "content-encoding" not in headers
            and "set-cookie" not in headers
        )

    async def pass_on(self, send: Send) -> None:
        for message in self._messages:
            await send(message)
