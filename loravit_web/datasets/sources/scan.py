"""Layout rules: from relative paths to classes and splits, as pure functions on strings."""

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
from loravit_web.util.labels import Labels
from loravit_web.util.text import clean_text

MAX_CLASS_NAME = 80
"""Maximum length of a class name in characters."""
MIN_TRAIN_IMAGES = 2
"""Minimum number of training images per class."""

SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Split by the lower-case name of a folder or in a CSV."""

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class Placement:
    """A candidate image with its class and split.

    Attributes:
        index: Index into the given paths.
        path: Path of the file.
        split: Split of the image.
        class_names: Names of its classes; exactly one if the images of the plan have one label.
    """

    index: int
    path: str
    split: Split
    class_names: tuple[str, ...]

    @property
    def class_name(self) -> str:
        """Name of its only class.

        Raises:
            ValueError: If the image has no label or several.
        """
        (name,) = self.class_names
        return name


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates and skipped files of a list of paths, before any file is opened.

    Attributes:
        placements: Candidate images.
        skipped: Skipped files.
        labels: How many labels an image can have.
        notes: What was taken for what, as sentences.
    """

    placements: tuple[Placement, ...]
    skipped: tuple[Skipped, ...]
    labels: Labels = "one"
    notes: tuple[str, ...] = ()


def plan_layout(paths: Sequence[str]) -> Plan:
    """Apply the layout rules to relative paths with forward slashes.

    A single top folder is unwrapped. If all top folders are named train, val or test, they are splits.
    Otherwise each top folder is a class with everything below it.

    Args:
        paths: Relative paths of all files.

    Raises:
        ClassNameTooLong: If a class name is too long.
        AmbiguousLayout: If folders of splits with class folders are beside other folders.
    """
    skipped: list[Skipped] = []
    images: list[tuple[int, tuple[str, ...]]] = []
    for index, path in enumerate(paths):
        reason = skip_reason(path)
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
                f"“{others[0]}” is beside {split_like}/, which contains class folders, but is not train, "
                "val or test. Move or rename one of them."
            )

    placements: list[Placement] = []
    for index, parts in images:
        folders = parts[depth:-1]
        split: Split = "train"
        if has_splits and folders:
            split, folders = SPLIT_NAMES[folders[0].lower()], folders[1:]
        name = clean_class_name(folders[0]) if folders else ""
        if name:
            placements.append(Placement(index, paths[index], split, (name,)))
        else:
            skipped.append(Skipped(paths[index], "it is not inside a class folder"))
    return Plan(tuple(placements), tuple(skipped))


def skip_reason(path: str) -> str | None:
    """Return why a file is not a candidate, judged by its path only, or None if it is one."""
    parts = path.split("/")
    if "__MACOSX" in parts:
        return "it is a macOS system file"
    if any(part.startswith(".") for part in parts):
        return "it is hidden"
    if parts[-1].lower() in _SYSTEM_FILES:
        return "it is a Windows system file"
    if suffix_of(path) not in IMAGE_SUFFIXES:
        return f"it is not an image; {SUPPORTED} are supported"
    return None


def suffix_of(path: str) -> str:
    """Return the lower-case suffix of a relative path with its dot."""
    return PurePosixPath(path).suffix.lower()


def clean_class_name(text: str) -> str:
    """Return a class name as it is shown; may be empty.

    Raises:
        ClassNameTooLong: If the name is longer than 80 characters. It is not cut, because that could merge
            classes.
    """
    name = clean_text(text)
    if len(name) > MAX_CLASS_NAME:
        raise ClassNameTooLong(
            f"The class name “{name[:40]}…” has {len(name)} characters, and the limit is {MAX_CLASS_NAME}. "
            "Shorten it."
        )
    return name


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names in natural, case-insensitive order: class 2 before class 10."""
    return tuple(sorted(set(names), key=_natural_key))


def check_classes(
    placed: Iterable[tuple[Split, str]], *, skipped: Sequence[Skipped] = (), max_classes: int = Limits.classes
) -> None:
    """Check that a classifier can be trained on the images.

    Args:
        placed: Split and class name of each image.
        skipped: Skipped files, one of which is named in errors.
        max_classes: Maximum number of classes.

    Raises:
        TooFewClasses: If there are fewer than two classes.
        TooManyClasses: If there are more classes than allowed.
        ClassWithoutTraining: If a class only has validation or test images.
        ClassTooSmall: If a class has too few training images.
    """
    counts: Counter[tuple[Split, str]] = Counter(placed)
    names = sorted_classes(name for _, name in counts)
    note = f" ({_skipped_note(skipped)})" if skipped else ""
    if len(names) < 2:
        found = f"only the class “{names[0]}” was found" if names else "no class with images was found"
        raise TooFewClasses(f"At least two classes are needed, but {found}{note}. {LAYOUT_HINT}")
    if len(names) > max_classes:
        raise TooManyClasses(
            f"There are {len(names)} classes, and the limit is {max_classes}. Check that the top folders "
            "are the classes."
        )
    for name in names:
        train = counts["train", name]
        others = [split for split in ("val", "test") if (split, name) in counts]
        if not train and others:
            raise ClassWithoutTraining(
                f"The class “{name}” has {others[0]} images but no training images{note}. "
                "Add training images, or remove the class."
            )
        if train < MIN_TRAIN_IMAGES:
            raise ClassTooSmall(
                f"The class “{name}” has only {train} training image{note}. Add images until every class "
                f"has at least {MIN_TRAIN_IMAGES}, better 10 or more."
            )


def _skipped_note(files: Sequence[Skipped]) -> str:
    first, reason = files[0].path, re.split(r"[.;] ", files[0].reason)[0].rstrip(".")
    if len(files) == 1:
        return f"{first} was skipped: {reason}"
    return f"{len(files)} files were skipped, such as {first}: {reason}"


def _wrapper_depth(images: list[tuple[str, ...]]) -> int:
    """Return the number of nested top folders that only wrap the rest."""
    depth = 0
    while True:
        inside = [parts for parts in images if len(parts) > depth + 1]
        alone = len({parts[depth] for parts in inside}) == 1
        if not alone or all(len(parts) == depth + 2 for parts in inside):
            return depth
        depth += 1


def _nested_split_folders(images: list[tuple[str, ...]]) -> list[str]:
    """Return top folders that are named like a split and contain only folders, as a class would not."""
    depths: dict[str, int] = {}
    for parts in images:
        if len(parts) > 1 and parts[0].lower() in SPLIT_NAMES:
            depths[parts[0]] = min(len(parts), depths.get(parts[0], len(parts)))
    return sorted(folder for folder, depth in depths.items() if depth > 2)


def _natural_key(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name.casefold())
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], name
