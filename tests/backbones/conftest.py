"""Limits torch to one thread: tiny bases are slower with several."""

from __future__ import annotations

from tests.adapters.conftest import one_thread

__all__ = ["one_thread"]
