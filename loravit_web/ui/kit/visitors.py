"""Visitors of the page and of the HTTP interface, and what they may see and change."""

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
from loravit_web.ui.language.choice import language_of
from loravit_web.ui.language.texts import _, speak
from loravit_web.ui.patches.hub import told_by_hub
from loravit_web.visibility import Seen


def visitor_of(service: Service, request: gr.Request) -> Visitor:
    """Return the sender of a request with their rights. From then on, texts are in their language.

    Raises:
        NotSignedIn: If the app serves a team and the sender is not signed in.
    """
    settings = service.settings
    if not settings.plain_gradio:  # its page is English
        speak(language_of(request.query_params, request.headers))
    if settings.mode == "local":
        return service.visitor(None)
    if settings.mode == "team" and settings.hub_roles.enabled:
        return _from_hub(service, request.session)
    caller = _caller(request)
    if settings.mode == "demo":
        return service.visitor(caller.guest, caller.source)
    return service.visitor(caller.username)


def admit(service: Service, caller: Caller) -> None:
    """Count a request of a caller, except in the mode local, which has no limit.

    Raises:
        TooManyRequests: If the caller exceeds the rate limit.
    """
    if service.settings.mode != "local":
        service.rates.admit(caller.username or caller.source)


def actions_of(service: Service, request: gr.Request, *, uploads: Sequence[Path] = ()) -> Actions:
    """Return the actions of the sender of a request.

    Args:
        service: Service to act on.
        request: Request.
        uploads: Uploaded files that the actions may use.
    """
    return Actions(service, visitor_of(service, request), uploads=uploads)


def seen_by(service: Service, request: gr.Request) -> Seen:
    """Return what the sender of a request sees.

    Raises:
        NotSignedIn: If the app serves a team and the sender is not signed in.
    """
    return service.seen_by(visitor_of(service, request))


def read_only(refusal: str | None) -> gr.HTML:
    """Return the update of a notice with the reason why a visitor cannot change anything, if there is one."""
    return gr.HTML(notice(refusal or "", title=_("View only.")), visible=refusal is not None)


def guest_name(secret: bytes, text: str) -> str:
    """Return the name of a visitor of a demo, which does not reveal their cookie or address.

    Args:
        secret: Key of the hash.
        text: Cookie or address of the visitor.
    """
    return f"{GUEST}-{hashlib.blake2b(text.encode(), key=secret, digest_size=8).hexdigest()}"


def _caller(request: gr.Request) -> Caller:
    assert request.request is not None  # Gradio sets it for every request over HTTP
    return caller_of(request.request.scope)


def _from_hub(service: Service, session: Mapping[str, Any]) -> Visitor:
    told = told_by_hub(session)
    if told is None or told.get("expires_at", 0) < time.time():
        return ANONYMOUS
    person = told["userinfo"]
    return service.members.hub_visitor(
        str(person["sub"]), str(person["preferred_username"]), service.settings.hub_roles
    )
