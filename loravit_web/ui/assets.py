"""Gradio's own scripts and styles, compressed once instead of at every visit."""

from __future__ import annotations

import re
from pathlib import Path

import brotli
import gradio
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

GRADIO_ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
_NAME = re.compile(r"/assets/([\w.-]+-[\w-]{8}\.(js|css))")
"""The name carries a hash of what is in the file."""
_TYPES = {"js": "text/javascript", "css": "text/css"}
_HEADERS = {
    "Content-Encoding": "br",
    "Vary": "Accept-Encoding",
    "Cache-Control": "public, max-age=31536000, immutable",
}


class KeptAssets:
    """ASGI middleware that answers for the scripts and styles of a page.

    A page consists of more than a hundred of them. Gradio reads and compresses each anew for everybody, in
    the one thread that also answers every question, and a browser that has them asks whether they changed.

    Args:
        app: answers everything else, and browsers that don't take brotli.
        folder: holds the files; kept in memory is what was asked for.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._kept: dict[str, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        asked = _NAME.fullmatch(scope["path"])
        if (
            asked is None
            or scope["method"] != "GET"
            or "br" not in Headers(scope=scope).get("accept-encoding", "")
        ):
            return None
        name, kind = asked.groups()
        if name not in self._kept:
            file = self._folder / name
            if not file.is_file():
                return None
            content = await run_sync(lambda: brotli.compress(file.read_bytes(), quality=5))
            self._kept[name] = Response(content, headers=_HEADERS, media_type=_TYPES[kind])
        return self._kept[name]
