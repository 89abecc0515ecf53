"""What the page shows, named in its address: loaded anew it shows the same, and it is a link to that."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from loravit_web.ui.events import QUIET

SCRIPT = """
<script>
window.loravitAddress = (name, value) => {
  const address = new URL(window.location);
  if (value) address.searchParams.set(name, value);
  else address.searchParams.delete(name);
  window.history.replaceState(null, "", address);
};
</script>
"""
"""For the head of the page: a function by which its other scripts name something, or nothing any more."""


def name_tabs(tabs: Mapping[str, gr.Tab]) -> None:
    """Let the address name the open tab, unless it is the first, which opens by itself."""
    first = next(iter(tabs))
    for name, tab in tabs.items():
        shown = "" if name == first else name
        tab.select(None, None, None, js=f"() => window.loravitAddress('tab', '{shown}')", **QUIET)
