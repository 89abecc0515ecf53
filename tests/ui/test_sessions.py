"""What a session costs the server."""

from __future__ import annotations

import httpx

from tests.ui.conftest import RunningApp


def test_calls_without_a_session_of_their_own_keep_no_copies_of_the_page(running_app: RunningApp) -> None:
    for _ in range(3):
        made = httpx.post(f"{running_app.url}gradio_api/call/tasks", json={"data": []}).json()["event_id"]
        assert "colours@1" in httpx.get(f"{running_app.url}gradio_api/call/tasks/{made}", timeout=30).text
    sessions = running_app.demo.state_holder.session_data.values()
    assert len(sessions) >= 3
    assert max(len(session.config_values) for session in sessions) <= 5
    assert len(running_app.demo.blocks) > 200
