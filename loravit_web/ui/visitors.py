"""Who is at a page or calls over HTTP, and what they may change."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.access import ANYBODY, GUEST, LOCAL, Visitor
from loravit_web.actions import Actions
from loravit_web.rates import TooManyRequests
from loravit_web.seen import Seen
from loravit_web.service import Service
from loravit_web.ui.markup import notice

_LOG = logging.getLogger(__name__)
PROVIDER = "oauth_info"
"""Where Gradio keeps, in a signed cookie, what the Hub said about who signed in."""


def visitor_of(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, with what they may do.

    Raises:
        NotSignedIn: in a team, from who has not.
    """
    settings = service.settings
    if settings.mode == "demo":
        return service.visitor(_guest(service, request))
    if settings.mode == "team" and settings.hub_roles.enabled:
        return _from_hub(service, request.session)
    return service.visitor(request.username)


def admitted(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, which counts from now on; one person alone may ask as often as they like.

    Raises:
        TooManyRequests: if they ask faster than anybody may.
    """
    visitor = visitor_of(service, request)
    if visitor != LOCAL:
        service.rates.admit(_guest(service, request) if visitor == ANYBODY else visitor.name)
    return visitor


def actions_of(service: Service, request: gr.Request, *, uploads: Sequence[Path] = ()) -> Actions:
    """What whoever sent a request may change.

    Args:
        uploads: the files that they give with it.

    Raises:
        TooManyRequests: if they ask faster than anybody may.
    """
    return Actions(service, admitted(service, request), uploads=uploads)


def seen_by(service: Service, request: gr.Request) -> Seen:
    """What whoever sent a request sees.

    Raises:
        NotSignedIn: in a team, from who has not.
    """
    return service.seen_by(visitor_of(service, request))


def read_only(refusal: str | None) -> gr.HTML:
    """The update of a notice that says why a visitor can't change anything there; hidden where they can."""
    return gr.HTML(notice(refusal or "", title="Read only."), visible=refusal is not None)


def guest_name(salt: bytes, address: str) -> str:
    """One name for all that comes from an address while the app runs, which does not tell the address."""
    return f"{GUEST}-{hashlib.blake2b(address.encode(), key=salt, digest_size=4).hexdigest()}"


def _guest(service: Service, request: gr.Request) -> str:
    return guest_name(service.salt, request.client.host if request.client else "")


def sign_in(service: Service) -> Callable[[str, str], Awaitable[bool]]:
    """Gradio's check of a name and a password, which takes a while on purpose and so has its own thread."""

    async def check(username: str, password: str) -> bool:
        try:
            return await asyncio.to_thread(service.members.signs_in, username, password)
        except TooManyRequests as error:  # the page of the server underneath can only say that it is wrong
            _LOG.warning("Sign-in as %r refused: %s", username[:80], error)
            return False

    return check


def _from_hub(service: Service, session: Mapping[str, Any]) -> Visitor:
    told = session.get(PROVIDER)
    if told is None or told.get("expires_at", 0) < time.time():
        return ANYBODY
    person = told["userinfo"]
    return service.members.hub_visitor(
        str(person["sub"]), str(person["preferred_username"]), service.settings.hub_roles
    )
