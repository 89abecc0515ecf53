"""One thread here too: bases this small are slower on several."""

from __future__ import annotations

from tests.adapters.conftest import one_thread

__all__ = ["one_thread"]
