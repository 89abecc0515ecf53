"""What is asked of the lists of adapters and runs, and the pages that answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from registry.database.canonical import is_between
from registry.errors import InvalidQuery
from registry.records import Run, RunStatus

AdapterStatus = Literal["active", "archived", "withdrawn"]
"""`withdrawn`: not archived, but none of its versions can be used."""
AdapterSort = Literal["name", "newest", "accuracy", "versions"]
"""By slug; or the newest, the most accurate, or those of most versions first, equal ones by slug."""

MAX_TEXT, MAX_TAGS = 200, 20
MAX_LIMIT = 500
MAX_PAGE = 1_000_000
SHOWN_CLASSES = 20


@dataclass(frozen=True, slots=True)
class AdapterQuery:
    """Which adapters are looked for; an adapter must meet every condition that is given."""

    text: str = ""
    """Words that all occur in its slug, title, description, tags or classes, in small letters or capitals;
    only the first 200 characters count."""
    base: str | None = None
    """The name of the base, or the SHA-256 of its weights."""
    adapter_type: str | None = None
    status: AdapterStatus | None = "active"
    alias: str | None = None
    tags: tuple[str, ...] = ()
    owner: str | None = None
    min_accuracy: float | None = None
    sort: AdapterSort = "name"
    page: int = 1
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidQuery for anything that can't be looked for."""
        _one_of("status", self.status, (*get_args(AdapterStatus), None))
        _one_of("order", self.sort, get_args(AdapterSort))
        if self.min_accuracy is not None and not is_between(self.min_accuracy, 0, 1):
            raise InvalidQuery(f"the least accuracy {self.min_accuracy} is not within 0 to 1")
        if len(self.tags) > MAX_TAGS:
            raise InvalidQuery(f"{len(self.tags)} tags are too many: ask for at most {MAX_TAGS}")
        check_page(self.page, self.limit)


@dataclass(frozen=True, slots=True)
class NewestVersion:
    """The newest version that isn't withdrawn, in short; `class_names` are its first 20."""

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
    """On the test split where there is one, else on the validation split."""
    published_at: datetime

    @property
    def accuracy(self) -> float | None:
        """Of the test split where there is one, else of the validation split."""
        return self.validation_accuracy if self.test_accuracy is None else self.test_accuracy


@dataclass(frozen=True, slots=True)
class AdapterEntry:
    """An adapter as lists show it; `aliases` maps each alias to the number of its version."""

    slug: str
    title: str
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
    """One page of the adapters that meet a query, `total` of them in all; `words` is what was looked for."""

    entries: tuple[AdapterEntry, ...]
    total: int
    page: int
    pages: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """A value to filter by, and how many adapters have it."""

    value: str
    n: int


@dataclass(frozen=True, slots=True)
class AdapterFacets:
    """What the adapters that meet a query can be filtered by, the most frequent first."""

    bases: tuple[Facet, ...]
    adapter_types: tuple[Facet, ...]
    tags: tuple[Facet, ...]
    aliases: tuple[Facet, ...]
    owners: tuple[Facet, ...]


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs are looked for, newest first; a run must meet every condition that is given."""

    text: str = ""
    """Words that all occur in its id, slug, title or the name of its dataset, in small letters or capitals;
    only the first 200 characters count."""
    statuses: tuple[RunStatus, ...] = ()
    """One of these; none: any."""
    slug: str | None = None
    page: int = 1
    limit: int = 50

    def check(self) -> None:
        """Raise InvalidQuery for anything that can't be looked for."""
        for status in set(self.statuses):
            _one_of("status", status, get_args(RunStatus))
        check_page(self.page, self.limit)


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of the runs that meet a query, `total` of them in all."""

    runs: tuple[Run, ...]
    total: int
    page: int
    pages: int
    words: tuple[str, ...]


def words_of(text: str) -> tuple[str, ...]:
    """What is looked for in documents of small letters: the words of the first 200 characters, each once."""
    return tuple(dict.fromkeys(storable(text[:MAX_TEXT]).casefold().split()))


def storable(text: str) -> str:
    """The text with U+FFFD for what no database stores: NUL and lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def pages_of(total: int, limit: int) -> int:
    """How many pages there are, at least one."""
    return max(1, -(-total // limit))


def check_page(page: int, limit: int) -> None:
    """Raise InvalidQuery unless such a page may be asked for."""
    if not 1 <= page <= MAX_PAGE:
        raise InvalidQuery(f"there is no page {page}: pages are counted from 1 to {MAX_PAGE}")
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQuery(f"a page of {limit} is not possible: ask for 1 to {MAX_LIMIT}")


def _one_of(what: str, value: str | None, known: tuple[str | None, ...]) -> None:
    if value not in known:
        names = ", ".join(one for one in known if one is not None)
        raise InvalidQuery(f"the {what} {value!r} is not one of {names}")
