"""The rule for adapter names."""

import re

from registry.errors import InvalidSlug

SLUG_RULE = "[a-z0-9][a-z0-9-]{0,62}"


def validate_slug(slug: str) -> str:
    """Return `slug` unchanged if it is a valid adapter name.

    Uppercase letters are refused, so that no two adapters differ only in case.

    Raises:
        InvalidSlug: if it breaks `SLUG_RULE`.
    """
    # fullmatch, because `$` also accepts a trailing newline
    if re.fullmatch(SLUG_RULE, slug) is None:
        raise InvalidSlug(slug)
    return slug
