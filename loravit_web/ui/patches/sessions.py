"""Gradio's sessions without the copy of the whole page that each would keep."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

MOST_IDLE, IDLE_SECONDS = 500, 10.0
"""Number of sessions (24 kB each) without state that are kept, and their minimum age before removal."""
LONGEST_EVENT = 3600.0
"""Seconds after which a session without state is removed, because its first event must have ended."""


class LightSession(SessionState):
    """The state of a session, without descriptions of components.

    Gradio describes every component for each session (44 ms and 0.7 MB), and with every answer the components
    that may have changed (half of the time of an answer). Only deep links read the descriptions, and the app
    does not offer them.

    Args:
        demo: Page of the session.
    """

    def __init__(self, demo: gr.Blocks) -> None:
        no_page: Any = SimpleNamespace(default_config=demo.default_config, blocks={})
        super().__init__(no_page)
        own_copy: Any = self.blocks_config
        own_copy.config_for_block = lambda *_described: {}


class LightSessions(StateHolder):
    """Sessions that use little memory, because every HTTP call without a session starts one.

    Gradio keeps 10,000 of them. Here, sessions without state are removed after a while.

    Args:
        demo: Page of the sessions.
        clock: Returns the time in seconds.
    """

    def __init__(self, demo: gr.Blocks, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.set_blocks(demo)
        self._clock = clock
        self._begun: deque[tuple[float, str]] = deque()

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self.session_data:
            self.session_data[session_id] = LightSession(self.blocks)
            self._begun.append((self._clock(), session_id))
            self._let_go()
        return super().__getitem__(session_id)

    def _let_go(self) -> None:
        """Remove old sessions without state."""
        with self.lock:
            while self._begun and self._clock() - self._begun[0][0] > self._longest:
                _, session_id = self._begun.popleft()
                session = self.session_data.get(session_id)
                if session is not None and not session.state_data:
                    del self.session_data[session_id]
                    self.time_last_used.pop(session_id, None)

    @property
    def _longest(self) -> float:
        """Seconds after which the oldest sessions without state are removed."""
        return IDLE_SECONDS if len(self._begun) > MOST_IDLE else LONGEST_EVENT


def use_light_sessions(demo: gr.Blocks) -> None:
    """Replace the sessions of a launched page with `LightSessions`."""
    demo.app.state_holder = LightSessions(demo)
