"""Errors of the database; see `registry.errors`."""

from pathlib import Path

from registry.errors import ASK_OPERATOR, RegistryError


class UnsupportedDatabase(RegistryError):
    """An address of neither a SQLite file nor a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return (
            f"{self.url} is neither a SQLite file nor a PostgreSQL database. Give an address such as "
            "sqlite:////data/registry.db or postgresql+psycopg://user:password@host/name."
        )


class SqliteTooOld(RegistryError):
    """The SQLite library of this Python does not support STRICT tables."""

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(found, needed)
        self.found = found
        self.needed = needed

    def __str__(self) -> str:
        return (
            f"This Python has SQLite {self.found}, but the registry needs {self.needed} or newer. "
            "Use a newer Python."
        )


class PostgresDriverMissing(RegistryError):
    """The PostgreSQL driver cannot be imported."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"A PostgreSQL database needs the driver psycopg ({self.reason}). "
            'Run pip install "psycopg[binary]>=3.2,<4".'
        )


class DatabaseNotReadable(RegistryError):
    """The database cannot be reached or read now."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, reason)
        self.location = location
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The database {self.location} cannot be read ({self.reason}). "
            "Check its server or its disk and try again."
        )

    @property
    def in_public(self) -> str:
        """The text for visitors, without the address and the answer of the server."""
        return f"The registry cannot be read at the moment. {ASK_OPERATOR}"


class DatabaseTooNew(RegistryError):
    """A newer version of this program wrote the database."""

    def __init__(self, location: str, revision: str) -> None:
        super().__init__(location, revision)
        self.location = location
        self.revision = revision

    def __str__(self) -> str:
        return (
            f"The database {self.location} has schema {self.revision}, which this version does not know. "
            "Update the program or use another database."
        )


class DatabaseUnusable(RegistryError):
    """The database cannot be opened or upgraded, and nothing in it was changed."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, reason)
        self.location = location
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"The database {self.location} cannot be used as a registry ({self.reason}). "
            "Use another one and restore a backup into it."
        )


class DatabaseNotWritable(RegistryError):
    """A change could not be written. All of it was undone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"The registry could not save the change ({self.reason}). Fix this and try again."

    @property
    def in_public(self) -> str:
        """The text for visitors, without the answer of the server, which may contain its address."""
        because = " because its disk is full" if "full" in self.reason else ""
        return f"The registry could not save the change{because}. {ASK_OPERATOR}"


class DatabaseReplaced(DatabaseNotReadable, DatabaseNotWritable):
    """The SQLite file that is open is no longer the one at its path, so new changes would be lost.

    Attributes:
        location: the path of the file, which may be the log beside the database.
        reason: what happened to the file.
        rescued: a copy of the last state, if one could be saved.
    """

    def __init__(self, location: str, reason: str, rescued: Path | None = None) -> None:
        RegistryError.__init__(self, location, reason, rescued)
        self.location = location
        self.reason = reason
        self.rescued = rescued

    def __str__(self) -> str:
        # only names, because visitors see this text too
        copy = f" or its copy {self.rescued.parent.name}/{self.rescued.name}" if self.rescued else ""
        return (
            f"The registry file {Path(self.location).name} {self.reason} while it was open, so no change "
            f"is saved. Stop the app, put the file{copy} back or restore a backup, and start the app again."
        )

    @property
    def in_public(self) -> str:
        """The same text, because it contains no path."""
        return str(self)


class ReadOnlySession(RegistryError):
    """A change was attempted inside `Database.reading`."""

    def __str__(self) -> str:
        return "A change was made in a reading session. Use Database.writing instead."
