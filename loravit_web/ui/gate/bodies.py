"""What a request carries, read within limits of bytes, time and structure before Gradio parses any of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import fail_after
from anyio.to_thread import run_sync
from starlette.types import Message, Receive

from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.gate.routes import SESSION

JSON_BYTES, FORM_BYTES = 2 << 20, 8 << 10
JSON_VALUES = 100_000
"""Entries of lists and mappings in one document: a list of 5000 uploaded files has half as many."""
ALL_BYTES = 64 << 20
"""Of documents that are held at the same moment."""
SILENCE_SECONDS, DOCUMENT_SECONDS = 20.0, 60.0
"""Without a byte of a body, and for all of a document."""
_LONGEST_TEXT = 128
_IN_THREAD = 64 << 10
_SESSION = re.compile(SESSION)

_SLOW = "The request took too long to arrive. Check the connection and send it again."
_BUSY = "The server is busy. Please try again in a moment."
_NOT_JSON = "The request is not a JSON document that the app can read. Look at the API page for its form."


class Left(Exception):
    """The sender went away before all of the body had come."""


class Budget:
    """Bytes that may be held at the same moment. For one event loop."""

    def __init__(self, most: int = ALL_BYTES) -> None:
        self._left = most

    @asynccontextmanager
    async def share(self) -> AsyncIterator[Share]:
        """Give back on leaving what was taken within."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, count: int) -> None:
        """
        Raises:
            Refused: if too much is held already.
        """
        if count > self._left:
            raise Refused(503, _BUSY, wait=5)
        self._left -= count


class Share:
    """What one request holds of a `Budget`."""

    def __init__(self, budget: Budget) -> None:
        self._budget, self.taken = budget, 0

    def take(self, count: int) -> None:
        """
        Raises:
            Refused: if too much is held already.
        """
        self._budget.take(count)
        self.taken += count


async def read_body(receive: Receive, most: int, share: Share, *, declared: int | None) -> bytes:
    """Read a whole body.

    Args:
        most: bytes.
        declared: what ``Content-Length`` says, checked before anything is read.

    Raises:
        Refused: if it is too large or too slow, or too much of others is held.
        Left: if the sender goes away.
    """
    too_large = Refused(413, f"The request is larger than the {most:,} bytes that this address takes.")
    if declared is not None and declared > most:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        with fail_after(DOCUMENT_SECONDS):
            while True:
                message = await _next(receive)
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise too_large
                share.take(len(part))
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError as error:
        raise Refused(408, _SLOW) from error


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives a body that was read, then whatever comes next."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def counted(receive: Receive, most: int, refusal: Refused) -> Receive:
    """Return a channel that ends a body that is longer than it may be, or falls silent.

    Args:
        most: bytes.
        refusal: raised by the channel at the first byte too many.
    """
    size = 0

    async def limited() -> Message:
        nonlocal size
        try:
            message = await _next(receive)
        except TimeoutError as error:
            raise Refused(408, _SLOW) from error
        size += len(message.get("body", b""))
        if size > most:
            raise refusal
        return message

    return limited


async def check_json(body: bytes) -> None:
    """Check the form of a document for one of Gradio's events.

    Raises:
        Refused: if it is not a mapping, has more entries than any page sends, or an unusable session.
    """
    entries = body.count(b",") + body.count(b"[") + body.count(b"{")
    if entries > JSON_VALUES:
        raise Refused(413, f"The request holds more than {JSON_VALUES:,} values. Send it in parts.")
    if len(body) > _IN_THREAD:
        await run_sync(_check, body)
    else:
        _check(body)


def _check(body: bytes) -> None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, _NOT_JSON) from error
    if not isinstance(document, dict):
        raise Refused(400, _NOT_JSON)
    session = document.get("session_hash")
    if session is not None and not (isinstance(session, str) and _SESSION.fullmatch(session)):
        raise Refused(
            400, "session_hash is not a usable name. Send 1 to 128 letters, digits, hyphens or underscores."
        )
    for name in ("event_id", "simple_format", "batched", "fn_index", "trigger_id"):
        if not _is_small(document.get(name)):
            raise Refused(
                400, f"{name} is not of the kind that the app takes. Look at the API page for its form."
            )


def _is_small(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    return value is None or (isinstance(value, bool | int) and abs(value) < 1 << 53)


async def _next(receive: Receive) -> Message:
    with fail_after(SILENCE_SECONDS):
        message = await receive()
    if message["type"] == "http.disconnect":
        raise Left
    return message
