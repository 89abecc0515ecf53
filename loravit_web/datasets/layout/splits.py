"""Folders that are named for splits, above or below the classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.levels import choices
from loravit_web.datasets.layout.plan import INNERMOST, ClassLevel
from loravit_web.datasets.layout.reading import File, Reading, depth_of, names_at, quoted
from loravit_web.datasets.layout.words import is_image_word, split_and_rest, split_of, splits_of, tokens
from loravit_web.datasets.records import Split
from loravit_web.util.text import listed

SHOWN: Mapping[Split, str] = {"train": "training", "val": "validation", "test": "test"}
"""Names of the splits in texts."""
MOST_HELD_OUT: tuple[Split, ...] = ("test", "val", "train")
"""Splits by how far their images are kept out of the training."""


def take_splits(files: list[File], reading: Reading) -> None:
    """Remove the folders that name splits, and those that wrap the rest, from all files.

    Raises:
        AmbiguousLayout: If folders named for splits, or for a split of a class, are beside other folders.
    """
    column = 0
    while column < depth_of(files):
        names = names_at(files, column)
        deeper = [file for file in files if len(file.folders) > column]
        wraps = len(names) == 1 and any(len(file.folders) > column + 1 for file in deeper)
        splits = splits_of(names)
        if wraps and (column == 0 or is_image_word(names[0]) or names[0] in splits):
            if splits.get(names[0], "train") != "train":
                reading.notes.append(
                    f"All images are in {names[0]}/. They are used for training, because there are no others."
                )
            _remove(files, column)
        elif _named_twice(files, column, reading):
            column += 1
        elif len(splits) == len(names) and _is_split_level(deeper, column, splits):
            _divide(deeper, column, splits, reading)
        else:
            _refuse_splits_beside(deeper, column, names, splits)
            column += 1


def _splits_at(files: Sequence[File], column: int, names: Sequence[str]) -> dict[str, Split]:
    """Return the split of each name that means one, also if it repeats the name of the folder around it."""
    splits = splits_of(names)
    if column == 0 or len(splits) == len(names):
        return splits
    named: defaultdict[str, set[Split | None]] = defaultdict(set)
    for file in files:
        if len(file.folders) > column:
            around, name = file.folders[column - 1][1], file.folders[column][1]
            named[name].add(split_of(name, tokens(around)))
    alone = {name: found.pop() for name, found in named.items() if len(found) == 1}
    repeated = {name: split for name, split in alone.items() if split is not None}
    return repeated if len(repeated) == len(names) and len(set(repeated.values())) > 1 else splits


def _named_twice(files: Sequence[File], column: int, reading: Reading) -> bool:
    """Give classes and splits to folders that are named for both, such as ``train_cat`` and ``test_cat``.

    Raises:
        AmbiguousLayout: If only some of the folders are.
    """
    if any(len(file.folders) != column + 1 for file in files):
        return False
    names = names_at(files, column)
    meant = {name: both for name in names if (both := split_and_rest(name)) is not None}
    of_class: defaultdict[str, dict[Split, str]] = defaultdict(dict)
    for name, (split, rest) in meant.items():
        of_class[rest][split] = name
    divided = [found for found in of_class.values() if "train" in found and len(found) > 1]
    if not divided or len(of_class) + len(names) - len(meant) < 2:
        return False
    if len(meant) < len(names) or any("train" not in found for found in of_class.values()):
        raise AmbiguousLayout(
            f"{quoted(sorted(divided[0].values()))} look like splits of one class, and other folders beside "
            f"them do not. Name all alike, or choose level {_level(files, column)} to make each a class "
            "(--classes-at in the shell).",
            choices(files),
        )
    for file in files:
        level, name = file.folders[column]
        file.split, rest = meant[name]
        file.folders[column] = (level, rest)
    taken = listed(
        [f"“{name}” as {SHOWN[split]} images of “{rest}”" for name, (split, rest) in sorted(meant.items())],
        most=3,
    )
    reading.notes.append(f"Folders were taken for a split of a class each: {taken}.")
    return True


def _level(files: Sequence[File], column: int) -> int:
    return files[0].folders[column][0]


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
