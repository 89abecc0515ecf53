"""What a reader sees of the registry: all of it, or all but what belongs to certain owners.

A sight travels with the session, so that every query can ask for it and none has to be told.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, not_, or_, true
from sqlalchemy.orm import InstrumentedAttribute, Session

_KEY = "sight"


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners whose name is a certain word, or begins with it and a hyphen.

    Attributes:
        word: such as ``guest``, for ``guest`` and ``guest-1``.
    """

    word: str

    def __contains__(self, name: str) -> bool:
        return name == self.word or name.startswith(f"{self.word}-")

    def condition(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the condition that a column names one of them."""
        beginning = f"{self.word}-"
        # LIKE would ignore the case of letters on one of the databases
        return or_(column == self.word, func.substr(column, 1, len(beginning)) == beginning)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one reader sees.

    Attributes:
        hidden: owners whose things the reader does not see; None for a reader who sees everything.
        own: the reader's own name, whose things are never hidden.
    """

    hidden: Owners | None = None
    own: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is hidden."""
        return self.hidden is None

    def shows(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the condition that the owner in a column hides nothing from the reader."""
        if self.hidden is None:
            return true()
        return or_(column == self.own, not_(self.hidden.condition(column)))

    def hides(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the condition that the owner in a column hides a thing from a reader who is confined."""
        assert self.hidden is not None
        return and_(column != self.own, self.hidden.condition(column))


WHOLE = Sight()
"""The sight of a reader who sees everything."""


def info_of(sight: Sight) -> dict[str, Sight]:
    """Return what a session is made with so that `sight_of` finds the sight."""
    return {_KEY: sight}


def sight_of(session: Session) -> Sight:
    """Return the sight of the reader whose session it is; the whole one where none was given."""
    found: Sight = session.info.get(_KEY, WHOLE)
    return found
