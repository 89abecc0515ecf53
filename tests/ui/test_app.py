"""What the whole page costs a browser."""

from __future__ import annotations

from inspect import signature

from loravit_web.ui.kit.errors import told
from tests.ui.conftest import RunningApp


def test_no_event_shows_its_progress_in_more_than_one_place(running_app: RunningApp) -> None:
    # With each step of any event the browser looks up the places of all events so far, one by one.
    shown = [event for event in running_app.demo.fns.values() if event.fn is not None]
    places = {
        event.api_name: event.outputs if event.show_progress_on is None else event.show_progress_on
        for event in shown
    }
    assert len(places) > 50
    assert {name: len(where) for name, where in places.items() if len(where) > 1} == {}


def test_no_click_that_tells_what_was_clicked_is_dropped_while_another_is_answered(
    running_app: RunningApp,
) -> None:
    """Gradio's browser side drops it in its default mode, and forgets what was clicked in the other one."""
    events = [event for event in running_app.demo.fns.values() if event.fn is not None]
    telling = [
        event
        for event in events
        if any(
            "Data" in str(one.annotation) and "gr." in str(one.annotation)
            for one in signature(event.fn).parameters.values()
        )
    ]
    assert len(telling) >= 6
    assert {
        (event.name, event.trigger_mode) for event in telling if event.trigger_mode != "multiple"
    } == set()


def test_what_a_page_may_be_refused_goes_through_the_queue(running_app: RunningApp) -> None:
    """Gradio shows a toast, and an error, of no other event; over HTTP there is none to show."""
    events = [event for event in running_app.demo.fns.values() if event.fn and event.api_name != "tasks"]
    telling = [event for event in events if event.fn.__code__ is told(lambda: None).__code__]
    assert len(telling) >= 15
    assert [event.name for event in telling if not event.queue] == []
