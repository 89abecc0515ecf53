"""Sender of a request, as the gate records it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

KEY = "loravit.caller"
"""Key of the `Caller` in the scope of a request."""


@dataclass(frozen=True)
class Caller:
    """Sender of a request, as far as the gate knows.

    Attributes:
        source: Part of the address that identifies a subscriber, for counting requests.
        site: Scheme and host under which the sender reached the app, such as ``https://host:443``.
        username: Name of the member who signed in with a password.
        guest: Identifier of a visitor of a demo.
    """

    source: str
    site: str
    username: str | None = None
    guest: str | None = None


def caller_of(scope: Scope) -> Caller:
    """Return the sender of a request that came through the gate."""
    caller: Caller = scope[KEY]
    return caller
