"""The page that all visitors get, rendered and compressed once instead of at every visit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loravit_web.ui.language.choice import language_of
from loravit_web.ui.patches.compressed import CompressedAnswers, encoding_of
from loravit_web.ui.patches.page_texts import PageTexts, with_texts

_ADDRESS = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
"""Headers from which Gradio derives the URL that it writes into the page."""
_OWN = ("page", "deep_link", "all_endpoints")
"""Query parameters that Gradio reads. The events of the page read all others."""
_MOST = 64
_STRONG = 16
"""Pages that are compressed more strongly: the usual ones, and not all that a client makes up."""
_FRAMED = b"script.async = true;\n\t\t\t\tdocument.head.appendChild(script);"
"""Where Gradio loads the script that fits the page into a frame."""
_PREVIEW = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*/>\s*')
_VIEWPORT = b'<meta\n\t\t\tname="viewport"'
Tags = Callable[[Scope], str]
"""Returns the tags of a link's preview, for the head of the page."""


class KeptPage:
    """ASGI middleware that serves the page from memory after its first request.

    Gradio renders the description of every component for each visitor, which takes 60 ms in the thread that
    also answers all requests, and sends 0.5 MB. The page is the same for all visitors who open it at the same
    address, unless it names the user. So it must not be used for an app with passwords.

    Gradio's tags for link previews, which show Gradio's name and image, are replaced.

    Args:
        app: Renders the page, and answers all other requests.
        tags: Returns the tags of the preview of a link. Called on another thread.
        languages: Texts of the page in each language but English, by its code.
        prefix: Prefix of every path if the app is mounted under one. A proxy may keep it or strip it.
    """

    def __init__(
        self, app: ASGIApp, tags: Tags, languages: Mapping[str, PageTexts], prefix: str = ""
    ) -> None:
        self._app, self._tags, self._languages = app, tags, languages
        self._paths = frozenset({"/", f"{prefix}/"})
        self._kept = CompressedAnswers(_MOST, _STRONG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the page, or pass on any other request."""
        if scope["type"] != "http" or not self._is_page(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        tags = await run_sync(self._tags, scope)
        texts = self._languages.get(language_of(QueryParams(scope["query_string"]), headers))
        language, encoding = texts and texts.language, encoding_of(headers)
        asked = (tags, language, encoding, scope["scheme"], *(headers.get(name) for name in _ADDRESS))
        answer = self._kept.get(asked)
        if answer is None:
            written = _Written()
            await self._app(scope, receive, written.take)
            if not written.is_page:
                await written.pass_on(send)
                return
            page = framed_if_needed(with_preview(written.body, tags.encode()))
            if texts is not None:
                page = with_texts(page.decode(), texts).encode()
            answer = await self._kept.keep(asked, page, encoding, "text/html")
        await answer(scope, receive, send)

    def _is_page(self, scope: Scope) -> bool:
        """Return whether a request is for the page that is the same for all visitors."""
        if scope["method"] != "GET" or scope["path"] not in self._paths:
            return False
        return not any(name in QueryParams(scope["query_string"]) for name in _OWN)


def with_preview(page: bytes, tags: bytes) -> bytes:
    """Return a page whose tags for link previews are replaced by others."""
    head, end, rest = page.partition(b"</head>")
    return _PREVIEW.sub(b"", head).replace(_VIEWPORT, tags + _VIEWPORT, 1) + end + rest


def framed_if_needed(page: bytes) -> bytes:
    """Return a page that loads the script for frames, of 6 kB, only in a frame."""
    return page.replace(_FRAMED, b"if (window.parent !== window) " + _FRAMED.partition(b"\n\t\t\t\t")[2], 1)


class _Written:
    """An answer that is collected before it is sent."""

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
