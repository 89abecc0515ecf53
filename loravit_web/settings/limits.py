"""Limits of the app, each with a default and an environment variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from loravit_web.errors import LoraVitError

PREFIX = "LORAVIT_MAX_"
"""Prefix of the environment variables of limits."""
HARD_LIMITS = {"megapixels": 150}
"""Limits that cannot be raised further; Pillow rejects larger images."""
_DEFAULT_HARD_LIMIT = 1_000_000_000


class InvalidLimit(LoraVitError):
    """An environment variable with an invalid limit."""


@dataclass(frozen=True)
class Limits:
    """Limits of everything that a visitor can request; ``LORAVIT_MAX_CLASSES`` sets ``classes``.

    Attributes:
        upload_mib: Maximum size of an uploaded file, in MiB.
        unpacked_mib: Maximum unpacked size of a zip, in MiB, counted while it is read.
        files: Maximum number of entries of a zip, rows of a CSV or files of a folder.
        images: Maximum number of images of a dataset.
        classes: Maximum number of classes of a dataset.
        megapixels: Maximum size of an image, in million pixels.
        queued_runs: Maximum number of queued runs.
        training_minutes: Maximum duration of a training; it then ends with the best epoch so far.
        disk_gib: Size of the data folder, in GiB, above which nothing is imported or trained.
        requests_per_minute: Maximum number of requests of a visitor per minute.
        uploads_mib: Maximum size of all uploads in the app's temporary folder, in MiB.
        visitor_mib: Maximum size of the uploads of a visitor, in MiB; the oldest are removed for new ones.
        upload_minutes: Minutes after which an upload is removed.
        session_hours: Hours after which people have to sign in with their password again.
        waiting: Maximum number of requests of all visitors that wait for an answer.
        pool_images: Maximum number of images without labels that are kept for a task.
        collected_images: Maximum number of images of requests that are kept for a task.
        collected_days: Days after which an image that was kept from a request is deleted.
        base_millions: Maximum number of parameters, in millions, of a base that is loaded for an adapter.
        take_ups: How often a run whose worker is gone is continued by another one without a person.
        cache_gib: Size, in GiB, of the images that a node keeps of what it fetched from the store.
    """

    upload_mib: int = 2048
    unpacked_mib: int = 4096
    files: int = 200_000
    images: int = 100_000
    classes: int = 1000
    megapixels: int = 50
    queued_runs: int = 20
    training_minutes: int = 720
    disk_gib: int = 100
    requests_per_minute: int = 600
    uploads_mib: int = 8192
    visitor_mib: int = 4096
    upload_minutes: int = 1440
    session_hours: int = 168
    waiting: int = 64
    pool_images: int = 2000
    collected_images: int = 200
    collected_days: int = 30
    base_millions: int = 350
    take_ups: int = 5
    cache_gib: int = 20

    @property
    def pixels(self) -> int:
        """Maximum number of pixels of an image."""
        return self.megapixels * 1_000_000

    @property
    def upload_bytes(self) -> int:
        """Maximum size of an uploaded file in bytes."""
        return self.upload_mib * 1024**2


DEFAULTS = Limits()
"""Limits without any environment variable."""


def variable_of(name: str) -> str:
    """Return the environment variable of a limit."""
    return f"{PREFIX}{name.upper()}"


def read_limits(environ: Mapping[str, str]) -> Limits:
    """Return the limits of an environment, with defaults for the others.

    Raises:
        InvalidLimit: If a limit is not an integer in its range.
    """
    texts = {limit.name: environ.get(variable_of(limit.name), "").strip() for limit in fields(Limits)}
    return Limits(**{name: _number(name, text) for name, text in texts.items() if text})


def as_environment(limits: Limits) -> dict[str, str]:
    """Return the environment from which `read_limits` returns these limits."""
    return {variable_of(limit.name): str(getattr(limits, limit.name)) for limit in fields(limits)}


def _number(name: str, text: str) -> int:
    highest = HARD_LIMITS.get(name, _DEFAULT_HARD_LIMIT)
    number = (
        int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_DEFAULT_HARD_LIMIT)) else 0
    )
    if not 1 <= number <= highest:
        raise InvalidLimit(f"{variable_of(name)} is {text[:40]!r}. Set it to an integer from 1 to {highest}.")
    return number
