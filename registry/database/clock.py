"""Where the registry gets the time from."""

from collections.abc import Callable
from datetime import datetime, timezone

Clock = Callable[[], datetime]
"""Returns the present moment as an aware datetime."""


def utc_now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(timezone.utc)
