"""Choice of the language: the one that the address names, or else the first that the browser prefers."""

from __future__ import annotations

from collections.abc import Mapping

from loravit_web.ui.language.texts import ENGLISH, LANGUAGES

PARAMETER = "lang"
"""Parameter of the address that names the language."""


def language_of(query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the code of the language in which to answer a request.

    Args:
        query: Parameters of the address.
        headers: Headers of the request.
    """
    named = query.get(PARAMETER)
    if named in LANGUAGES:
        return named
    return preferred(headers.get("accept-language", ""))


def preferred(accepted: str) -> str:
    """Return the language with the highest quality that the page has, or English.

    Args:
        accepted: Header ``Accept-Language``, such as ``de-AT,de;q=0.9,en;q=0.8``.
    """
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, quality = part.partition(";")
        code = tag.strip().partition("-")[0].lower()
        if code in LANGUAGES:
            ranked.append((-_quality(quality), place, code))
    wanted = [code for negative, _, code in sorted(ranked) if negative < 0]
    return wanted[0] if wanted else ENGLISH


def _quality(parameter: str) -> float:
    """Return the quality in a part of the header, which is 1 if it is missing and 0 if it is wrong."""
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
