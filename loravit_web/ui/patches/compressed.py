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
_AGAIN_AFTER = 10.0
"""Seconds after which an answer is compressed again, by then more strongly: the first visitor is served."""
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
    """Compressed answers by request.

    Args:
        most: Number of answers at which all are dropped, as a client may make up addresses.
        strong: Number of answers that are compressed again more strongly. A page takes half a second.
        again_after: Seconds after which that is done.
    """

    def __init__(self, most: int, strong: int, again_after: float = _AGAIN_AFTER) -> None:
        self._most, self._strong, self._again_after = most, strong, again_after
        self._kept: dict[Hashable, Response] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def get(self, asked: Hashable) -> Response | None:
        """Return the stored answer, or None."""
        return self._kept.get(asked)

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
        answer = Response(body, headers=told, media_type=media_type)
        self._kept[asked] = answer
        if encoding == "br" and self._strong > 0:
            self._strong -= 1
            task = asyncio.create_task(self._compress_again(asked, answer, content, told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return answer

    async def _compress_again(
        self, asked: Hashable, answer: Response, content: bytes, headers: Mapping[str, str]
    ) -> None:
        await asyncio.sleep(self._again_after)
        async with self._one_at_a_time:
            body = await run_sync(_strongly_compressed, content)
        if self._kept.get(asked) is answer:
            self._kept[asked] = Response(body, headers=headers, media_type=answer.media_type)


def _compressed(content: bytes, encoding: Encoding) -> bytes:
    if encoding == "br":
        return bytes(brotli.compress(content, quality=_QUICK))
    return gzip.compress(content, compresslevel=6, mtime=0)


def _strongly_compressed(content: bytes) -> bytes:
    return bytes(brotli.compress(content, quality=_STRONG))
