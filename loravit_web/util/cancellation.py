"""Cancellation of work whose result is no longer needed."""

from __future__ import annotations

import time
from collections.abc import Callable

from loravit_web.errors import LoraVitError

IsCancelled = Callable[[], bool]
"""Returns whether the work was cancelled, for example because the browser disconnected.

Cheap and thread-safe.
"""


class Cancelled(LoraVitError):
    """Work that was cancelled."""


class DeadlineExceeded(LoraVitError):
    """Work that missed its deadline."""


def never_cancelled() -> bool:
    """Return False: work that cannot be cancelled, as in a shell."""
    return False


def raise_if_cancelled(is_cancelled: IsCancelled) -> None:
    """Raise an error if the work was cancelled.

    Raises:
        Cancelled: If the work was cancelled.
    """
    if is_cancelled():
        raise Cancelled("The request was cancelled, so the work was stopped.")


def deadline_check(
    seconds: float, message: str, *, clock: Callable[[], float] = time.monotonic
) -> Callable[[], None]:
    """Return a check that fails after a deadline.

    Args:
        seconds: Seconds from now to the deadline.
        message: Message of the `DeadlineExceeded` that the check raises.
        clock: Returns the time in seconds.
    """
    deadline = clock() + seconds

    def check() -> None:
        if clock() > deadline:
            raise DeadlineExceeded(message)

    return check
