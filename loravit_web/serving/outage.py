"""Answers while the database or the store is away: the catalog stays as it was last seen."""

from __future__ import annotations

import logging
from collections.abc import Callable

from registry import BlobStoreUnreachable, DatabaseNotReadable, DatabaseReplaced

AWAY = (DatabaseNotReadable, BlobStoreUnreachable)
"""Errors that say nothing about what was asked for, only that it cannot be read now."""
_RETRY_SECONDS = 5.0
"""Seconds during which a database that did not answer is not asked for changes again."""
_LOG = logging.getLogger(__name__)


class Outage:
    """Lets tasks in memory answer while the database is away, without waiting for it at each request.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed_at: float | None = None

    def bridge(self, follow: Callable[[], None], *, is_known: bool) -> None:
        """Follow the changes of the catalog, unless the database is away.

        Args:
            follow: Follows the changes.
            is_known: Whether there is an older state of the catalog to go on with.

        Raises:
            DatabaseNotReadable: If the database is away and there is no older state.
            DatabaseReplaced: If the file of the database is gone, so that nothing can be saved any more.
        """
        if self._failed_at is not None and self._clock() - self._failed_at < _RETRY_SECONDS:
            return
        try:
            follow()
        except DatabaseReplaced:
            raise
        except DatabaseNotReadable as error:
            if not is_known:
                raise
            if self._failed_at is None:
                _LOG.warning("%s Tasks in memory still answer.", error)
            self._failed_at = self._clock()
        else:
            self._failed_at = None
