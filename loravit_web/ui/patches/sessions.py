"""Gradio's sessions, without the copy of the whole page that each would keep."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

MOST_IDLE, IDLE_SECONDS = 500, 10.0
"""So many sessions of 24 kB with nothing to remember stay, and those begun just now."""
LONGEST_EVENT = 3600.0
"""Seconds after which no session is still waiting for what its first event gives it to remember."""


class LightSession(SessionState):
    """What is to be remembered of a session, and no description of any component.

    Gradio describes every component of the page for each session, and with every answer those that it may
    have changed: 44 ms and 0.7 MB at first and half of the time of an answer afterwards, with this page. Only
    deep links read it, which the app does not offer.
    """

    def __init__(self, demo: gr.Blocks) -> None:
        no_page: Any = SimpleNamespace(default_config=demo.default_config, blocks={})
        super().__init__(no_page)
        own_copy: Any = self.blocks_config
        own_copy.config_for_block = lambda *_described: {}


class LightSessions(StateHolder):
    """Sessions that cost next to nothing, since every call over HTTP without a session of its own begins one.

    Gradio keeps ten thousand of them. One in which nothing is to be remembered, as of such a call, goes again
    after a while.
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
        """Forget sessions begun a while ago in which there is nothing to remember."""
        with self.lock:
            while self._begun and self._clock() - self._begun[0][0] > self._longest:
                _, session_id = self._begun.popleft()
                session = self.session_data.get(session_id)
                if session is not None and not session.state_data:
                    del self.session_data[session_id]
                    self.time_last_used.pop(session_id, None)

    @property
    def _longest(self) -> float:
        """Seconds that the oldest of the sessions begun may have nothing to remember."""
        return IDLE_SECONDS if len(self._begun) > MOST_IDLE else LONGEST_EVENT


def use_light_sessions(demo: gr.Blocks) -> None:
    """Let a launched page keep `LightSessions`."""
    demo.app.state_holder = LightSessions(demo)
