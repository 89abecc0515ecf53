"""Base class of all errors that are shown to users."""

from __future__ import annotations


class LoraVitError(Exception):
    """A problem that is shown to users: what is wrong, and what to do.

    Each package derives its own classes, one per cause. Any other exception is a bug and is logged with its
    traceback, never shown.
    """

    @property
    def in_public(self) -> str:
        """The text for visitors, without paths; `str(error)` is the text for operators."""
        return str(self)
