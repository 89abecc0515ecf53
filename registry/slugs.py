"""The rule for adapter names."""

import re

from registry.errors import InvalidSlug

SLUG_RULE = "[a-z0-9][a-z0-9-]{0,62}"


def validate_slug(slug: str) -> str:
    """Return `slug` unchanged, or raise InvalidSlug.

    Only lower case is allowed, so two adapters never differ by case alone.
    """
    # fullmatch, because `$` would also accept a trailing newline
    if re.fullmatch(SLUG_RULE, slug) is None:
        raise InvalidSlug(slug)
    return slug
