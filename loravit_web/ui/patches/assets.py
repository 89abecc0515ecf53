"""Gradio's scripts and styles, compressed once instead of at every visit. Styles are combined."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import gradio
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.ui.patches.compressed import CompressedAnswers, encoding_of
from loravit_web.ui.patches.script_searches import without_searches

GRADIO_ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
TOGETHER = "/assets/together.css"
_FILE = re.compile(r"[\w.-]+-[\w-]{8}\.(js|css)")
"""Pattern of file names, which contain a hash of the content."""
_TYPES = {"js": "text/javascript", "css": "text/css"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_MOST, _STRONG = 1024, 256


class KeptAssets:
    """ASGI middleware that serves the scripts and styles of a page.

    A page has more than a hundred of them. Gradio reads and compresses each for every visitor, in the thread
    that also answers all requests, and browsers ask again whether they have changed.

    Args:
        app: Answers all other requests, and clients that accept no compression.
        folder: Folder of the files. Requested files are kept in memory.
        prefix: Prefix of every path if the app is mounted under one. A proxy may keep it or strip it.
    """

    def __init__(self, app: ASGIApp, folder: Path, prefix: str = "") -> None:
        self._app = app
        self._folder = folder
        self._prefix = prefix
        self._kept = CompressedAnswers(_MOST, _STRONG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for scripts or styles, or pass on any other request."""
        answer = await self._answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        encoding = encoding_of(Headers(scope=scope))
        names = self._names(scope) if scope["method"] == "GET" else []
        if encoding is None or not names:
            return None
        asked = (encoding, *names)
        kept = self._kept.get(asked)
        if kept is not None:
            return kept
        files = [self._folder / name for name in names]
        if not all(file.is_file() for file in files):
            return None
        content = await run_sync(lambda: b"\n".join(file.read_bytes() for file in files))
        content = without_searches(content)
        return await self._kept.keep(asked, content, encoding, _TYPES[names[0].rpartition(".")[2]], _FOR_EVER)

    def _names(self, scope: Scope) -> Sequence[str]:
        """Return the names of the requested files: one file, or several styles."""
        path = scope["path"].removeprefix(self._prefix)
        if path == TOGETHER:
            names = str(scope["query_string"], "latin-1").split("&")
            known = all(_FILE.fullmatch(one) and one.endswith(".css") for one in names)
            return names if known and len(set(names)) == len(names) else []  # each once, as a limit
        folder, _, name = path.rpartition("/")
        return [name] if folder == "/assets" and _FILE.fullmatch(name) else []
