"""What Gradio keeps of who signed in through the Hub is read, and is gone once they signed out."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send

from loravit_web.ui.gate.hub_session import EndedOnTheHub
from loravit_web.ui.patches.hub import told_by_hub
from tests.aside import run_aside


def a_session(expires_at: float) -> dict[str, Any]:
    """What a signed cookie holds."""
    return {"oauth_info": {"userinfo": {"sub": "1", "preferred_username": "ann"}, "expires_at": expires_at}}


class App:
    """An app that signs people out, and remembers who asked it."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self._app = EndedOnTheHub(self._answer)

    async def _answer(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        told = told_by_hub(scope["session"])
        self.asked.append(told["userinfo"]["preferred_username"] if told else None)

    def ask(self, path: str, session: dict[str, Any]) -> str | None:
        async def nothing() -> Any:
            return None

        async def unsent(_message: Any) -> None:
            return None

        run_aside(self._app({"type": "http", "path": path, "session": session}, nothing, unsent))
        return self.asked[-1]


def test_who_signed_in_is_read_from_the_session() -> None:
    app = App()
    assert app.ask("/", a_session(100.0)) == "ann"
    assert app.ask("/", {}) is None


def test_a_session_that_was_ended_cannot_be_used_again() -> None:
    app = App()
    assert app.ask("/logout", a_session(100.0)) == "ann"
    assert app.ask("/", a_session(100.0)) is None
    assert app.ask("/", a_session(200.0)) == "ann"  # signed in anew
