"""What a session costs the server."""

from __future__ import annotations

import gradio as gr
import httpx
import pytest

from loravit_web.ui.patches.sessions import LightSessions
from tests.ui.conftest import RunningApp


def test_calls_without_a_session_of_their_own_keep_no_copies_of_the_page(running_app: RunningApp) -> None:
    for _ in range(3):
        made = httpx.post(f"{running_app.url}gradio_api/call/tasks", json={"data": []}).json()["event_id"]
        assert "colours@1" in httpx.get(f"{running_app.url}gradio_api/call/tasks/{made}", timeout=30).text
    sessions = running_app.demo.state_holder.session_data.values()
    assert len(sessions) >= 3
    assert not [
        described for session in sessions for described in session.config_values.values() if described
    ]
    assert len(running_app.demo.blocks) > 200


def sessions_with_a_state(now: list[float]) -> tuple[LightSessions, int]:
    with gr.Blocks() as demo:
        remembered = gr.State("first")
    return LightSessions(demo, clock=lambda: now[0]), remembered._id


def test_of_many_sessions_those_with_nothing_to_remember_go_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loravit_web.ui.patches.sessions.MOST_IDLE", 2)
    now = [0.0]
    sessions, remembered = sessions_with_a_state(now)
    sessions["page"][remembered] = "second"
    for number in range(4):
        now[0] = 8.0 * number
        assert sessions[f"call {number}"].state_data == {}
    assert set(sessions.session_data) == {"page", "call 2", "call 3"}
    assert set(sessions.time_last_used) == {"page", "call 2", "call 3"}
    assert sessions["page"][remembered] == "second"


def test_what_the_first_event_of_a_page_gives_is_remembered_however_long_it_takes() -> None:
    now = [0.0]
    sessions, remembered = sessions_with_a_state(now)
    page = sessions["page"]
    for minute in range(1, 59):
        now[0] = 60.0 * minute
        assert sessions[f"call {minute}"].state_data == {}
    page[remembered] = "second"
    assert sessions["page"][remembered] == "second"
    now[0] = 3 * 3600.0
    assert sessions["call"].state_data == {}
    assert set(sessions.session_data) == {"page", "call"}
