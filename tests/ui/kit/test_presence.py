"""A page is gone once its last stream has ended for a while."""

from __future__ import annotations

from loravit_web.ui.kit.presence import Presence


class Clock:
    """Time that passes when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_page_is_there_while_it_listens_and_gone_a_while_after() -> None:
    clock = Clock()
    presence = Presence(clock=clock, grace=5)
    with presence.listening("a"):
        is_cancelled = presence.watch("a")
        clock.now = 1000
        assert not is_cancelled()
    clock.now = 1004
    assert not is_cancelled()
    with presence.listening("a"):  # it came back in time
        clock.now = 1100
        assert not is_cancelled()
    clock.now = 1106
    assert is_cancelled()


def test_several_streams_of_one_page_are_one_presence() -> None:
    clock = Clock()
    presence = Presence(clock=clock, grace=5)
    with presence.listening("a"):
        with presence.listening("a"):
            pass
        clock.now = 100
        assert not presence.watch("a")()


def test_work_of_a_page_that_never_listened_ends_after_a_while() -> None:
    clock = Clock()
    presence = Presence(clock=clock, grace=5)
    is_cancelled = presence.watch("a")
    assert not is_cancelled()
    clock.now = 6
    assert is_cancelled()


def test_a_request_that_comes_long_after_the_last_stream_waits_for_its_own() -> None:
    clock = Clock()
    presence = Presence(clock=clock, grace=5)
    with presence.listening("a"):
        pass
    clock.now = 1000
    is_cancelled = presence.watch("a")
    assert not is_cancelled()
    clock.now = 1006
    assert is_cancelled()


def test_work_without_a_page_goes_on() -> None:
    clock = Clock()
    is_cancelled = Presence(clock=clock).watch(None)
    clock.now = 1e6
    assert not is_cancelled()
