"""What is told about the brightness of images of more than 8 bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from loravit_web.images.whites import Kind, Levels, Whites
from loravit_web.util.text import listed, plural

_BEGINNING = "Images of more than 8 bits"
"""Beginning of all these sentences, by which they are found among other notes."""
_KINDS: dict[Kind, str] = {"integer": _BEGINNING, "decimal": f"{_BEGINNING} with decimal values"}
_ALL_BITS = 65535.0


def scaled_notes(images: Sequence[Levels]) -> list[str]:
    """Return how images of more than 8 bits are scaled, unless all of them use all of 16 bits.

    Args:
        images: Levels of each such image.
    """
    notes = []
    for kind, beginning in _KINDS.items():
        counts = Counter(one.white for one in images if one.kind == kind and one.black == 0)
        if set(counts) - {_ALL_BITS}:
            notes.append(f"{beginning} are scaled from 0 to {max(counts):g}{_users(counts)}.")
    below = sum(one.black < 0 for one in images)
    if below:
        notes.append(
            f"{_BEGINNING} with values below zero are scaled from their own smallest to their own largest "
            f"value, so their brightness cannot be compared: {plural(below, 'image')}."
        )
    return notes


def revised_notes(before: Whites | None, added: Whites, after: Whites | None) -> list[str]:
    """Return how images of more than 8 bits are scaled in a revision with added ones.

    Args:
        before: What was white in the revision before, or None if that is not known.
        added: What would be white in the added images alone.
        after: What is white in the new revision.
    """
    if added.is_empty:
        return []
    if before is None or after is None:
        return [
            f"{_BEGINNING} are scaled by the bits that each one uses, because an earlier version of the app "
            "imported the dataset. Import all images again to scale them alike."
        ]
    notes = []
    for kind, beginning in _KINDS.items():
        old, new = before.of(kind), after.of(kind)
        if added.of(kind) is None or new is None:
            continue
        if old is None or old == new:
            told = "" if old is None else ", as in the revision before"
            notes.append(f"{beginning} are scaled from 0 to {new:g}{told}.")
        else:
            notes.append(
                f"{beginning} are scaled from 0 to {new:g} now, because added images exceed {old:g}. The "
                "others are darker than in the revision before."
            )
    return notes


def without_scaling(notes: Iterable[str]) -> list[str]:
    """Return notes without those about the brightness of images of more than 8 bits."""
    return [note for note in notes if not note.startswith(_BEGINNING)]


def _users(counts: Counter[float]) -> str:
    """Return how many images use which values, as the end of a sentence."""
    if len(counts) == 1:
        return f": {plural(counts.total(), 'image')}"
    groups = [f"{plural(count, 'image')} from 0 to {white:g}" for white, count in sorted(counts.items())]
    return f", the largest value that the set needs: {listed(groups)}"
