"""The root of every error that is meant for the person using the app."""

from __future__ import annotations


class LoraVitError(Exception):
    """A problem told to the user as it stands: one sentence, what is wrong and what to do.

    Each package derives its own classes, one per cause. Anything else that is raised is a bug and
    is logged with its traceback, never shown.
    """

    @property
    def in_public(self) -> str:
        """The sentence for visitors, who are not told where the data lie; `str(error)` is the operator's."""
        return str(self)
