"""Signing in with a password, signing out, and the cookies that identify a browser."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Scope

from loravit_web.access.rates import TooManyRequests
from loravit_web.access.sessions import Sessions
from loravit_web.access.sign_in import SignInDesk
from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.kit.callers import Caller
from loravit_web.ui.scripts import source
from loravit_web.ui.templates import render

SIGNED_OUT = "You are not signed in. Open the app's page and sign in."
WRONG = "The name or the password is wrong. Check both and try again."
_YEAR = 365 * 24 * 3600
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
_NOT_KEPT = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Cookies:
    """Names and attributes of the app's cookies.

    Attributes:
        key: Secret of the data folder. It distinguishes the cookies of several apps on one host.
        in_frame: Whether the page is shown in a frame of another site, as on a Space.
        path: Path under which the app is reached.
    """

    key: bytes
    in_frame: bool = False
    path: str = "/"

    def name(self, what: str) -> str:
        """Return the name of a cookie."""
        return f"loravit-{what}-{hashlib.sha256(self.key).hexdigest()[:8]}"

    def read(self, scope: Scope, what: str) -> str | None:
        """Return the value of a cookie, or None if it is missing or not one that the app can have set."""
        values = cookie_parser("; ".join(Headers(scope=scope).getlist("cookie")))
        value = values.get(self.name(what), "")
        return value if _TOKEN.fullmatch(value) else None

    def written(self, what: str, value: str, caller: Caller, *, seconds: int) -> str:
        """Return a ``Set-Cookie`` value.

        Args:
            what: Kind of cookie, as for `name`.
            value: Value of the cookie.
            caller: Sender of the request.
            seconds: Lifetime in seconds; 0 removes the cookie.
        """
        parts = [f"{self.name(what)}={value}", f"Path={self.path}", f"Max-Age={seconds}", "HttpOnly"]
        if self.in_frame:
            parts += ["SameSite=None", "Secure", "Partitioned"]
        else:
            parts += ["SameSite=Lax", *(["Secure"] if caller.site.startswith("https:") else [])]
        return "; ".join(parts)


class SigningIn:
    """The routes of a team whose members have passwords.

    Args:
        sessions: Sessions of signed-in members.
        desk: Checks passwords.
        cookies: Reads and writes cookies.
        hours: Lifetime of a session in hours.
    """

    def __init__(self, sessions: Sessions, desk: SignInDesk, cookies: Cookies, *, hours: float) -> None:
        self._sessions, self._desk, self._cookies = sessions, desk, cookies
        self._seconds = int(hours * 3600)

    async def member(self, scope: Scope) -> str | None:
        """Return the member whose session a request belongs to, or None."""
        token = self._cookies.read(scope, "session")
        return await run_sync(self._sessions.member, token) if token is not None else None

    async def sign_in(self, scope: Scope, body: bytes, caller: Caller) -> Response:
        """Answer the form of the sign-in page, which programs may send as well.

        Args:
            scope: Request.
            body: Body of the request.
            caller: Sender of the request.

        Raises:
            Refused: If the form is incomplete, the password is wrong, or there were too many tries.
        """
        username, password = _form(body)
        known = self._cookies.read(scope, "known") == self._known(username)
        try:
            stamp = await self._desk.security_stamp(username, password, caller.source, known=known)
        except TooManyRequests as error:
            raise Refused(429, str(error), wait=error.wait) from error
        if stamp is None:
            raise Refused(401, WRONG)
        token = self._sessions.open(username, stamp)
        answer: Response = JSONResponse({"success": True}, headers=_NOT_KEPT)
        if Headers(scope=scope).get("sec-fetch-mode") == "navigate":  # a browser without scripts
            answer = RedirectResponse("./", status_code=303)
        kept = [("session", token, self._seconds), ("known", self._known(username), _YEAR)]
        for what, value, seconds in kept:
            answer.raw_headers.append(
                (b"set-cookie", self._cookies.written(what, value, caller, seconds=seconds).encode())
            )
        return answer

    def sign_out(self, caller: Caller) -> Response:
        """End every session of the caller."""
        if caller.username is not None:
            self._sessions.close_all(caller.username)
        answer = RedirectResponse("./", status_code=303)
        cookie = self._cookies.written("session", "", caller, seconds=0)
        answer.raw_headers.append((b"set-cookie", cookie.encode()))
        return answer

    @staticmethod
    def page() -> Response:
        """Return the sign-in page."""
        html = render("gate/sign_in", script=source("gate/sign_in"))
        return HTMLResponse(html, headers=_NOT_KEPT)

    def _known(self, username: str) -> str:
        """Return the value of the cookie that marks browsers in which a member signed in before."""
        return hmac.new(self._cookies.key, f"known\0{username}".encode(), hashlib.sha256).hexdigest()[:43]


def new_visitor() -> str:
    """Return a random cookie value for a new visitor."""
    return secrets.token_urlsafe(24)


def _form(body: bytes) -> tuple[str, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=16, strict_parsing=False)
        return fields["username"][0].strip(), fields["password"][0]
    except (ValueError, KeyError) as error:
        raise Refused(400, "The form is incomplete. Send the fields username and password.") from error
