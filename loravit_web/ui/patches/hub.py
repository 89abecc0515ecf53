"""What Gradio keeps of who signed in through the Hugging Face Hub: a part of a signed cookie."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

_KEPT_AT = "oauth_info"


def told_by_hub(session: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the Hub said of who sends a request: ``userinfo`` and ``expires_at``; None for nobody."""
    told: Mapping[str, Any] | None = session.get(_KEPT_AT)
    return told


def forget_hub(session: MutableMapping[str, Any]) -> None:
    """Take who signed in out of the session of a request."""
    del session[_KEPT_AT]
