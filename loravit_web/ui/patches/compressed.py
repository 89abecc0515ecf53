"""Answers that are compressed once instead of at every visit."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Hashable, Mapping
from typing import Literal

import brotli
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Encoding = Literal["br", "gzip"]
_QUICK, _STRONG = 5, 11
"""Qualities of Brotli. A first visit's scripts take 0.03 and 0.9 s, and have 251 and 230 kB."""
_REFUSED = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


def encoding_of(headers: Headers) -> Encoding | None:
    """Return the best encoding that a client accepts, or None. Browsers take Brotli over HTTPS or locally."""
    ways = (one.replace(" ", "").partition(";") for one in headers.get("accept-encoding", "").split(","))
    taken = {way for way, _, quality in ways if quality not in _REFUSED}
    return "br" if "br" in taken else "gzip" if "gzip" in taken else None


class CompressedEvents:
    """ASGI middleware that compresses what events of the page return, which Gradio sends as it is.

    A first visit loads 15 kB of it. Answers of tasks take another way, and are not compressed.

    Args:
        app: Answers all requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=1000, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, compressed if it is an event's."""
        is_event = scope["type"] == "http" and scope["path"].endswith("/run/predict")
        await (self._compressing if is_event else self._app)(scope, receive, send)


class CompressedAnswers:
    """Compressed answers by request. Those that are asked for again are then compressed more strongly.

    Args:
        most: Number of answers at which all are dropped, as a client may make up addresses.
        strong: Number of answers that are compressed more strongly. A page takes half a second.
    """

    def __init__(self, most: int, strong: int) -> None:
        self._most, self._strong = most, strong
        self._kept: dict[Hashable, Response] = {}
        self._is_strong: set[Hashable] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def get(self, asked: Hashable) -> Response | None:
        """Return the stored answer, or None. It may be replaced by a smaller one afterwards."""
        answer = self._kept.get(asked)
        if answer is not None and asked not in self._is_strong and len(self._is_strong) < self._strong:
            self._is_strong.add(asked)
            task = asyncio.create_task(self._compress_again(asked, answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return answer

    async def keep(
        self,
        asked: Hashable,
        content: bytes,
        encoding: Encoding | None,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Compress an answer, store it and return it.

        Args:
            asked: Key of the request.
            content: Body of the answer.
            encoding: Encoding to compress with, or None.
            media_type: Media type of the answer.
            headers: More headers of the answer.
        """
        body = content if encoding is None else await run_sync(_compressed, content, encoding)
        if len(self._kept) >= self._most:
            self._kept.clear()
        told = {**(headers or {}), "Vary": "Accept-Encoding"}
        if encoding is not None:
            told["Content-Encoding"] = encoding
        self._kept[asked] = Response(body, headers=told, media_type=media_type)
        return self._kept[asked]

    async def _compress_again(self, asked: Hashable, answer: Response) -> None:
        if answer.headers.get("content-encoding") != "br":
            return
        async with self._one_at_a_time:
            body = await run_sync(_strongly_compressed, bytes(answer.body))
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        if self._kept.get(asked) is answer:
            self._kept[asked] = Response(body, headers=headers)


def _compressed(content: bytes, encoding: Encoding) -> bytes:
    if encoding == "br":
        return bytes(brotli.compress(content, quality=_QUICK))
    return gzip.compress(content, compresslevel=6, mtime=0)


def _strongly_compressed(body: bytes) -> bytes:
    return bytes(brotli.compress(brotli.decompress(body), quality=_STRONG))
