"""What a session costs the server."""

from __future__ import annotations

import gradio as gr
import httpx

from loravit_web.ui.sessions import LightSessions
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


def test_a_session_goes_after_a_while_when_there_is_nothing_to_remember_in_it() -> None:
    now = [0.0]
    with gr.Blocks() as demo:
        remembered = gr.State("first")
    sessions = LightSessions(demo, clock=lambda: now[0])
    sessions["page"][remembered._id] = "second"
    for number in range(3):
        now[0] = 8.0 * number
        assert sessions[f"call {number}"].state_data == {}
    assert set(sessions.session_data) == {"page", "call 1", "call 2"}
    assert set(sessions.time_last_used) == {"page", "call 1", "call 2"}
    assert sessions["page"][remembered._id] == "second"
