"""What a reader may see of the registry: everything, or everything except the things of certain owners.

The visibility is stored in the session, so that every query can look it up.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, not_, or_, true
from sqlalchemy.orm import InstrumentedAttribute, Session

_KEY = "visibility"


@dataclass(frozen=True, slots=True)
class Owners:
    """All owners whose name is a given word, or starts with that word and a hyphen.

    Attributes:
        word: such as ``guest``, which matches ``guest`` and ``guest-1``.
    """

    word: str

    def __contains__(self, name: str) -> bool:
        return name == self.word or name.startswith(f"{self.word}-")

    def condition(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that a column names one of these owners."""
        prefix = f"{self.word}-"
        # LIKE ignores case on SQLite
        return or_(column == self.word, func.substr(column, 1, len(prefix)) == prefix)


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a reader sees.

    Attributes:
        hidden: owners whose things the reader does not see; None for a reader who sees everything.
        own: the name of the reader, whose own things are never hidden.
    """

    hidden: Owners | None = None
    own: str = ""

    @property
    def sees_everything(self) -> bool:
        """Whether nothing is hidden from the reader."""
        return self.hidden is None

    def shows(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that the reader sees a thing whose owner is in `column`."""
        if self.hidden is None:
            return true()
        return or_(column == self.own, not_(self.hidden.condition(column)))

    def hides(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the SQL condition that a thing whose owner is in `column` is hidden from the reader.

        Call it only for a reader who does not see everything.
        """
        assert self.hidden is not None
        return and_(column != self.own, self.hidden.condition(column))


EVERYTHING = Visibility()
"""The visibility of a reader who sees everything."""


def session_info(visibility: Visibility) -> dict[str, Visibility]:
    """Return the `info` of a new session, in which `visibility_of` finds the visibility."""
    return {_KEY: visibility}


def visibility_of(session: Session) -> Visibility:
    """Return the visibility of the reader who uses the session."""
    found: Visibility = session.info.get(_KEY, EVERYTHING)
    return found
