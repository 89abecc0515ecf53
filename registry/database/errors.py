"""What can go wrong with the database; see `registry.errors`."""

from pathlib import Path

from registry.errors import ASK_OPERATOR, RegistryError


class UnsupportedDatabase(RegistryError):
    """A database address that is neither a SQLite file nor a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"{self.url} is neither a SQLite file nor a PostgreSQL database; give an address such as "
            "sqlite:////data/registry.db or postgresql+psycopg://user:password@host/name."
        )


class SqliteTooOld(RegistryError):
    """This Python's SQLite has no STRICT tables."""

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(found, needed)
        self.found = found
        self.needed = needed

    def __str__(self) -> str:
        return (
            f"This Python brings SQLite {self.found}, but the registry needs {self.needed} or newer; "
            "use a newer Python."
        )


class PostgresDriverMissing(RegistryError):
    """A PostgreSQL address, but no driver that works."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"A PostgreSQL database needs the driver psycopg ({self.reason}); "
            'run pip install "psycopg[binary]>=3.2,<4".'
        )


class DatabaseNotReadable(RegistryError):
    """The database can't be reached or read at this moment."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, reason)
        self.location = location
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The database {self.location} can't be read ({self.reason}); "
            "check that its server or its disk is there and try again."
        )

    @property
    def in_public(self) -> str:
        """Without the place and what the server said."""
        return f"The registry cannot be read at the moment. {ASK_OPERATOR}"


class DatabaseTooNew(RegistryError):
    """The database was written by a newer version of this program."""

    def __init__(self, location: str, revision: str) -> None:
        super().__init__(location, revision)
        self.location = location
        self.revision = revision

    def __str__(self) -> str:
        return (
            f"The database {self.location} has schema {self.revision}, which this version doesn't know; "
            "update the program or use another database."
        )


class DatabaseUnusable(RegistryError):
    """The database can't be opened or brought to the present schema; nothing in it was changed."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, reason)
        self.location = location
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The database {self.location} can't be used as a registry ({self.reason}); "
            "use another one, into which a backup can be restored."
        )


class DatabaseNotWritable(RegistryError):
    """A change could not be written; it was undone as a whole."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The registry could not save the change ({self.reason}); mend that and try again."

    @property
    def in_public(self) -> str:
        """Without what the server said, which may name its address."""
        because = " because its disk is full" if "full" in self.reason else ""
        return f"The registry could not save the change{because}. {ASK_OPERATOR}"


class DatabaseReplaced(DatabaseNotReadable, DatabaseNotWritable):
    """The SQLite file that is open is not the one at its path any more, so what is written would be lost.

    Attributes:
        location: the path of the file, which may be the log beside the database.
        reason: what happened to it.
        rescued: a copy of the last state that could still be saved.
    """

    def __init__(self, location: str, reason: str, rescued: Path | None = None) -> None:
        RegistryError.__init__(self, location, reason, rescued)
        self.location = location
        self.reason = reason
        self.rescued = rescued

    def __str__(self) -> str:
        # names alone: the sentence is also shown to visitors
        copy = f" or {self.rescued.parent.name}/{self.rescued.name} in its place" if self.rescued else ""
        return (
            f"The registry's file {Path(self.location).name} {self.reason} while it was open, so no change "
            f"is stored. Stop the app, put the file back{copy} or restore a backup, and start the app again."
        )

    @property
    def in_public(self) -> str:
        """The same: it names no place."""
        return str(self)


class ReadOnlySession(RegistryError):
    """A change was attempted inside `Database.reading`."""

    def __str__(self) -> str:
        return "A change was made in a reading session; use Database.writing for it."
