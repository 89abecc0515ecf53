"""Slug and title of an adapter, derived from a name."""

from __future__ import annotations

from slugify import slugify

from loravit_web.errors import LoraVitError
from loravit_web.util.text import clean_text

MAX_TITLE = 120
MAX_SLUG = 63


class UnusableName(LoraVitError):
    """A name without letters and digits, or that is too long."""


def slugified(name: str) -> tuple[str, str]:
    """Return the slug and the title of an adapter.

    The slug is in Latin letters: ``猫と犬`` has the slug ``mao-toquan``. The title is not changed.

    Args:
        name: Name as entered.

    Returns:
        Slug and title.

    Raises:
        UnusableName: If the name has no letter and no digit, or more than `MAX_TITLE` characters.
    """
    title = clean_text(name)
    if len(title) > MAX_TITLE:
        raise UnusableName(
            f"The name has {len(title)} characters, over the limit of {MAX_TITLE}. Shorten it."
        )
    slug = slugify(
        title,
        max_length=MAX_SLUG,
        entities=False,  # a name is text, never HTML
        decimal=False,
        hexadecimal=False,
        replacements=[(",", "-")],  # 1,000 becomes two words, as in the slugs of earlier versions
    )
    if not slug:
        raise UnusableName("The name has no letters or digits. Choose one with at least one letter or digit.")
    return slug, title if title != slug else slug.replace("-", " ").capitalize()
