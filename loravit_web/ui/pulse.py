"""How a page follows the registry: it asks for one short text, and only when that changed for more.

A look costs one small request, made by the page's own script and only while somebody can see the page.
Gradio's timer would also run in hidden tabs, and an event of the whole page costs its browser a lot even
where nothing changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import gradio as gr

LOOK_MILLISECONDS = 1500
SCRIPT = f"""
<script>
(() => {{
  const look = () => {{ if (!document.hidden) document.querySelector("#look")?.click(); }};
  setInterval(look, {LOOK_MILLISECONDS});
  document.addEventListener("visibilitychange", look);
}})();
</script>
"""


def add_pulse(state: Callable[[], Any]) -> gr.Textbox:
    """Add the text that changes when ``state``, anything that JSON can hold, does; hear it by ``change``.

    To be called outside of the tabs, so that it is there whichever is open.
    """
    pulse = gr.Textbox(visible="hidden", elem_id="pulse")
    look = gr.Button(visible="hidden", elem_id="look")

    def beat(known: str) -> Any:
        now = hashlib.sha256(json.dumps(state()).encode()).hexdigest()[:16]
        return gr.skip() if now == known else now

    look.click(beat, pulse, pulse, show_progress="hidden", queue=False, api_visibility="private")
    return pulse
