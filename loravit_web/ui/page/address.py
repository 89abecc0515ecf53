"""What the page shows, named in its address: loaded anew it shows the same, and it is a link to that."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from loravit_web.ui.kit.events import QUIET

HUB = "https://huggingface.co"
SCRIPT = f"""
<script>
(() => {{
  const embedded = window.parent !== window && window.location.hostname.endsWith(".hf.space");
  const tell = (named) => {{
    const own = new URLSearchParams([...named].filter(([name]) => !name.startsWith("__")));
    window.parent.postMessage({{queryString: own.toString()}}, "{HUB}");
  }};
  window.loravitAddress = (name, value) => {{
    const address = new URL(window.location);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    if (address.href === window.location.href) return;  // Safari allows so many changes in half a minute
    window.history.replaceState(null, "", address);
    if (embedded) tell(address.searchParams);
  }};
}})();
</script>
"""
"""For the head of the page: a function by which its other scripts name something, or nothing any more.

A Space is shown in a page of the Hub, whose address is the one that its reader sees and shares: the Hub hands
it on, and takes a new one in this message. What begins with two underscores is the Hub's own, such as the key
to a private Space.
"""


def name_tabs(tabs: Mapping[str, gr.Tab]) -> None:
    """Let the address name the open tab, unless it is the first, which opens by itself."""
    first = next(iter(tabs))
    for name, tab in tabs.items():
        shown = "" if name == first else name
        tab.select(None, None, None, js=f"() => window.loravitAddress('tab', '{shown}')", **QUIET)
