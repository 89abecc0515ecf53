"""Whether the Hugging Face Hub can be reached, and what its local cache has. Loads no torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

SECONDS = 3.0
"""Longest wait for an answer."""
RECHECK_SECONDS = 60.0
"""Time for which an answer counts."""
WEIGHTS_FILE = "model.safetensors"


class HubPresence:
    """Remembers for a while whether the Hub answers. Thread-safe.

    Args:
        ask: Returns why the Hub cannot be reached, or None if it can.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        ask: Callable[[], str | None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._clock = ask or hub_problem, clock
        self._lock = threading.Lock()
        self._known: tuple[float, str | None] | None = None

    @property
    def problem(self) -> str | None:
        """Why the Hub cannot be reached, in one sentence; None if it can."""
        with self._lock:
            if self._known is None or self._clock() - self._known[0] >= RECHECK_SECONDS:
                self._known = (self._clock(), self._ask())
            return self._known[1]


def hub_problem() -> str | None:
    """Ask the Hub for its first page, and return why it cannot be reached, or None if it answers."""
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return "The Hugging Face Hub is switched off by HF_HUB_OFFLINE."
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=SECONDS):
            return None
    except HTTPError:
        return None  # an answer, if only of a proxy or a mirror
    except (URLError, OSError, ValueError):
        return "The Hugging Face Hub cannot be reached."


def is_cached(name: str) -> bool:
    """Return whether the local cache of the Hub has the weights of a timm model."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(f"timm/{name}", WEIGHTS_FILE), str)
