"""Errors of the registry: one class per cause, each with a text for people.

Every class keeps its constructor arguments in `args`, so that errors survive pickling between processes.
"""

from collections.abc import Sequence

ASK_OPERATOR = "Please try again in a moment, or ask the operator of the app to check its log."


def one_line(problem: object) -> str:
    """Return an error message on one line and without its final period, to be embedded in another sentence.

    Args:
        problem: an exception or a text. Of a PostgreSQL error only the primary message is used, because its
            details may quote whole rows.
    """
    primary = getattr(getattr(problem, "diag", None), "message_primary", None)
    problem = primary or problem
    return " ".join(str(problem).split()).rstrip(".")


class RegistryError(Exception):
    """Base class of everything the registry refuses or cannot do."""

    @property
    def in_public(self) -> str:
        """The text for visitors, without paths and addresses; `str(error)` is the text for the operator."""
        return str(self)


class NotFound(RegistryError):
    """Base class for everything that the registry does not hold."""


class InvalidSlug(RegistryError):
    """An adapter name that breaks `SLUG_RULE`."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug

    def __str__(self) -> str:
        return (
            f"{self.slug!r} cannot be an adapter name. Use 1 to 63 lowercase letters, digits and hyphens, "
            "starting with a letter or digit."
        )


class InvalidValue(RegistryError):
    """A value that the registry cannot store faithfully.

    Attributes:
        field: the name of the value, as it appears in the middle of a sentence.
        problem: what is wrong and what works, without a final period.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"The registry cannot store {self.field}: {self.problem}."


class InvalidQuery(RegistryError):
    """A query for adapters or runs that cannot be answered.

    Attributes:
        problem: what is wrong and what works, without a final period.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"Invalid query: {self.problem}."


class UnknownReference(NotFound):
    """A name that belongs to no adapter, version or run."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref

    def __str__(self) -> str:
        return f"There is no adapter or run {self.ref!r}. List the adapters or the runs to see their names."


class UnknownBase(NotFound):
    """A base id that the registry does not hold."""

    def __init__(self, base_id: int) -> None:
        super().__init__(base_id)
        self.base_id = base_id

    def __str__(self) -> str:
        return f"The registry has no base with id {self.base_id}. Register it with bases.ensure first."


class UnknownDataset(NotFound):
    """A dataset id or fingerprint that the registry does not hold."""

    def __init__(self, dataset: int | str) -> None:
        super().__init__(dataset)
        self.dataset = dataset

    def __str__(self) -> str:
        return f"The registry has no dataset {self.dataset!r}. Register it with datasets.ensure first."


class UnknownRun(NotFound):
    """A run id, or the beginning of one, that no run has."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"There is no run {self.run_id!r}. List the runs to see their ids."


class RunIdTooShort(RegistryError):
    """The beginning of a run id that is too short to identify a run."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.prefix = prefix

    def __str__(self) -> str:
        return f"{self.prefix!r} is too short for a run id. Give at least its first 4 characters."


class AmbiguousRun(RegistryError):
    """The beginning of a run id that several runs share."""

    def __init__(self, prefix: str, run_ids: Sequence[str]) -> None:
        super().__init__(prefix, run_ids)
        self.prefix = prefix
        self.run_ids = tuple(run_ids)

    def __str__(self) -> str:
        return f"{self.prefix!r} matches several runs ({', '.join(self.run_ids)}). Give more of the id."


class RunLost(RegistryError):
    """A run that is no longer running under this worker, which must stop working on it."""

    def __init__(self, run_id: str, worker: str) -> None:
        super().__init__(run_id, worker)
        self.run_id = run_id
        self.worker = worker

    def __str__(self) -> str:
        return f"Run {self.run_id} is no longer running under worker {self.worker!r}. Stop working on it."


class RunFinished(RegistryError):
    """A request to stop a run that has already ended."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(run_id, status)
        self.run_id = run_id
        self.status = status

    def __str__(self) -> str:
        return f"Run {self.run_id} is already {self.status}. There is nothing to stop."


class RunNotResumable(RegistryError):
    """A request to resume a run that is not interrupted, failed or cancelled."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(run_id, status)
        self.run_id = run_id
        self.status = status

    def __str__(self) -> str:
        return (
            f"Run {self.run_id} is {self.status}, and only an interrupted, failed or cancelled run can be "
            "resumed. Start a new run."
        )


class UnknownAdapter(NotFound):
    """An adapter name that is not in the catalog.

    Attributes:
        close: existing names that are similar, best match first.
    """

    def __init__(self, slug: str, close: Sequence[str]) -> None:
        super().__init__(slug, close)
        self.slug = slug
        self.close = tuple(close)

    def __str__(self) -> str:
        if self.close:
            return f"There is no adapter {self.slug!r}. Did you mean {' or '.join(self.close)}?"
        return f"There is no adapter {self.slug!r}. Look up its name in the catalog."


class UnknownVersion(NotFound):
    """A version number or alias that an existing adapter does not have.

    Attributes:
        newest: the number of the adapter's newest version.
    """

    def __init__(self, slug: str, version: str, newest: int) -> None:
        super().__init__(slug, version, newest)
        self.slug = slug
        self.version = version
        self.newest = newest

    def __str__(self) -> str:
        return (
            f"{self.slug} has no version or alias {self.version!r}. Its newest version is "
            f"{self.slug}@{self.newest}."
        )


class VersionWithdrawn(RegistryError):
    """A version that was withdrawn and must not be used."""

    def __init__(self, ref: str, reason: str) -> None:
        super().__init__(ref, reason)
        self.ref = ref
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.ref} was withdrawn ({self.reason}). Choose another version."


class InvalidTag(RegistryError):
    """A tag that breaks the rule for tags."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag

    def __str__(self) -> str:
        return (
            f"{self.tag!r} cannot be a tag. Use 1 to 32 lowercase letters, digits and hyphens, starting with "
            "a letter or digit."
        )


class UnknownUser(NotFound):
    """A user name that the registry does not hold."""

    def __init__(self, username: str) -> None:
        super().__init__(username)
        self.username = username

    def __str__(self) -> str:
        return f"There is no user {self.username!r}. List the users to see their names."


class UsernameTaken(RegistryError):
    """A user name that already belongs to another user.

    Attributes:
        provider: the sign-in provider of the user who has the name.
    """

    def __init__(self, username: str, provider: str) -> None:
        super().__init__(username, provider)
        self.username = username
        self.provider = provider

    def __str__(self) -> str:
        return (
            f"The user name {self.username!r} already belongs to a user who signs in through "
            f"{self.provider}. Choose another name."
        )
