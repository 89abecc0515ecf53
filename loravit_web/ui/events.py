"""How the page's own events run."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""For what takes no time worth showing."""
UNCHECKED: dict[str, Any] = {"preprocess": False}
"""For what is given values that Gradio's server knows nothing of, as choices of a list that changed since."""
