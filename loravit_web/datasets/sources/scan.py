"""From relative paths to classes and splits: the layout rules, pure functions on strings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from loravit_web.datasets.errors import (
    LAYOUT_HINT,
    AmbiguousLayout,
    ClassNameTooLong,
    ClassTooSmall,
    ClassWithoutTraining,
    TooFewClasses,
    TooManyClasses,
)
from loravit_web.datasets.records import Skipped, Split
from loravit_web.images.loading import IMAGE_SUFFIXES, SUPPORTED
from loravit_web.settings.limits import Limits
from loravit_web.util.text import clean_text

MAX_CLASS_NAME = 80
MIN_TRAIN_IMAGES = 2

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Folder (and CSV) names, lower case, that mean a split."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one image belongs: `index` into the given paths, its split and its class name."""

    index: int
    path: str
    split: Split
    class_name: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a list of paths amounts to, before any file is opened."""

    placements: tuple[Placement, ...]
    skipped: tuple[Skipped, ...]


def plan_layout(paths: Sequence[str]) -> Plan:
    """Apply the layout rules to relative paths with forward slashes.

    A single top folder is unwrapped; train/, val/ and test/ are honoured when every top folder is
    one of them; otherwise each top folder is a class, whatever it nests. Raises ClassNameTooLong, and
    AmbiguousLayout for a split folder of class folders beside folders that are no splits.
    """
    skipped: list[Skipped] = []
    images: list[tuple[int, tuple[str, ...]]] = []
    for index, path in enumerate(paths):
        reason = unwanted(path)
        if reason is None:
            images.append((index, tuple(path.split("/"))))
        else:
            skipped.append(Skipped(path, reason))

    depth = _wrapper_depth([parts for _, parts in images])
    tops = {parts[depth] for _, parts in images if len(parts) > depth + 1}
    others = sorted(top for top in tops if top.lower() not in SPLIT_NAMES)
    has_splits = bool(tops) and not others
    for split_like in _nested_split_folders([parts[depth:] for _, parts in images]):
        if others:
            raise AmbiguousLayout(
                f"Beside {split_like}/ with its class folders lies “{others[0]}”, which is neither train, "
                "val nor test; move one of them away, or rename it."
            )

    placements: list[Placement] = []
    for index, parts in images:
        folders = parts[depth:-1]
        split: Split = "train"
        if has_splits and folders:
            split, folders = SPLIT_NAMES[folders[0].lower()], folders[1:]
        name = clean_class_name(folders[0]) if folders else ""
        if name:
            placements.append(Placement(index, paths[index], split, name))
        else:
            skipped.append(Skipped(paths[index], "it lies outside any class folder"))
    return Plan(tuple(placements), tuple(skipped))


def unwanted(path: str) -> str | None:
    """Why a file is no candidate, judged by its path alone; None if it is one."""
    parts = path.split("/")
    if "__MACOSX" in parts:
        return "macOS adds it to archives; it is not an image"
    if any(part.startswith(".") for part in parts):
        return "hidden files and folders are left out"
    if parts[-1].lower() in _SYSTEM_FILES:
        return "Windows adds it to folders; it is not an image"
    if suffix_of(path) not in IMAGE_SUFFIXES:
        return f"not an image; {SUPPORTED} are supported"
    return None


def suffix_of(path: str) -> str:
    """The lower-case suffix of a relative path, with its dot."""
    return PurePosixPath(path).suffix.lower()


def clean_class_name(text: str) -> str:
    """A class name as shown; may come out empty.

    Raises ClassNameTooLong beyond 80 characters rather than cutting, which could merge classes.
    """
    name = clean_text(text)
    if len(name) > MAX_CLASS_NAME:
        raise ClassNameTooLong(
            f"The class name “{name[:40]}…” has {len(name)} characters, over the limit of {MAX_CLASS_NAME}; "
            "shorten it."
        )
    return name


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Distinct names in natural, case-insensitive order: class 2 before class 10."""
    return tuple(sorted(set(names), key=_natural_key))


def check_classes(
    placed: Iterable[tuple[Split, str]], *, left_out: Sequence[Skipped] = (), most: int = Limits.classes
) -> None:
    """Refuse what no classifier can learn from; `placed` holds (split, class name) per image.

    `left_out` are files that don't count, `most` is how many classes are allowed. Raises TooFewClasses,
    TooManyClasses, ClassWithoutTraining or ClassTooSmall.
    """
    counts: Counter[tuple[Split, str]] = Counter(placed)
    names = sorted_classes(name for _, name in counts)
    note = f" ({_left_out(left_out)})" if left_out else ""
    if len(names) < 2:
        found = f"only the class “{names[0]}” was found" if names else "no class with images was found"
        raise TooFewClasses(f"At least two classes are needed and {found}{note}; {LAYOUT_HINT}.")
    if len(names) > most:
        raise TooManyClasses(
            f"There are {len(names)} classes, over the limit of {most}; check that the top folders "
            "are the classes."
        )
    for name in names:
        train = counts["train", name]
        others = [split for split in ("val", "test") if (split, name) in counts]
        if not train and others:
            raise ClassWithoutTraining(
                f"The class “{name}” has {others[0]} images but no training images{note}; "
                "add some to train, or remove the class."
            )
        if train < MIN_TRAIN_IMAGES:
            raise ClassTooSmall(
                f"The class “{name}” has only {train} training image{note}; give every class at least "
                f"{MIN_TRAIN_IMAGES}, better 10 or more."
            )


def _left_out(files: Sequence[Skipped]) -> str:
    first, reason = files[0].path, files[0].reason.partition(";")[0].rstrip(".")
    if len(files) == 1:
        return f"{first} was left out: {reason}"
    return f"{len(files)} files were left out, such as {first}: {reason}"


def _wrapper_depth(images: list[tuple[str, ...]]) -> int:
    """How many top folders merely wrap the rest: each is alone and has folders below it."""
    depth = 0
    while True:
        inside = [parts for parts in images if len(parts) > depth + 1]
        alone = len({parts[depth] for parts in inside}) == 1
        if not alone or all(len(parts) == depth + 2 for parts in inside):
            return depth
        depth += 1


def _nested_split_folders(images: list[tuple[str, ...]]) -> list[str]:
    """Top folders named like a split that hold only folders: a class of that name would hold images."""
    depths: dict[str, int] = {}
    for parts in images:
        if len(parts) > 1 and parts[0].lower() in SPLIT_NAMES:
            depths[parts[0]] = min(len(parts), depths.get(parts[0], len(parts)))
    return sorted(folder for folder, depth in depths.items() if depth > 2)


def _natural_key(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name.casefold())
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], name
