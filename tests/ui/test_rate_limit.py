"""How often each visitor may ask, whoever they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from loravit_web.access import ANYBODY, LOCAL, Visitor, guest, member
from loravit_web.rates import RateLimit, TooManyRequests
from loravit_web.service import Service
from loravit_web.ui import visitors
from loravit_web.ui.visitors import actions_of, admitted


def a_service(monkeypatch: pytest.MonkeyPatch, visitor: Visitor) -> Service:
    """All of a service that these functions look at; every request comes from the same visitor."""
    monkeypatch.setattr(visitors, "visitor_of", lambda _service, _request: visitor)
    return cast("Service", SimpleNamespace(rates=RateLimit(1), registry=None, salt=b"salt"))


def a_request(host: str) -> gr.Request:
    return cast("gr.Request", SimpleNamespace(client=SimpleNamespace(host=host)))


def test_readers_without_a_name_are_counted_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    service = a_service(monkeypatch, ANYBODY)
    admitted(service, a_request("10.0.0.1"))
    admitted(service, a_request("10.0.0.2"))
    with pytest.raises(TooManyRequests):
        admitted(service, a_request("10.0.0.1"))


@pytest.mark.parametrize("ask", [admitted, actions_of])
@pytest.mark.parametrize("visitor", [member("ann", "editor"), guest("guest-1f", training=True)])
def test_whoever_has_a_name_is_counted_by_it_wherever_they_are_and_changes_count_too(
    monkeypatch: pytest.MonkeyPatch, visitor: Visitor, ask: Any
) -> None:
    service = a_service(monkeypatch, visitor)
    ask(service, a_request("10.0.0.1"))
    with pytest.raises(TooManyRequests):
        admitted(service, a_request("10.0.0.2"))


def test_one_person_alone_may_ask_as_often_as_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    service = a_service(monkeypatch, LOCAL)
    for _ in range(3):
        assert admitted(service, a_request("127.0.0.1")) == LOCAL
