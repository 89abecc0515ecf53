"""Folders that are named for splits, above or below the classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.levels import choices
from loravit_web.datasets.layout.plan import INNERMOST, ClassLevel
from loravit_web.datasets.layout.reading import File, Reading, depth_of, names_at
from loravit_web.datasets.layout.words import is_image_word, splits_of
from loravit_web.datasets.records import Split
from loravit_web.util.text import listed

SHOWN: Mapping[Split, str] = {"train": "training", "val": "validation", "test": "test"}
"""Names of the splits in texts."""
MOST_HELD_OUT: tuple[Split, ...] = ("test", "val", "train")
"""Splits by how far their images are kept out of the training."""


def take_splits(files: list[File], reading: Reading) -> None:
    """Remove the folders that name splits, and those that wrap the rest, from all files.

    Raises:
        AmbiguousLayout: If folders named for splits are beside other folders.
    """
    column = 0
    while column < depth_of(files):
        names = names_at(files, column)
        deeper = [file for file in files if len(file.folders) > column]
        wraps = len(names) == 1 and any(len(file.folders) > column + 1 for file in deeper)
        splits = splits_of(names)
        if wraps and (column == 0 or is_image_word(names[0]) or names[0] in splits):
            _remove(files, column)
        elif len(splits) == len(names) and _is_split_level(deeper, column, splits):
            _divide(deeper, column, splits, reading)
        else:
            _refuse_splits_beside(deeper, column, names, splits)
            column += 1


def _remove(files: Iterable[File], column: int) -> None:
    for file in files:
        if len(file.folders) > column:
            del file.folders[column]


def _is_split_level(files: Sequence[File], column: int, splits: Mapping[str, Split]) -> bool:
    """Return whether folders with such names are splits: above the classes, or below them."""
    inside = any(len(file.folders) > column + 1 for file in files)
    return inside or (column > 0 and len(set(splits.values())) > 1) or (column == 0 and len(splits) > 1)


def _divide(files: Sequence[File], column: int, splits: Mapping[str, Split], reading: Reading) -> None:
    for file in files:
        split = splits[file.folders[column][1]]
        # of several names, the one that keeps an image out of the training counts
        file.split = min(file.split, split, key=MOST_HELD_OUT.index)
        del file.folders[column]
    unusual = {name: split for name, split in splits.items() if name.lower() not in ("train", "val", "test")}
    if unusual or column > 0:
        unusual = unusual or dict(splits)
        taken = listed([f"“{name}” as {SHOWN[split]}" for name, split in sorted(unusual.items())])
        reading.notes.append(f"Folders were taken for splits: {taken}.")


def _refuse_splits_beside(
    files: Sequence[File], column: int, names: Sequence[str], splits: Mapping[str, Split]
) -> None:
    others = [name for name in names if name not in splits]
    if not others:
        return
    inner: defaultdict[str, set[str]] = defaultdict(set)
    direct: set[str] = set()
    for file in files:
        name = file.folders[column][1]
        if len(file.folders) > column + 1:
            inner[name].add(file.folders[column + 1][1])
        else:
            direct.add(name)
    nested = sorted(name for name in splits if inner[name] and name not in direct)
    if column > 0:
        nested = sorted(splits) if len(set(splits.values())) > 1 else []
    alike = len(splits) == 1 and all(inner[name] and name not in direct for name in others)
    if nested and not alike:
        contains = "contains class folders" if column == 0 else "is named for a split"
        raise AmbiguousLayout(
            f"“{others[0]}” is beside {nested[0]}/, which {contains}, but is not train, "
            "val or test. Move or rename one of them.",
            choices(files),
        )


def split_levels(files: Sequence[File], at: ClassLevel) -> dict[int, dict[str, Split]]:
    """Return the levels with folders of several splits, each with the split by name."""
    by_level: defaultdict[int, set[str]] = defaultdict(set)
    for file in files:
        for position, (level, name) in enumerate(file.folders):
            if level != at and not (at == INNERMOST and position == len(file.folders) - 1):
                by_level[level].add(name)
    found = {}
    for level, names in by_level.items():
        splits = splits_of(names)
        complete = len(splits) == len(names) and len(names) > 1
        if complete or len(set(splits.values())) > 1:
            found[level] = splits
    return found
