"""Answers that are compressed once instead of at every visit."""

from __future__ import annotations

import gzip
from collections.abc import Hashable, Mapping
from typing import Literal

import brotli
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response

Encoding = Literal["br", "gzip"]
_REFUSED = {"q=0", "q=0.0", "q=0.00", "q=0.000"}


def encoding_of(headers: Headers) -> Encoding | None:
    """Return the best encoding that a client accepts, or None. Browsers take Brotli over HTTPS or locally."""
    ways = (one.replace(" ", "").partition(";") for one in headers.get("accept-encoding", "").split(","))
    taken = {way for way, _, quality in ways if quality not in _REFUSED}
    return "br" if "br" in taken else "gzip" if "gzip" in taken else None


class CompressedAnswers:
    """Compressed answers by request.

    Args:
        most: Number of answers at which all are dropped, as a client may make up addresses.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[Hashable, Response] = {}

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
        self._kept[asked] = Response(body, headers=told, media_type=media_type)
        return self._kept[asked]


def _compressed(content: bytes, encoding: Encoding) -> bytes:
    if encoding == "br":
        return bytes(brotli.compress(content, quality=5))
    return gzip.compress(content, compresslevel=6, mtime=0)
