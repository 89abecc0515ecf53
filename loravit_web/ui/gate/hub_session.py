"""Signing out of a session of the Hugging Face Hub, which lives in a signed cookie and so could be kept."""

from __future__ import annotations

from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.ui.patches.hub import forget_hub, told_by_hub

_MOST = 10_000


class EndedOnTheHub:
    """ASGI middleware inside Gradio's sessions that forgets who somebody was once they have signed out.

    Args:
        app: answers the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ended: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take a session that is over out of the request."""
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
