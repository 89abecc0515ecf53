"""Who is at a page or calls over HTTP, and what they may change."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from loravit_web.access.rights import ANONYMOUS, GUEST, Visitor
from loravit_web.actions import Actions
from loravit_web.service import Service
from loravit_web.ui.kit.callers import Caller, caller_of
from loravit_web.ui.kit.markup import notice
from loravit_web.ui.patches.hub import told_by_hub
from loravit_web.visibility import Seen


def visitor_of(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, with what they may do.

    Raises:
        NotSignedIn: in a team, from who has not.
    """
    settings = service.settings
    if settings.mode == "local":
        return service.visitor(None)
    if settings.mode == "team" and settings.hub_roles.enabled:
        return _from_hub(service, request.session)
    caller = _caller(request)
    if settings.mode == "demo":
        return service.visitor(caller.guest, caller.source)
    return service.visitor(caller.username)


def admit(service: Service, caller: Caller) -> None:
    """Count a request; one person alone may send as many as they like.

    Raises:
        TooManyRequests: if its sender sends more than anybody may.
    """
    if service.settings.mode != "local":
        service.rates.admit(caller.username or caller.source)


def actions_of(service: Service, request: gr.Request, *, uploads: Sequence[Path] = ()) -> Actions:
    """What whoever sent a request may change.

    Args:
        uploads: the files that they give with it.
    """
    return Actions(service, visitor_of(service, request), uploads=uploads)


def seen_by(service: Service, request: gr.Request) -> Seen:
    """What whoever sent a request sees.

    Raises:
        NotSignedIn: in a team, from who has not.
    """
    return service.seen_by(visitor_of(service, request))


def read_only(refusal: str | None) -> gr.HTML:
    """The update of a notice that says why a visitor can't change anything there; hidden where they can."""
    return gr.HTML(notice(refusal or "", title="Read only."), visible=refusal is not None)


def guest_name(secret: bytes, text: str) -> str:
    """Return one name for all that a demo's visitor does, which does not tell their cookie or address."""
    return f"{GUEST}-{hashlib.blake2b(text.encode(), key=secret, digest_size=8).hexdigest()}"


def _caller(request: gr.Request) -> Caller:
    assert request.request is not None  # there is one wherever Gradio fills it in
    return caller_of(request.request.scope)


def _from_hub(service: Service, session: Mapping[str, Any]) -> Visitor:
    told = told_by_hub(session)
    if told is None or told.get("expires_at", 0) < time.time():
        return ANONYMOUS
    person = told["userinfo"]
    return service.members.hub_visitor(
        str(person["sub"]), str(person["preferred_username"]), service.settings.hub_roles
    )
