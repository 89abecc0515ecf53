"""The one way in: every request passes here before anything of Gradio sees it."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.access.rates import TooManyRequests
from loravit_web.ui.gate import bodies
from loravit_web.ui.gate.arrivals import Arrivals
from loravit_web.ui.gate.bodies import Budget, Left, check_json, read_body, replayed
from loravit_web.ui.gate.headers import Guarded
from loravit_web.ui.gate.refusals import FAILED, NO_ROUTE, Refused
from loravit_web.ui.gate.routes import API, SESSION, STARTUP, Route, route_of
from loravit_web.ui.gate.signing_in import SIGNED_OUT, Cookies, SigningIn, new_visitor
from loravit_web.ui.gate.uploads import Uploads, is_progress_id
from loravit_web.ui.kit.callers import KEY, Caller
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.patches.receiving import forget_progress

_LOG = logging.getLogger(__name__)
_A_YEAR = 365 * 24 * 3600
_CROWDED = "Too many requests of yours are open at once. Close some pages or wait until they are answered."
_PAGES = frozenset({"/", "/config"})
_SESSION = re.compile(SESSION)


@dataclass(frozen=True)
class House:
    """What stands behind the gate, and its rules.

    Attributes:
        arrivals: where requests may come from.
        cookies: what tells browsers apart.
        headers: of every answer.
        admit: counts a request; raises TooManyRequests.
        guest_name: a demo visitor's name from what tells them apart; None where there are no such visitors.
        signing_in: of a team whose members have passwords; None where nobody signs in here.
        uploads: takes files in.
        presence: which pages are still there.
        folder: from which alone files are handed out.
        prefix: of every path, where the app is mounted under one.
        most_of_one: requests of one subscriber that may be open at once; None for no limit.
        is_starting: whether Gradio still has to tell the app to begin.
        owns: whether a caller may fetch a file of the folder.
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
    is_starting: Callable[[], bool] = lambda: False
    owns: Callable[[Caller, Path], bool] = lambda _caller, _path: True


class Gate:
    """ASGI middleware in front of everything. For one event loop.

    Args:
        app: answers what is let through.
    """

    def __init__(self, app: ASGIApp, house: House) -> None:
        self._app, self._house = app, house
        self._documents = Budget()
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn what is raised on the way into an answer."""
        cookies: list[str] = []
        is_file = scope["path"].startswith(f"{self._house.prefix}{API}/file=")
        out = Guarded(scope, send, self._house.headers, is_file=is_file, cookies=cookies)
        try:
            await self._let_in(scope, receive, out, cookies)
        except Refused as refused:
            if not out.started:
                await out.answer(refused.answer(), receive if _has_body(scope) else None)
        except Left:
            return  # nobody is there to be answered
        except Exception:  # noqa: BLE001 - the last line of the server: logged, and told in a sentence
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
        """Add who the caller is, and give a demo's visitor what to be known by."""
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
        """Answer what is the gate's own, after checking that the caller may ask at all."""
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
                raise Refused(400, "session_hash is not a usable name.")
            if path.startswith(f"{API}/heartbeat/"):  # open as long as the page, whatever is asked there
                await self._app(scope, receive, out.send)
                return
            with self._house.presence.listening(session):
                await self._app(scope, receive, out.send)
            return
        if path.startswith(f"{API}/upload_progress"):
            upload = query.get("upload_id", "")
            if not is_progress_id(upload):
                raise Refused(400, "upload_id is not a usable name.")
            try:
                await self._app(scope, receive, out.send)
            finally:
                forget_progress(upload)
            return
        await self._app(scope, receive, out.send)

    def _check_file(self, path: str, caller: Caller) -> None:
        """
        Raises:
            Refused: for a path that is not in the folder from which files are handed out, or another's.
        """
        file, folder = Path(path), self._house.folder
        inside = "\0" not in path and ".." not in file.parts and file.is_relative_to(folder)
        if not inside or not self._house.owns(caller, file):
            raise Refused(404, "There is no such file here.")


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _declared(scope: Scope) -> int | None:
    text = Headers(scope=scope).get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 100 else None
