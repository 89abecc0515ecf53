"""How much one app takes in and does: every limit has a default and an environment variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from loravit_web.errors import LoraVitError

PREFIX = "LORAVIT_MAX_"
MOST = {"megapixels": 150}
"""Values that can't be raised further: above it Pillow itself refuses a picture."""
_MOST = 1_000_000_000


class LimitUnusable(LoraVitError):
    """An environment variable gives a limit that is no usable number."""


@dataclass(frozen=True)
class Limits:
    """The most of everything that a visitor can ask for; ``LORAVIT_MAX_CLASSES`` sets ``classes``.

    Attributes:
        upload_mib: size of one uploaded file.
        unpacked_mib: what a zip may unpack to, counted while it is read.
        files: entries of a zip, rows of a CSV, files of a folder.
        images, classes: of one dataset.
        megapixels: of one picture.
        queued_runs: trainings that wait.
        training_minutes: of one training, which then ends with the best so far.
        disk_gib: size of the data folder, above which nothing is taken in or trained.
        requests_per_minute: of one visitor.
        uploads_mib: of all uploads that lie in the app's temporary folder, in MiB.
        visitor_mib: of those of one visitor, in MiB; their oldest make room for new ones.
        upload_minutes: after which an upload is removed.
        session_hours: after which who signed in with a password has to do it again.
        waiting: questions of all visitors that wait for an answer.
        base_millions: parameters of a base that is loaded because an adapter was trained on it, in millions.
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
    base_millions: int = 350

    @property
    def pixels(self) -> int:
        """Width times height of one picture."""
        return self.megapixels * 1_000_000

    @property
    def upload_bytes(self) -> int:
        """Size of one uploaded file."""
        return self.upload_mib * 1024**2


DEFAULTS = Limits()
"""What holds where the environment says nothing."""


def variable_of(name: str) -> str:
    """The environment variable of a limit."""
    return f"{PREFIX}{name.upper()}"


def read_limits(environ: Mapping[str, str]) -> Limits:
    """The limits that an environment asks for, defaults for the others.

    Raises:
        LimitUnusable: if one is no whole number in its range.
    """
    given = {one.name: environ.get(variable_of(one.name), "").strip() for one in fields(Limits)}
    return Limits(**{name: _number(name, text) for name, text in given.items() if text})


def as_environment(limits: Limits) -> dict[str, str]:
    """The environment from which `read_limits` gives these limits."""
    return {variable_of(one.name): str(getattr(limits, one.name)) for one in fields(limits)}


def _number(name: str, text: str) -> int:
    most = MOST.get(name, _MOST)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_MOST)) else 0
    if not 1 <= number <= most:
        raise LimitUnusable(
            f"{variable_of(name)} is {text[:40]!r}: set it to a whole number from 1 to {most}."
        )
    return number
