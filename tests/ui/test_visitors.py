"""Who asks over HTTP, and how often each may."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from loravit_web.access import LOCAL, Visitor, member
from loravit_web.rates import RateLimit, TooManyRequests
from loravit_web.service import Service
from loravit_web.ui.visitors import actions_of, admitted


def a_service(visitor: Visitor) -> Service:
    """All of a service that these functions look at."""
    parts = SimpleNamespace(visitor=lambda _name: visitor, rates=RateLimit(1), registry=None)
    return cast("Service", parts)


def a_request(host: str, username: str | None = None) -> gr.Request:
    return cast("gr.Request", SimpleNamespace(client=SimpleNamespace(host=host), username=username))


def test_a_visitor_without_a_name_is_counted_by_address() -> None:
    service = a_service(member("visitor", "viewer"))
    admitted(service, a_request("10.0.0.1"))
    admitted(service, a_request("10.0.0.2"))
    with pytest.raises(TooManyRequests):
        admitted(service, a_request("10.0.0.1"))


@pytest.mark.parametrize("ask", [admitted, actions_of])
def test_who_signed_in_is_counted_by_name_wherever_they_are_and_changes_count_too(ask: Any) -> None:
    service = a_service(member("ann", "editor"))
    ask(service, a_request("10.0.0.1", "ann"))
    with pytest.raises(TooManyRequests):
        admitted(service, a_request("10.0.0.2", "ann"))


def test_one_person_alone_may_ask_as_often_as_they_like() -> None:
    service = a_service(LOCAL)
    for _ in range(3):
        assert admitted(service, a_request("127.0.0.1")) == LOCAL
