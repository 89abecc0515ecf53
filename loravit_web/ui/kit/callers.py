"""Who sent a request, as the gate leaves it for everything behind it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

KEY = "loravit.caller"
"""Where the gate leaves the `Caller` in the scope of a request."""


@dataclass(frozen=True)
class Caller:
    """Who sends a request, as far as the gate knows.

    Attributes:
        source: what requests of one subscriber are counted under, from the address.
        username: the member who is signed in with a password.
        guest: what tells visitors of a demo apart.
        site: scheme and host under which the sender reached the app, such as ``https://host:443``.
    """

    source: str
    site: str
    username: str | None = None
    guest: str | None = None


def caller_of(scope: Scope) -> Caller:
    """Return who sent a request that came through the gate."""
    caller: Caller = scope[KEY]
    return caller
