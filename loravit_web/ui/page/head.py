"""Head of the page: all scripts, and the values that they need."""

from __future__ import annotations

from loravit_web.ui import scripts
from loravit_web.ui.language.texts import ENGLISH, _, current_language, gettext_noop, translated
from loravit_web.ui.page import address, arrival, pulse
from loravit_web.ui.use import ask, camera, evidence

REFUSAL_MILLISECONDS = 8000
"""Time in milliseconds for which a refusal is shown."""
GRADIO_NAMES = (
    gettext_noop("Fullscreen"),
    gettext_noop("Exit fullscreen mode"),
    gettext_noop("Remove Image"),
    gettext_noop("Click to upload or drop files"),
    gettext_noop("More tabs"),
    gettext_noop("Gradio footer navigation"),
)
"""English names that Gradio gives to buttons and regions in every language."""
TRANSLATING = "patches/names"
"""Script that only a page in another language than English needs."""
SCRIPTS = (
    "kit/events",
    "kit/qr_code",
    "kit/keys",
    "page/refusals",  # before any script that sends a request
    "patches/styles",
    TRANSLATING,
    "page/arrival",  # before the description is kept from Svelte
    "page/address",
    "page/language",
    "page/reload",
    "use/camera",
    "use/preview",
    "use/ask",
    "use/answers",
    "use/evidence",
    "patches/unwatched",
    "page/pulse",
    "kit/focus",
    "kit/ticks",
    "kit/confirm",
    "page/strip",
    "use/picker",
    "use/examples",
    "use/settings",
    "train/data",
    "train/steps",
    "train/settings",
    "train/confusion",
    "train/judged",
    "train/corrections",
    "train/review",
    "catalog/list",
    "catalog/versions",
    "catalog/card",
    "runs/table",
)
"""Names of the scripts, in the order in which they run."""


def page_head(*, plain: bool = False) -> str:
    """Return the HTML for the head of the page.

    Args:
        plain: Whether to omit the scripts that change Gradio itself.
    """
    values = {
        "refusals": {"shownMilliseconds": REFUSAL_MILLISECONDS},
        "arrival": arrival.VALUES,
        "address": address.VALUES,
        "ask": ask.values(),
        "camera": camera.values(),
        "evidence": evidence.VALUES,
        "preview": {"hidden": _("This browser cannot show the image.")},
        "pulse": pulse.VALUES,
        "steps": {"title": _("Step {number} of {all}: {title}")},
    }
    names = [name for name in SCRIPTS if not (plain and name.startswith("patches/"))]
    if current_language() == ENGLISH:
        names = [name for name in names if name != TRANSLATING]
    else:
        values["names"] = {name: translated(name) for name in GRADIO_NAMES}
    return scripts.head(names, values)
