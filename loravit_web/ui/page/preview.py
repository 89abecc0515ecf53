"""Link previews: what chat programs and social networks show of a link to the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import Scope

from loravit_web.errors import LoraVitError
from loravit_web.service import Service
from loravit_web.ui.kit.served import page_image_link, thumbnail_link
from loravit_web.ui.kit.share import page_url
from loravit_web.ui.language.choice import language_of
from loravit_web.ui.language.texts import _, gettext_noop, ngettext, numeral, speaking
from loravit_web.ui.scripts import source
from loravit_web.ui.templates import render
from loravit_web.util.text import listed
from loravit_web.visibility import Seen
from registry import RegistryError, Version

TITLE = "LoRA-ViT Web"
DESCRIPTION = gettext_noop(
    "One image, many small classifiers, all at once. Drop an image, or train a classifier from a few dozen "
    "images of your own."
)
IMAGE, ICON = (Path(__file__).with_name(name) for name in ("preview.jpg", "icon.png"))
FIRST_SCRIPT = "patches/language"
"""Script that runs before those of Gradio, which adds all others of the app when it has started."""
_MOST_TASKS = 3


@dataclass(frozen=True)
class Preview:
    """A preview of a link.

    Attributes:
        title: Title of the page or of its tasks.
        description: One or two sentences.
        image: Relative address of an image.
        is_large: Whether the image is wide enough for a large card.
    """

    title: str
    description: str
    image: str
    is_large: bool


def preview_of(seen: Seen, tasks: Sequence[str]) -> Preview:
    """Return the preview of a link.

    Args:
        seen: What anyone sees who opens the link.
        tasks: Tasks that the link names. The preview leaves out those that do not exist.
    """
    versions = [version for task in tasks[:_MOST_TASKS] if (version := _version(seen, task)) is not None]
    if not versions:
        return own_preview()
    titles = [seen.registry.catalog.adapter(version.slug).title for version in versions]
    image = thumbnail_link(seen, versions[0])
    if len(versions) > 1:
        told = _("{n} tasks that answer side by side. Drop an image to see their answers.", n=len(versions))
    else:
        told = _about(versions[0])
    shown = own_preview() if image is None else Preview("", "", image, is_large=False)
    return Preview(f"{listed(titles)} · {TITLE}", told, shown.image, shown.is_large)


def own_preview() -> Preview:
    """Return the preview of a link that names no task."""
    return Preview(TITLE, _(DESCRIPTION), page_image_link(IMAGE), is_large=True)


def tags_of(service: Service, scope: Scope) -> str:
    """Return what the head of the page begins with: the preview of its link, and a script.

    Args:
        service: Service that the page uses.
        scope: Request for the page.
    """
    request = Request(scope)
    with speaking(language_of(request.query_params, request.headers)):
        return _tags(service, request)


def _tags(service: Service, request: Request) -> str:
    named = request.query_params.get("task") or request.query_params.get("adapter") or ""
    try:
        seen = service.seen_by(service.visitor(None))
        preview = preview_of(seen, [task for task in named.split(",") if task])
    except LoraVitError:  # the preview of a page for members does not depend on the link
        preview = own_preview()
    root = page_url(request)
    query = "" if preview.title == TITLE else f"?{urlencode({'task': named})}"
    first, url, image = source(FIRST_SCRIPT), f"{root}/{query}", f"{root}/{preview.image}"
    return str(render("page/preview", preview=preview, url=url, image=image, first_script=first))


def _about(version: Version) -> str:
    """Return a sentence about the classes of a version and one about its accuracy."""
    names = version.shown_classes
    classes = ngettext(
        "{n} class: {names}.", "{n} classes: {names}.", len(names), names=listed(names, most=5)
    )
    measured = version.evaluation("test") or version.evaluation("validation")
    if measured is None:
        return classes
    accuracy, images = numeral(measured.accuracy, ".0%"), numeral(measured.n)
    if measured.split == "test":
        correct = _("{accuracy} of {images} test images correct.", accuracy=accuracy, images=images)
    else:
        correct = _("{accuracy} of {images} validation images correct.", accuracy=accuracy, images=images)
    return f"{classes} {correct}"


def _version(seen: Seen, task: str) -> Version | None:
    try:
        return seen.registry.catalog.resolve(task)
    except (LoraVitError, RegistryError):  # the page itself reports why the task cannot be used
        return None
