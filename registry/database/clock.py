"""The clock of the registry."""

from collections.abc import Callable
from datetime import datetime, timezone

Clock = Callable[[], datetime]
"""Returns the present time as an aware datetime."""


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)
