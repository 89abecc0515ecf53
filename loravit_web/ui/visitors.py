"""Who is at a page or calls over HTTP, and what they may change."""

from __future__ import annotations

import gradio as gr

from loravit_web.access import LOCAL, Visitor
from loravit_web.actions import Actions
from loravit_web.service import Service


def visitor_of(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, with what they may do."""
    return service.visitor(request.username)


def admitted(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, which counts from now on; one person alone may ask as often as they like.

    Raises:
        TooManyRequests: if they ask faster than anybody may.
    """
    visitor = visitor_of(service, request)
    if visitor != LOCAL:
        service.rates.admit(request.username or (request.client.host if request.client else visitor.name))
    return visitor


def actions_of(service: Service, request: gr.Request) -> Actions:
    """What whoever sent a request may change.

    Raises:
        TooManyRequests: if they ask faster than anybody may.
    """
    return Actions(service, admitted(service, request))
