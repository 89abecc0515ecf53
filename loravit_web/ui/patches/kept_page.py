"""The page as it is sent to everybody, written and compressed once instead of at every visit."""

from __future__ import annotations

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loravit_web.ui.patches.compressed import CompressedAnswers, encoding_of

_ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
"""The headers by which Gradio finds the address that it writes into the page."""
_OWN = ("page", "deep_link", "all_endpoints")
"""What Gradio itself reads in a link to the page; all else is read by the page's own events."""
_MOST = 32


class KeptPage:
    """ASGI middleware that answers for the page, once the app behind it has written it.

    Gradio copies the description of every component and writes it anew for each visitor: 60 ms in the one
    thread that also answers every question, and half a megabyte on the way, with this page. It is the same
    for everybody who opens it by the same address, unless it names who signed in: not for an app with
    passwords.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept = CompressedAnswers(_MOST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encoding = encoding_of(Headers(scope=scope)) if scope["type"] == "http" else None
        if encoding is None or not _is_page(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        asked = (encoding, scope["scheme"], *(headers.get(name) for name in _ADDRESS))
        answer = self._kept.get(asked)
        if answer is None:
            written = _Written()
            await self._app(scope, receive, written.take)
            if not written.is_page:
                await written.pass_on(send)
                return
            answer = await self._kept.keep(asked, written.body, encoding, "text/html")
        await answer(scope, receive, send)


def _is_page(scope: Scope) -> bool:
    """Whether the page is asked for that is the same for everybody."""
    if scope["method"] != "GET" or scope["path"] != "/":
        return False
    return not any(name in QueryParams(scope["query_string"]) for name in _OWN)


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
