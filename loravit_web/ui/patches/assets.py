"""Gradio's own scripts and styles: compressed once instead of at every visit, the styles in one piece."""

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

GRADIO_ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
TOGETHER = "/assets/together.css"
_FILE = re.compile(r"[\w.-]+-[\w-]{8}\.(js|css)")
"""The name carries a hash of what is in the file."""
_TYPES = {"js": "text/javascript", "css": "text/css"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_MOST = 1024


class KeptAssets:
    """ASGI middleware that answers for the scripts and styles of a page.

    A page consists of more than a hundred of them. Gradio reads and compresses each anew for everybody, in
    the one thread that also answers every question, and a browser that has them asks whether they changed.

    Args:
        app: answers everything else, and whoever takes nothing that is compressed.
        folder: holds the files; kept in memory is what was asked for.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self._app = app
        self._folder = folder
        self._kept = CompressedAnswers(_MOST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        encoding = encoding_of(Headers(scope=scope))
        names = _names(scope) if scope["method"] == "GET" else []
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
        return await self._kept.keep(asked, content, encoding, _TYPES[names[0].rpartition(".")[2]], _FOR_EVER)


def _names(scope: Scope) -> Sequence[str]:
    """The files that are asked for: one, or styles together."""
    path = scope["path"]
    if path == TOGETHER:
        names = str(scope["query_string"], "latin-1").split("&")
        known = all(_FILE.fullmatch(one) and one.endswith(".css") for one in names)
        return names if known and len(set(names)) == len(names) else []  # no more than all there are
    folder, _, name = path.rpartition("/")
    return [name] if folder == "/assets" and _FILE.fullmatch(name) else []
