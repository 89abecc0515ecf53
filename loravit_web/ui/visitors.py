"""Who is at a page or calls over HTTP, and what they may change."""

from __future__ import annotations

import gradio as gr

from loravit_web.access import Visitor
from loravit_web.actions import Actions
from loravit_web.service import Service


def visitor_of(service: Service, request: gr.Request) -> Visitor:
    """Whoever sent a request, with what they may do."""
    return service.visitor(request.username)


def actions_of(service: Service, request: gr.Request) -> Actions:
    """What whoever sent a request may change."""
    return Actions(service, visitor_of(service, request))
