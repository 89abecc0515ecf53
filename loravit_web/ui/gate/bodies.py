"""Bodies of requests, read within limits of size, time and structure before Gradio parses them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import Semaphore, fail_after, move_on_after, sleep
from anyio.to_thread import run_sync
from starlette.types import Message, Receive

from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.gate.routes import SESSION

JSON_BYTES, FORM_BYTES = 2 << 20, 8 << 10
JSON_VALUES = 100_000
"""Maximum number of entries in the lists and mappings of a document. 5000 uploaded files need half of it."""
ALL_BYTES = 64 << 20
"""Maximum size in bytes of all documents in memory at once."""
SILENCE_SECONDS, DOCUMENT_SECONDS = 20.0, 60.0
"""Maximum seconds without a byte of a body, and for a whole document."""
DROPPED_AT_ONCE, DROPPED_SECONDS, DROPPED_PAUSE = 2, 4.0, 2e-3
"""Refused bodies that are read at once, maximum seconds for one, and seconds between two parts of one."""
_LONGEST_TEXT = 128
_IN_THREAD = 64 << 10
_SESSION = re.compile(SESSION)

_SLOW = "The request took too long to arrive. Check the connection and send it again."
_BUSY = "The server is busy. Please try again in a moment."
_NOT_JSON = "The request is not a valid JSON document. See the API page for its form."


class Left(Exception):
    """The sender closed the connection before the end of the body."""


class Incoming:
    """Channel of a request, which tells whether the body was read to its end.

    Args:
        receive: Channel of the request.
        has_body: Whether the request has a body.

    Attributes:
        is_read: Whether nothing of the body is left to read.
    """

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self._receive = receive
        self.is_read = not has_body

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self.is_read = not message.get("more_body", False)
        return message


class Drain:
    """Reads and drops the rest of refused bodies, a few at a time and slowly, so that others can be answered.

    Without it, 20 bodies of 20 MB made other answers take six times as long. For use in one event loop.
    """

    def __init__(self) -> None:
        self._turn = Semaphore(DROPPED_AT_ONCE)

    async def drop(self, receive: Receive) -> None:
        """Read a body until it ends, breaks off or takes too long."""
        with move_on_after(DROPPED_SECONDS):
            async with self._turn:
                while (message := await receive())["type"] != "http.disconnect":
                    if not message.get("more_body", False):
                        return
                    await sleep(DROPPED_PAUSE)


class Budget:
    """Limit on the bytes of all bodies in memory. For use in one event loop.

    Args:
        most: Maximum number of bytes.
    """

    def __init__(self, most: int = ALL_BYTES) -> None:
        self._left = most

    @asynccontextmanager
    async def share(self) -> AsyncIterator[Share]:
        """Return a share whose bytes are released on exit."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, count: int) -> None:
        """Take a number of bytes.

        Raises:
            Refused: If the limit would be exceeded.
        """
        if count > self._left:
            raise Refused(503, _BUSY, wait=5)
        self._left -= count


class Share:
    """The bytes of a `Budget` that one request holds.

    Args:
        budget: Budget to take from.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget, self.taken = budget, 0

    def take(self, count: int) -> None:
        """Take a number of bytes.

        Raises:
            Refused: If the limit would be exceeded.
        """
        self._budget.take(count)
        self.taken += count


async def read_body(receive: Receive, most: int, share: Share, *, declared: int | None) -> bytes:
    """Read a whole body.

    Args:
        receive: Channel of the request.
        most: Maximum size in bytes.
        share: Accounts for the bytes.
        declared: Value of ``Content-Length``, checked before anything is read, or None.

    Raises:
        Refused: If the body is too large or too slow, or if all bodies together exceed their limit.
        Left: If the sender closes the connection.
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
    """Return a channel that yields a body that was already read, then the messages that follow."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def counted(receive: Receive, most: int, refusal: Refused) -> Receive:
    """Return a channel that stops a body that is too long or too slow.

    Args:
        receive: Channel of the request.
        most: Maximum size in bytes.
        refusal: Error that the channel raises at the first byte beyond the limit.
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
    """Check the form of a document for a Gradio event.

    Raises:
        Refused: If the document is not a mapping, has too many entries, or has an invalid session or number.
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
        raise Refused(400, "session_hash is not a valid name. Send 1 to 128 letters, digits, - or _.")
    for name in ("event_id", "simple_format", "batched", "fn_index", "trigger_id"):
        if not _is_small(document.get(name)):
            raise Refused(400, f"{name} does not have a valid value. See the API page for its form.")


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
