"""The slug and the title of an adapter, from the name that somebody typed."""

from __future__ import annotations

from slugify import slugify

from loravit_web.errors import LoraVitError
from loravit_web.util.text import clean_text

MAX_TITLE = 120
MAX_SLUG = 63


class UnusableName(LoraVitError):
    """A name from which no slug can be made, or that is too long for a list."""


def slugified(name: str) -> tuple[str, str]:
    """Return the slug and the title of an adapter.

    Letters of other scripts become Latin ones: ``猫と犬`` gives the slug ``mao-toquan`` and stays the title.

    Args:
        name: What somebody typed.

    Raises:
        UnusableName: If the name has no letter and no digit, or more than `MAX_TITLE` characters.
    """
    title = clean_text(name)
    if len(title) > MAX_TITLE:
        raise UnusableName(
            f"The name has {len(title)} characters, over the limit of {MAX_TITLE}: shorten it."
        )
    slug = slugify(
        title,
        max_length=MAX_SLUG,
        entities=False,  # a name is text, never HTML
        decimal=False,
        hexadecimal=False,
        replacements=[(",", "-")],  # 1,000 stays two words, as in the slugs of earlier versions
    )
    if not slug:
        raise UnusableName("Give the adapter a name with at least one letter or digit.")
    return slug, title if title != slug else slug.replace("-", " ").capitalize()
