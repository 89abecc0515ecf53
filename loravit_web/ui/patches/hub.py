"""The user who signed in through the Hugging Face Hub, as Gradio stores them in a signed cookie."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

_KEPT_AT = "oauth_info"


def told_by_hub(session: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return ``userinfo`` and ``expires_at`` of the user of a session, or None if no one is signed in."""
    told: Mapping[str, Any] | None = session.get(_KEPT_AT)
    return told


def forget_hub(session: MutableMapping[str, Any]) -> None:
    """Remove the user from the session of a request."""
    del session[_KEPT_AT]
