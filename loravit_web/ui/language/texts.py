"""Texts in the language of the visitor whose request is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

FOLDER = Path(__file__).parent
ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
"""Name of each language in itself, by its code. All but English have a catalog here."""

_SEPARATORS = {"de": str.maketrans({",": ".", ".": ",", "%": "\N{NO-BREAK SPACE}%"})}
"""Separators and percent sign in place of the English ones, by the code of the language."""
_spoken: ContextVar[str] = ContextVar("spoken", default=ENGLISH)


def _(message: str, /, **values: object) -> str:
    """Return a text in the current language.

    Args:
        message: English text, a literal, so that it can be extracted. It may have named placeholders.
        **values: Values of the placeholders.
    """
    text = translated(message)
    return text.format(**values) if values else text


def gettext_noop(message: str, /) -> str:
    """Mark a text that is not used yet, such as a constant. ``_`` translates it where it is used."""
    return message


def ngettext(singular: str, plural: str, n: int, /, **values: object) -> str:
    """Return a text whose form depends on a number, in the current language.

    Args:
        singular: English text for 1, a literal. It may have named placeholders, such as ``{n}``.
        plural: English text for all other numbers, a literal.
        n: The number. ``{n}`` stands for it, with separators of thousands.
        **values: Values of the other placeholders.
    """
    return translated_number(singular, plural, n).format(n=numeral(n), **values)


def numeral(value: float, form: str = ",") -> str:
    """Return a number as text in the current language.

    Args:
        value: The number.
        form: Its format in English: ``,`` for separators of thousands, ``.1%`` for a percentage.
    """
    text = format(value, form)
    separators = _SEPARATORS.get(_spoken.get())
    return text if separators is None else text.translate(separators)


def translated(message: str) -> str:
    """Return an English text in the current language, with its placeholders."""
    return _catalog(_spoken.get()).gettext(message)


def translated_number(singular: str, plural: str, n: int) -> str:
    """Return the form of an English text for a number in the current language, with its placeholders."""
    return _catalog(_spoken.get()).ngettext(singular, plural, n)


def current_language() -> str:
    """Return the code of the current language."""
    return _spoken.get()


def speak(language: str) -> None:
    """Set the language of the texts for the rest of the current request."""
    _spoken.set(language)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Set the language of the texts for the body of a ``with`` statement."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


@cache
def _catalog(language: str) -> NullTranslations:
    """Return the texts of a language. Texts without a translation stay English."""
    if language == ENGLISH:
        return NullTranslations()
    # imported here, because the import takes time, and most apps have English visitors only
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = BytesIO()
    with (FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)
