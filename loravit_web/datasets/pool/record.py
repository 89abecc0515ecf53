"""Records of a pool: an image without a label, until a person confirms one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Origin = Literal["upload", "use"]
"""How an image came into a pool: uploaded for it, or kept from a request in Use."""


@dataclass(frozen=True, slots=True)
class PoolImage:
    """An image of a pool.

    Attributes:
        sha256: Hash of the file.
        suffix: File suffix in lower case.
        path: Path at the user's side, for display only.
        origin: How it came into the pool.
        added_at: Time at which it came, in seconds since the epoch.
        added_by: Name of the user who added it; empty for an image that was kept from a request.
        label: Class that a person confirmed, or None.
        confirmed_by: Name of that person, or None.
        is_skipped: Whether a person looked at it and gave it no label.
    """

    sha256: str
    suffix: str
    path: str
    origin: Origin
    added_at: float
    added_by: str
    label: str | None = None
    confirmed_by: str | None = None
    is_skipped: bool = False

    @property
    def is_open(self) -> bool:
        """Whether no person has decided on it."""
        return self.label is None and not self.is_skipped

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON; see `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Any) -> PoolImage:
        """Return the record of a document of `as_json`.

        Raises:
            TypeError: If a value is missing or unknown.
            ValueError: If a value has another form.
        """
        found = cls(**document)
        if found.origin not in get_args(Origin) or not all(
            isinstance(text, str) for text in (found.sha256, found.suffix, found.path)
        ):
            raise ValueError("a value has another form")
        return found


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """A pool in numbers.

    Attributes:
        task: Slug of the task.
        images: Number of images.
        open: Number of images on which no person has decided.
        confirmed: Number of images with a confirmed label.
        skipped: Number of skipped images.
        from_use: Number of images that were kept from requests.
        is_collecting: Whether images are kept from requests.
    """

    task: str
    images: int
    open: int
    confirmed: int
    skipped: int
    from_use: int
    is_collecting: bool
