"""Ended sessions of the Hugging Face Hub. A session is a signed cookie, and a copy could outlive it."""

from __future__ import annotations

from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.ui.patches.hub import forget_hub, told_by_hub

_MOST = 10_000


class EndedOnTheHub:
    """ASGI middleware behind Gradio's sessions that removes sessions whose user has signed out.

    Args:
        app: Answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ended: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove an ended session from a request."""
        told = told_by_hub(scope.get("session", {})) if scope["type"] == "http" else None
        if told is not None:
            person, expires_at = str(told["userinfo"]["sub"]), float(told.get("expires_at", 0))
            if scope["path"].endswith("/logout"):
                self._ended[person] = max(expires_at, self._ended.get(person, 0))
                if len(self._ended) > _MOST:
                    self._ended.popitem(last=False)
            elif expires_at <= self._ended.get(person, 0):
                forget_hub(scope["session"])
        await self._app(scope, receive, send)
