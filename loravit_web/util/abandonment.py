"""Work that ends when nobody waits for it any more."""

from __future__ import annotations

import time
from collections.abc import Callable

from loravit_web.errors import LoraVitError

IsGone = Callable[[], bool]
"""Tells whether whoever asked for the work has left; cheap, and may be called from any thread."""


class Abandoned(LoraVitError):
    """Nobody waits for the work any more."""


class TookTooLong(LoraVitError):
    """Work that was not done by its deadline."""


def never_gone() -> bool:
    """Tell that whoever asked is still there, as in a shell."""
    return False


def check_waited_for(is_gone: IsGone) -> None:
    """
    Raises:
        Abandoned: if whoever asked has left.
    """
    if is_gone():
        raise Abandoned("Nobody waits for this any more, so it was ended.")


def until(seconds: float, late: str, *, clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
    """Return a check that fails once a time has passed.

    Args:
        seconds: from now.
        late: the sentence of the `TookTooLong` that the check then raises.
    """
    deadline = clock() + seconds

    def check() -> None:
        if clock() > deadline:
            raise TookTooLong(late)

    return check
