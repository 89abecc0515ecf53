"""The gate: every request passes it before Gradio sees the request."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.access.rates import TooManyRequests
from loravit_web.ui.gate import bodies
from loravit_web.ui.gate.arrivals import Arrivals
from loravit_web.ui.gate.bodies import Budget, Drain, Incoming, Left, check_json, read_body, replayed
from loravit_web.ui.gate.headers import Guarded
from loravit_web.ui.gate.health import PATHS, Health
from loravit_web.ui.gate.refusals import FAILED, NO_ROUTE, Refused
from loravit_web.ui.gate.routes import API, SESSION, STARTUP, Route, route_of
from loravit_web.ui.gate.signing_in import SIGNED_OUT, Cookies, SigningIn, new_visitor
from loravit_web.ui.gate.uploads import Uploads, is_progress_id
from loravit_web.ui.kit.callers import KEY, Caller
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.patches.receiving import forget_progress

_LOG = logging.getLogger(__name__)
_A_YEAR = 365 * 24 * 3600
_CROWDED = "You have too many open requests. Close some pages, or wait for answers."
_PAGES = frozenset({"/", "/config"})
_SESSION = re.compile(SESSION)


@dataclass(frozen=True)
class House:
    """The rules of the gate, and the parts of the app that it uses.

    Attributes:
        arrivals: Checks the origin of requests.
        cookies: Reads and writes the cookies that identify browsers.
        headers: Headers of every answer.
        admit: Counts a request; raises `TooManyRequests` beyond the limit.
        guest_name: Returns the name of a demo visitor from their cookie or address. None outside demos.
        signing_in: Routes of a team whose members have passwords. None if no one signs in with a password.
        uploads: Receives files.
        presence: Tracks which pages are still open.
        folder: Only folder from which files are served.
        prefix: Prefix of every path if the app is mounted under one.
        most_of_one: Maximum number of open requests of one subscriber, or None for no limit.
        health: Routes for those who watch over the app. None without any.
        is_starting: Returns whether Gradio has yet to start the app.
        owns: Returns whether a caller may fetch a file in the folder.
    """

    arrivals: Arrivals
    cookies: Cookies
    headers: dict[str, str]
    admit: Callable[[Caller], None]
    guest_name: Callable[[str], str] | None
    signing_in: SigningIn | None
    uploads: Uploads
    presence: Presence
    folder: Path
    prefix: str = ""
    most_of_one: int | None = None
    health: Health | None = None
    is_starting: Callable[[], bool] = lambda: False
    owns: Callable[[Caller, Path], bool] = lambda _caller, _path: True


class Gate:
    """ASGI middleware in front of all others. For use in one event loop.

    Args:
        app: Answers the requests that pass.
        house: Rules and parts of the app.
    """

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app, self._house = app, house
        self._documents, self._drain = Budget(), Drain()
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn errors into answers."""
        cookies: list[str] = []
        is_file = scope["path"].startswith(f"{self._house.prefix}{API}/file=")
        out = Guarded(scope, send, self._house.headers, is_file=is_file, cookies=cookies)
        incoming = Incoming(receive, has_body=_has_body(scope))
        try:
            await self._let_in(scope, incoming, out, cookies)
        except Refused as refused:
            if not out.started:
                rest = None if incoming.is_read else partial(self._drain.drop, incoming)
                await out.answer(refused.answer(), rest)
        except Left:
            return  # the connection is closed
        except Exception:  # noqa: BLE001 - the outermost handler: logs the error and answers with a message
            _LOG.exception("%s %s failed.", scope["method"], scope["path"][:200])
            if not out.started:
                await out.answer(Refused(500, FAILED).answer())

    async def _let_in(self, scope: Scope, receive: Receive, out: Guarded, cookies: list[str]) -> None:
        house = self._house
        scope, caller = house.arrivals.cleaned(scope)
        if house.most_of_one is not None and self._open[caller.source] >= house.most_of_one:
            raise Refused(429, _CROWDED, wait=5)
        self._open[caller.source] += 1
        try:
            path = scope["path"].removeprefix(house.prefix) or "/"
            route = route_of(scope["method"], path)
            if route is None or (path.rstrip("/") == STARTUP and not house.is_starting()):
                raise Refused(404, NO_ROUTE)
            if scope["method"] == "POST" or path == "/logout":
                house.arrivals.check_origin(scope, caller)
            if not route.public or path == "/logout":
                caller = await self._known(scope, caller, path, cookies)
            scope[KEY] = caller
            answer = await self._answered_here(scope, receive, caller, route, path)
            if answer is not None:
                await answer(scope, receive, out.send)
                return
            await self._passed_on(scope, receive, out, route, path)
        finally:
            self._open[caller.source] -= 1
            if not self._open[caller.source]:
                del self._open[caller.source]

    async def _known(self, scope: Scope, caller: Caller, path: str, cookies: list[str]) -> Caller:
        """Return the caller with their identity. A new visitor of a demo gets a cookie."""
        house = self._house
        if house.signing_in is not None:
            return replace(caller, username=await house.signing_in.member(scope))
        if house.guest_name is None:
            return caller
        token = house.cookies.read(scope, "visitor")
        if token is None and path in _PAGES and scope["method"] == "GET":
            token = new_visitor()
            cookies.append(house.cookies.written("visitor", token, caller, seconds=_A_YEAR))
        return replace(caller, guest=house.guest_name(token or caller.source))

    async def _answered_here(
        self, scope: Scope, receive: Receive, caller: Caller, route: Route, path: str
    ) -> Response | None:
        """Answer the gate's own routes, after checking that the caller may use the app."""
        if path.rstrip("/") in PATHS:
            answer = await self._house.health.answer(path.rstrip("/"), scope) if self._house.health else None
            if answer is None:
                raise Refused(404, NO_ROUTE)
            return answer
        signing_in = self._house.signing_in
        if signing_in is not None:
            if route.body == "form":
                async with self._documents.share() as share:
                    body = await read_body(receive, bodies.FORM_BYTES, share, declared=_declared(scope))
                return await signing_in.sign_in(scope, body, caller)
            if path == "/logout":
                return signing_in.sign_out(caller)
            if caller.username is None and not route.public:
                if path == "/":
                    return signing_in.page()
                raise Refused(401, SIGNED_OUT)
        elif route.body == "form":
            raise Refused(404, NO_ROUTE)
        if route.counted:
            try:
                self._house.admit(caller)
            except TooManyRequests as error:
                raise Refused(429, str(error), wait=error.wait) from error
        if route.body == "upload":
            return await self._house.uploads.take(scope, receive, caller)
        return None

    async def _passed_on(self, scope: Scope, receive: Receive, out: Guarded, route: Route, path: str) -> None:
        if route.body == "json":
            async with self._documents.share() as share:
                body = await read_body(receive, bodies.JSON_BYTES, share, declared=_declared(scope))
                await check_json(body)
                await self._app(scope, replayed(body, receive), out.send)
            return
        if path.startswith(f"{API}/file="):
            self._check_file(path.removeprefix(f"{API}/file="), scope[KEY])
        query = QueryParams(scope["query_string"])
        if route.stream:
            session = query.get("session_hash") or path.rpartition("/")[2]
            if not _SESSION.fullmatch(session):
                raise Refused(400, "session_hash is not a valid name. Send 1 to 128 letters, digits, - or _.")
            if path.startswith(f"{API}/heartbeat/"):  # open as long as the page
                await self._app(scope, receive, out.send)
                return
            with self._house.presence.listening(session):
                await self._app(scope, receive, out.send)
            return
        if path.startswith(f"{API}/upload_progress"):
            upload = query.get("upload_id", "")
            if not is_progress_id(upload):
                raise Refused(400, "upload_id is not a valid name. Send 1 to 64 letters, digits, - or _.")
            try:
                await self._app(scope, receive, out.send)
            finally:
                forget_progress(upload)
            return
        await self._app(scope, receive, out.send)

    def _check_file(self, path: str, caller: Caller) -> None:
        """Check that a caller may fetch a file.

        Raises:
            Refused: If the path is outside the served folder, or the file belongs to another visitor.
        """
        file, folder = Path(path), self._house.folder
        inside = "\0" not in path and ".." not in file.parts and file.is_relative_to(folder)
        if not inside or not self._house.owns(caller, file):
            raise Refused(404, "This file does not exist. Reload the page.")


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _declared(scope: Scope) -> int | None:
    text = Headers(scope=scope).get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 100 else None
