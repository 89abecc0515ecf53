"""How many requests each visitor may send."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from loravit_web.access.rates import RateLimit, TooManyRequests
from loravit_web.service import Service
from loravit_web.settings.modes import Mode
from loravit_web.ui.kit.callers import Caller
from loravit_web.ui.kit.visitors import admit


def a_service(mode: Mode) -> Service:
    """All of a service that counting looks at."""
    return cast("Service", SimpleNamespace(rates=RateLimit(1), settings=SimpleNamespace(mode=mode)))


def a_caller(source: str, **known: str) -> Caller:
    return Caller(source, "http://host", **known)


def test_callers_without_a_name_are_counted_by_address() -> None:
    service = a_service("team")
    admit(service, a_caller("10.0.0.1"))
    admit(service, a_caller("10.0.0.2"))
    with pytest.raises(TooManyRequests):
        admit(service, a_caller("10.0.0.1"))


def test_a_member_is_counted_by_name_at_any_address() -> None:
    service = a_service("team")
    admit(service, a_caller("10.0.0.1", username="ann"))
    with pytest.raises(TooManyRequests):
        admit(service, a_caller("10.0.0.2", username="ann"))


def test_a_new_cookie_gives_a_visitor_of_a_demo_no_more_requests() -> None:
    service = a_service("demo")
    admit(service, a_caller("10.0.0.1", guest="guest-1"))
    with pytest.raises(TooManyRequests):
        admit(service, a_caller("10.0.0.1", guest="guest-2"))


def test_one_person_alone_may_ask_as_often_as_they_like() -> None:
    service = a_service("local")
    for _ in range(3):
        admit(service, a_caller("127.0.0.1"))
