"""Queries for lists of adapters and runs, and the pages of results."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from registry.database.canonical import is_between
from registry.errors import InvalidQuery
from registry.run_records import Run, RunStatus

AdapterStatus = Literal["active", "archived", "withdrawn"]
"""A `withdrawn` adapter is not archived, but all its versions are withdrawn."""
AdapterSort = Literal["name", "newest", "accuracy", "versions"]
"""By slug; or by newest version, best accuracy or most versions first, with equal ones by slug."""

MAX_TEXT, MAX_TAGS = 200, 20
MAX_LIMIT = 500
MAX_PAGE = 1_000_000
SHOWN_CLASSES = 20
SHOWN_DESCRIPTION = 200


@dataclass(frozen=True, slots=True)
class AdapterQuery:
    """A query for adapters. An adapter must meet every condition that is set.

    Attributes:
        text: words that must all occur in the slug, title, description, tags or classes. Case does not
            matter, and only the first 200 characters are used.
        base: the name of the base, or the SHA-256 of its weights.
        status: None for any status.
        owners: the owner is one of these; empty for any.
        min_accuracy: 0 to 1; see `NewestVersion.accuracy`.
        page: 1 to `MAX_PAGE`.
        limit: adapters per page, 1 to `MAX_LIMIT`.
    """

    text: str = ""
    base: str | None = None
    adapter_type: str | None = None
    status: AdapterStatus | None = "active"
    alias: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    owners: tuple[str, ...] = ()
    min_accuracy: float | None = None
    sort: AdapterSort = "name"
    page: int = 1
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidQuery if a condition can never be met or asks for too much."""
        _check_choice("status", self.status, (*get_args(AdapterStatus), None))
        _check_choice("order", self.sort, get_args(AdapterSort))
        if self.min_accuracy is not None and not is_between(self.min_accuracy, 0, 1):
            raise InvalidQuery(
                f"the minimum accuracy {self.min_accuracy} is out of range. Give a number from 0 to 1"
            )
        if len(self.tags) > MAX_TAGS:
            raise InvalidQuery(f"it has {len(self.tags)} tags. Give at most {MAX_TAGS}")
        check_page(self.page, self.limit)


@dataclass(frozen=True, slots=True)
class NewestVersion:
    """Summary of the version that the name of an adapter means; see `DEFAULT_ALIAS`.

    Attributes:
        size_bytes: the total size of its files in bytes.
        image_size: the side of the input images in pixels.
        class_names: the first 20 classes.
        linear_probe_accuracy: on the test split if there is one, otherwise on the validation split.
    """

    version: int
    base: str
    base_sha256: str
    adapter_type: str
    n_params: int
    size_bytes: int
    image_size: int
    n_classes: int
    class_names: tuple[str, ...]
    validation_accuracy: float | None
    test_accuracy: float | None
    linear_probe_accuracy: float | None
    published_at: datetime

    @property
    def accuracy(self) -> float | None:
        """Accuracy on the test split if there is one, otherwise on the validation split."""
        return self.validation_accuracy if self.test_accuracy is None else self.test_accuracy


@dataclass(frozen=True, slots=True)
class AdapterEntry:
    """An adapter as shown in lists.

    Attributes:
        description: the beginning of the description, at most `SHOWN_DESCRIPTION` characters.
        versions: the number of versions, including withdrawn ones.
        aliases: the version number of each alias.
        newest: None if every version is withdrawn.
    """

    slug: str
    title: str
    description: str
    owner: str
    status: AdapterStatus
    created_at: datetime
    archived_at: datetime | None
    versions: int
    tags: tuple[str, ...]
    aliases: Mapping[str, int]
    newest: NewestVersion | None


@dataclass(frozen=True, slots=True)
class AdapterPage:
    """A page of the adapters that meet a query.

    Attributes:
        total: the number of adapters on all pages.
        page: the number of this page, from 1.
        pages: the number of pages, at least 1.
        words: the words that were searched for.
    """

    entries: tuple[AdapterEntry, ...]
    total: int
    page: int
    pages: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """A value to filter by, and the number of adapters that have it."""

    value: str
    n: int


@dataclass(frozen=True, slots=True)
class AdapterFacets:
    """The values by which the results of a query can be filtered, most frequent first."""

    bases: tuple[Facet, ...]
    adapter_types: tuple[Facet, ...]
    tags: tuple[Facet, ...]
    aliases: tuple[Facet, ...]
    owners: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class RunQuery:
    """A query for runs, which are listed newest first. A run must meet every condition that is set.

    Attributes:
        text: words that must all occur in the id, slug, title, group or the name of the dataset. Case does
            not matter, and only the first 200 characters are used.
        statuses: the accepted statuses; empty for any.
        owners: the users who asked for it; empty for any.
        group: the id of a group, or its beginning.
        page: 1 to `MAX_PAGE`.
        limit: runs per page, 1 to `MAX_LIMIT`.
    """

    text: str = ""
    statuses: tuple[RunStatus, ...] = ()
    slug: str | None = None
    owners: tuple[str, ...] = ()
    group: str | None = None
    page: int = 1
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidQuery if a condition can never be met or asks for too much."""
        for status in set(self.statuses):
            _check_choice("status", status, get_args(RunStatus))
        check_page(self.page, self.limit)


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of the runs that meet a query; see `AdapterPage`."""

    runs: tuple[Run, ...]
    total: int
    page: int
    pages: int
    words: tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """Return the distinct words to search for, case-folded, from the first 200 characters of a text."""
    return tuple(dict.fromkeys(storable(text[:MAX_TEXT]).casefold().split()))


def storable(text: str) -> str:
    """Return the text with U+FFFD in place of NUL and lone surrogates, which no database can store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def pages_of(total: int, limit: int) -> int:
    """Return the number of pages, at least 1."""
    return max(1, -(-total // limit))


def check_page(page: int, limit: int) -> None:
    """Raise InvalidQuery if the number or the size of a page is out of range."""
    if not 1 <= page <= MAX_PAGE:
        raise InvalidQuery(f"there is no page {page}. Pages are numbered from 1 to {MAX_PAGE}")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQuery(f"a page cannot hold {limit} entries. Ask for 1 to {MAX_LIMIT}")


def _check_choice(field: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    if value not in choices:
        names = ", ".join(choice for choice in choices if choice is not None)
        raise InvalidQuery(f"the {field} {value!r} is unknown. Use one of {names}")
