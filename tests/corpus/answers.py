"""What an entry of the corpus should lead to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loravit_web.errors import LoraVitError


@dataclass(frozen=True)
class Refused:
    """A typed error and words of its one sentence."""

    error: type[LoraVitError]
    words: str

    def fits(self, sentence: str) -> bool:
        """Whether a sentence is the expected one."""
        return self.words.lower() in sentence.lower()


_MACHINE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|[A-Za-z]Error\b"
    r"|/(?:tmp|home|root|usr|var|work|proc|etc/passwd)(?:/|\b)"
)


def leak_in(text: str, *folders: object) -> str | None:
    """A trace of the machine in what a visitor sees: a stack trace, a path, the name of an exception."""
    found = _MACHINE.search(text)
    if found:
        return text[max(0, found.start() - 40) : found.end() + 40]
    return next((str(folder) for folder in folders if str(folder) in text), None)
