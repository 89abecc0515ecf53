"""Names of classes that probably mean the same class: other case, spaces, or 1 and 1.0."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from loravit_web.datasets.layout.plan import Placement
from loravit_web.util.text import listed

_NUMBER = re.compile(r"0*(\d+)(\.0+)?")
_ADDED = re.compile(
    r"(?<=[\w)])[\s_\-]+(?:\(\d+\)|copy(?: \d+)?|copia|kopie|копия|副本|"
    r"aug|augmented|augmentation|new|old|backup|extra)$"
)
"""What file managers and people add to the name of a folder with the same things."""
_SEPARATORS = re.compile(r"[\s_\-]+")


def key_of(name: str) -> str:
    """Return a text that is equal for names that differ only in case, separators or form of a number."""
    text = _SEPARATORS.sub(" ", name.casefold()).strip()
    number = _NUMBER.fullmatch(text)
    return number[1] if number else text


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of two or more names that differ only in such a way."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(set(names)):
        groups[key_of(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def added_to(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the names that are those of another class with a word for a copy, each with the other one."""
    keys = {key_of(name): name for name in names}
    found = []
    for name in sorted(keys.values()):
        plain = keys.get(key_of(_ADDED.sub("", name.casefold())), name)
        if plain != name:
            found.append((plain, name))
    return found


def similar_warnings(names: Collection[str]) -> tuple[str, ...]:
    """Return one sentence for each group of similar names."""
    copies = [
        f"“{plain}” and “{name}” are 2 classes, although “{name}” looks like more images of “{plain}”. Merge "
        "them if they are the same class."
        for plain, name in added_to(names)
    ]
    return (
        *copies,
        *(
            f"{listed([f'“{name}”' for name in group])} are {len(group)} classes, although their names only "
            "differ in case, spaces or the form of a number. Rename them if they are the same class."
            for group in similar_names(names)
        ),
    )


def matched_across_splits(placements: Sequence[Placement]) -> tuple[tuple[Placement, ...], tuple[str, ...]]:
    """Give validation and test images the class name of the training images that they mean.

    A class without training images cannot exist, so ``cat`` in the test split means ``Cat`` in the training
    split if nothing else comes close.

    Args:
        placements: Candidates.

    Returns:
        The candidates, and one sentence for each name that was replaced.
    """
    trained = {name for place in placements if place.split == "train" for name in place.class_names}
    by_key: defaultdict[str, set[str]] = defaultdict(set)
    for name in trained:
        by_key[key_of(name)].add(name)
    others = sorted({name for place in placements for name in place.class_names} - trained)
    meant = {name: by_key[key_of(name)] for name in others}
    replaced = {name: next(iter(found)) for name, found in meant.items() if len(found) == 1}
    if not replaced:
        return tuple(placements), ()
    notes = tuple(
        f"Validation and test images of “{name}” were taken for the class “{kept}”."
        for name, kept in replaced.items()
    )
    return tuple(
        replace(place, class_names=tuple(replaced.get(name, name) for name in place.class_names))
        for place in placements
    ), notes
