"""What the whole page costs a browser."""

from __future__ import annotations

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
