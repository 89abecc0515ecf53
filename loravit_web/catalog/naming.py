"""From what somebody typed to the name of an adapter."""

from __future__ import annotations

import re
import unicodedata

from loravit_web.errors import LoraVitError
from loravit_web.util.text import clean_text

MAX_TITLE = 120


class UnusableName(LoraVitError):
    """A name from which no slug can be made, or longer than any list could show."""


def slugified(name: str) -> tuple[str, str]:
    """Slug and title of an adapter from what somebody typed.

    Raises:
        UnusableName: if nothing of it can be part of a slug, or it is too long.
    """
    title = clean_text(name)
    if len(title) > MAX_TITLE:
        raise UnusableName(
            f"The name has {len(title)} characters, over the limit of {MAX_TITLE}: shorten it."
        )
    ascii_name = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:63].rstrip("-")
    if not slug:
        raise UnusableName("Give the adapter a name with at least one letter from a to z or one digit.")
    return slug, title if title != slug else slug.replace("-", " ").capitalize()
