"""Security headers of every answer, and messages in place of empty failures."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import cache

from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

from loravit_web.ui.gate.refusals import FAILED

DropRest = Callable[[], Awaitable[None]]
_FAILURE = 500
_UNPROCESSABLE = 422
_UNREADABLE = "The request does not have the expected form. See the API page."

_POLICY = {
    "default-src": "'self'",
    # Gradio compiles handlers from text and writes scripts into the page
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
}
_FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Policy for uploaded files, which are shown but never run."""


def security_headers(*, on_spaces: bool) -> dict[str, str]:
    """Return the headers of every answer.

    Args:
        on_spaces: Whether the Hub shows the page in a frame.
    """
    framed_by = "'self' https://huggingface.co https://*.hf.space" if on_spaces else "'self'"
    policy = {**_POLICY, "frame-ancestors": framed_by}
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    }
    return headers if on_spaces else {**headers, "X-Frame-Options": "SAMEORIGIN"}


class Guarded:
    """Sends an answer with the security headers. A failure without a message gets one.

    Args:
        scope: Request.
        send: Channel of the answer.
        headers: Headers from `security_headers`.
        is_file: Whether the answer is a file of the served folder.
        cookies: ``Set-Cookie`` values to add.
    """

    def __init__(
        self, scope: Scope, send: Send, headers: dict[str, str], *, is_file: bool, cookies: list[str]
    ) -> None:
        self._scope, self._to, self._headers = scope, send, headers
        self._is_file, self._cookies = is_file, cookies
        self._held: Message | None = None
        self._body = b""
        self.started = False

    async def send(self, message: Message) -> None:
        """Send a part of the answer. A failure is held back until it is known to have a message."""
        if message["type"] == "http.response.start":
            self.started = True
            if message["status"] in (_FAILURE, _UNPROCESSABLE):
                self._held = message
                return
            await self._to(self._with_headers(message))
            return
        if self._held is None:
            await self._to(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        held, self._held = self._held, None
        if _tells(self._body):
            await self._to(self._with_headers(held))
            await self._to({"type": "http.response.body", "body": self._body})
            return
        sentence = FAILED if held["status"] == _FAILURE else _UNREADABLE
        await self.answer(JSONResponse({"error": sentence, "detail": sentence}, status_code=held["status"]))

    async def answer(self, response: JSONResponse, drop_rest: DropRest | None = None) -> None:
        """Send a whole answer of the gate.

        Args:
            response: Answer.
            drop_rest: Reads the rest of a body that was not read to its end, or None. A sender that is still
                writing does not read the answer before the connection breaks.
        """

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._to(self._with_headers(message))
                return
            await self._to({**message, "more_body": drop_rest is not None})
            if drop_rest is not None:
                await drop_rest()
                await self._to({"type": "http.response.body", "body": b""})

        await response(self._scope, _nothing_more, guarded)

    def _with_headers(self, message: Message) -> Message:
        policy = {"Content-Security-Policy": _FILE_POLICY} if self._is_file else {}
        ours = _raw(tuple((self._headers | policy).items()))
        kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in ours]
        cookies = [(b"set-cookie", cookie.encode("latin-1")) for cookie in self._cookies]
        return {**message, "headers": [*kept, *ours.items(), *cookies]}


@cache
def _raw(headers: tuple[tuple[str, str], ...]) -> dict[bytes, bytes]:
    """Return headers as bytes, by lower-case name. Cached, because there are only a few sets."""
    return {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers}


def _tells(body: bytes) -> bool:
    """Return whether an answer contains a message."""
    try:
        content = json.loads(body)
    except ValueError:
        return False
    told = [content.get(name) for name in ("error", "detail")] if isinstance(content, dict) else []
    return any(isinstance(one, str) and one for one in told)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
