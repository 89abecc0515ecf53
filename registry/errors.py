"""One class per cause; `str(error)` is one sentence to show to a person.

Every class keeps its constructor arguments in `args`, so errors survive pickling between processes.
"""

from collections.abc import Sequence

ASK_OPERATOR = "Please try again in a moment, or ask whoever runs the app to look at its log."


def one_line(problem: object) -> str:
    """What a program or a database said, in one line and without a full stop, to stand inside a sentence."""
    # PostgreSQL adds details, which may be whole rows
    primary = getattr(getattr(problem, "diag", None), "message_primary", None)
    problem = primary or problem
    return " ".join(str(problem).split()).rstrip(".")


class RegistryError(Exception):
    """Anything the registry refuses or can't do."""

    @property
    def in_public(self) -> str:
        """The sentence for visitors, who are not told where the data lie; `str(error)` is the operator's."""
        return str(self)


class NotFound(RegistryError):
    """Something was asked for that the registry doesn't hold."""


class InvalidSlug(RegistryError):
    """An adapter name that breaks the slug rule."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug

    def __str__(self) -> str:
        return (
            f"{self.slug!r} can't be an adapter name: use 1 to 63 lower-case letters, digits and hyphens, "
            "beginning with a letter or digit."
        )


class InvalidValue(RegistryError):
    """A value that the registry can't store truthfully."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"The registry can't store {self.field}: {self.problem}."


class InvalidQuery(RegistryError):
    """A question about adapters or runs that has no answer as it is asked."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"The registry can't be asked that: {self.problem}."


class UnknownReference(NotFound):
    """Neither an adapter or version nor a run has this name."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref

    def __str__(self) -> str:
        return f"There is no adapter and no run {self.ref!r}; list either to see its names."


class UnknownBase(NotFound):
    """No base has this id."""

    def __init__(self, base_id: int) -> None:
        super().__init__(base_id)
        self.base_id = base_id

    def __str__(self) -> str:
        return f"The registry has no base with id {self.base_id}; register it with bases.ensure first."


class UnknownDataset(NotFound):
    """No dataset has this id or fingerprint."""

    def __init__(self, dataset: int | str) -> None:
        super().__init__(dataset)
        self.dataset = dataset

    def __str__(self) -> str:
        return f"The registry has no dataset {self.dataset!r}; register it with datasets.ensure first."


class UnknownRun(NotFound):
    """No run has this id or begins with this prefix."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def __str__(self) -> str:
        return f"There is no run {self.run_id!r}; list the runs to see their ids."


class RunIdTooShort(RegistryError):
    """A run prefix too short to mean one run."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.prefix = prefix

    def __str__(self) -> str:
        return f"{self.prefix!r} is too short for a run id; give at least its first 4 characters."


class AmbiguousRun(RegistryError):
    """Several runs begin with this prefix."""

    def __init__(self, prefix: str, run_ids: Sequence[str]) -> None:
        super().__init__(prefix, run_ids)
        self.prefix = prefix
        self.run_ids = tuple(run_ids)

    def __str__(self) -> str:
        return (
            f"{self.prefix!r} fits several runs ({', '.join(self.run_ids)}); give more characters of the id."
        )


class RunLost(RegistryError):
    """The run isn't running under this worker any more, so the worker must let go of it."""

    def __init__(self, run_id: str, worker: str) -> None:
        super().__init__(run_id, worker)
        self.run_id = run_id
        self.worker = worker

    def __str__(self) -> str:
        return f"Run {self.run_id} isn't running under worker {self.worker!r} any more; stop working on it."


class RunFinished(RegistryError):
    """The run has already ended, so it can't be stopped."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(run_id, status)
        self.run_id = run_id
        self.status = status

    def __str__(self) -> str:
        return f"Run {self.run_id} is already {self.status}; there is nothing to stop."


class RunNotResumable(RegistryError):
    """Only a run that ended without completing can be queued again."""

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(run_id, status)
        self.run_id = run_id
        self.status = status

    def __str__(self) -> str:
        return (
            f"Run {self.run_id} is {self.status}; only an interrupted, failed or cancelled run "
            "can be resumed, so start a new one."
        )


class UnknownAdapter(NotFound):
    """The catalog has no adapter of this name."""

    def __init__(self, slug: str, close: Sequence[str]) -> None:
        super().__init__(slug, close)
        self.slug = slug
        self.close = tuple(close)

    def __str__(self) -> str:
        if self.close:
            return f"There is no adapter {self.slug!r}; did you mean {' or '.join(self.close)}?"
        return f"There is no adapter {self.slug!r}; look for its name in the catalog."


class UnknownVersion(NotFound):
    """The adapter exists, this version of it doesn't."""

    def __init__(self, slug: str, version: str, newest: int) -> None:
        super().__init__(slug, version, newest)
        self.slug = slug
        self.version = version
        self.newest = newest

    def __str__(self) -> str:
        return (
            f"{self.slug} has no version or alias {self.version!r}; its newest is {self.slug}@{self.newest}."
        )


class VersionWithdrawn(RegistryError):
    """The version was withdrawn and must not be used."""

    def __init__(self, ref: str, reason: str) -> None:
        super().__init__(ref, reason)
        self.ref = ref
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.ref} was withdrawn ({self.reason}); choose another version."


class InvalidTag(RegistryError):
    """A tag that breaks the rule."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag

    def __str__(self) -> str:
        return (
            f"{self.tag!r} can't be a tag: use 1 to 32 lower-case letters, digits and hyphens, "
            "beginning with a letter or digit."
        )


class UnknownUser(NotFound):
    """Nobody has this user name."""

    def __init__(self, username: str) -> None:
        super().__init__(username)
        self.username = username

    def __str__(self) -> str:
        return f"There is no user {self.username!r}; list the users to see their names."


class UsernameTaken(RegistryError):
    """The user name belongs to somebody else already."""

    def __init__(self, username: str, provider: str) -> None:
        super().__init__(username, provider)
        self.username = username
        self.provider = provider

    def __str__(self) -> str:
        return (
            f"The user name {self.username!r} belongs to somebody who comes from {self.provider} already; "
            "choose another one."
        )
