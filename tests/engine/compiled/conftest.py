"""Limits torch to one thread per forward pass, as in tests/adapters."""

from tests.adapters.conftest import one_thread

__all__ = ["one_thread"]
