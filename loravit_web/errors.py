"""The root of every error that is meant for the person using the app."""

from __future__ import annotations


class LoraVitError(Exception):
    """A problem told to the user as it stands: one sentence, what is wrong and what to do.

    Each package derives its own classes, one per cause. Anything else that is raised is a bug and
    is logged with its traceback, never shown.
    """
