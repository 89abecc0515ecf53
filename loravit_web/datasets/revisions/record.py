"""The place of a dataset among the revisions of the same data, and what changed since the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.util.text import listed, plural

Placed = tuple[str, str, tuple[str, ...]]
"""Split, hash and class names of an image."""
_NAMED = 5
"""Maximum number of renamed or merged classes that are named."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A corrected or extended dataset among the revisions of the same data.

    Attributes:
        number: Number of the revision. The data as it was imported is revision 1, and has no record.
        first: Fingerprint of revision 1.
        before: Fingerprint of the revision that this one was made from.
        added: Number of images that were added.
        left_out: Number of images that were left out.
        moved: Number of images that are in another class.
        renamed: Old and new name of each renamed class.
        merged: Name of each class that became part of another one, and the name of that one.
    """

    number: int
    first: str
    before: str
    added: int = 0
    left_out: int = 0
    moved: int = 0
    renamed: tuple[tuple[str, str], ...] = ()
    merged: tuple[tuple[str, str], ...] = ()

    @property
    def changes(self) -> str:
        """What changed since the revision before, as a phrase such as ``2 images added, 1 left out``."""
        counts = [(self.added, "added"), (self.left_out, "left out"), (self.moved, "moved to another class")]
        told = [f"{plural(count, 'image')} {how}" for count, how in counts if count]
        told += _named(self.renamed, "“{}” renamed to “{}”")
        told += _named(self.merged, "“{}” merged into “{}”")
        return ", ".join(told)

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON; see `from_json`."""
        return {
            "number": self.number,
            "first": self.first,
            "before": self.before,
            "added": self.added,
            "left_out": self.left_out,
            "moved": self.moved,
            "renamed": [list(pair) for pair in self.renamed],
            "merged": [list(pair) for pair in self.merged],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Revision | None:
        """Return the record of a document of `as_json`, or None for none.

        Raises:
            KeyError: If a value is missing.
            TypeError: If a value has another form.
            ValueError: If a name is not a pair.
        """
        if document is None:
            return None
        return cls(
            number=int(document["number"]),
            first=str(document["first"]),
            before=str(document["before"]),
            added=int(document["added"]),
            left_out=int(document["left_out"]),
            moved=int(document["moved"]),
            renamed=_pairs(document["renamed"]),
            merged=_pairs(document["merged"]),
        )


def title_of(name: str, revision: Revision | None) -> str:
    """Return the title of a dataset, such as ``pets, revision 2``; that of revision 1 is its name."""
    return name if revision is None else f"{name}, revision {revision.number}"


def counted_changes(
    before: Iterable[Placed], after: Iterable[Placed], names: Mapping[str, str]
) -> tuple[int, int, int]:
    """Return the numbers of images that were added, left out, and moved to another class.

    Args:
        before: Images of the revision before.
        after: Images of the new revision.
        names: New names of renamed and merged classes by their old ones, whose images did not move.
    """
    old = Counter(
        (split, sha256, tuple(sorted({names.get(name, name) for name in classes})))
        for split, sha256, classes in before
    )
    new = Counter((split, sha256, tuple(sorted(classes))) for split, sha256, classes in after)
    gone = Counter((split, sha256) for split, sha256, _ in (old - new).elements())
    come = Counter((split, sha256) for split, sha256, _ in (new - old).elements())
    moved = gone & come
    return (come - moved).total(), (gone - moved).total(), moved.total()


def _named(pairs: tuple[tuple[str, str], ...], form: str) -> list[str]:
    if len(pairs) <= _NAMED:
        return [form.format(*pair) for pair in pairs]
    verb = "renamed" if "renamed" in form else "merged"
    return [f"{len(pairs)} classes {verb}: {listed([old for old, _ in pairs], most=_NAMED)}"]


def _pairs(values: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(old), str(new)) for old, new in values)
