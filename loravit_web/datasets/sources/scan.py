"""Names of classes, and whether a classifier can be trained on what was found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from loravit_web.datasets.errors import (
    LAYOUT_HINT,
    ClassNameTooLong,
    ClassTooSmall,
    ClassWithoutTraining,
    TooFewClasses,
    TooManyClasses,
)
from loravit_web.datasets.records import Skipped, Split
from loravit_web.settings.limits import Limits
from loravit_web.util.text import clean_text

MAX_CLASS_NAME = 80
"""Maximum length of a class name in characters."""
TABLE_HINT = "Check the paths and the labels in the table."
NOT_IN_A_CLASS = "it is not inside a class folder"
_SYSTEM_REASONS = ("it is hidden", "it is a macOS", "it is a Windows", "it is in a", "it is a thumbnail")
MIN_TRAIN_IMAGES = 2
"""Minimum number of training images per class."""


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
    placed: Iterable[tuple[Split, str]],
    *,
    skipped: Sequence[Skipped] = (),
    max_classes: int = Limits.classes,
    from_table: bool = False,
) -> None:
    """Check that a classifier can be trained on the images.

    Args:
        placed: Split and class name of each image.
        skipped: Skipped files; errors name one with the most frequent reason.
        max_classes: Maximum number of classes.
        from_table: Whether a table names the classes, so that advice on folders would be wrong.

    Raises:
        TooFewClasses: If there are fewer than two classes.
        TooManyClasses: If there are more classes than allowed.
        ClassWithoutTraining: If a class only has validation or test images.
        ClassTooSmall: If a class has too few training images.
    """
    counts: Counter[tuple[Split, str]] = Counter(placed)
    names = sorted_classes(name for _, name in counts)
    if len(names) < 2:
        raise _too_few(names, skipped, from_table=from_table)
    if len(names) > max_classes:
        raise TooManyClasses(
            f"There are {len(names)} classes, and the limit is {max_classes}. Check that the top folders "
            "are the classes."
        )
    for name in names:
        train = counts["train", name]
        others = [split for split in ("val", "test") if (split, name) in counts]
        note = _note([entry for entry in skipped if name in entry.path.split("/")[:-1]])
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


def _too_few(names: Sequence[str], skipped: Sequence[Skipped], *, from_table: bool) -> TooFewClasses:
    """Return the error with the most frequent reason, and with advice that fits this reason."""
    reason = _main_reason(skipped)
    found = f"only the class “{names[0]}” was found" if names else "no class with images was found"
    hint = TABLE_HINT if from_table else LAYOUT_HINT
    unread = reason is not None and not reason.startswith(NOT_IN_A_CLASS)
    if unread and not names:
        return TooFewClasses(
            f"At least two classes are needed, but no image can be used{_note(skipped)}. "
            f"{_advice(str(reason))}"
        )
    return TooFewClasses(f"At least two classes are needed, but {found}{_note(skipped)}. {hint}")


def _advice(reason: str) -> str:
    """Return what to do about a reason: its second sentence, if it has one."""
    if any(words in reason for words in ("the table", "among the images", "does not exist")):
        return "Check the paths in the table."
    _, _, advice = reason.rstrip(".").partition(". ")
    return f"{advice}." if advice else "Use images in a supported format, one folder per class."


def _main_reason(skipped: Sequence[Skipped]) -> str | None:
    """Return the most frequent reason of files that belong to the data, or of all if there are no others."""
    reasons = Counter(entry.reason for entry in skipped)
    telling = [reason for reason, _ in reasons.most_common() if not reason.startswith(_SYSTEM_REASONS)]
    return next(iter([*telling, *reasons]), None)


def _note(skipped: Sequence[Skipped]) -> str:
    main = _main_reason(skipped)
    if main is None:
        return ""
    alike = [entry.path for entry in skipped if entry.reason == main]
    reason = re.split(r"[.;] ", main)[0].rstrip(".")
    if len(skipped) == 1:
        return f" ({alike[0]} was skipped: {reason})"
    return f" ({len(alike)} of {len(skipped)} skipped files, such as {alike[0]}: {reason})"


def _natural_key(name: str) -> tuple[list[str | int], str]:
    pieces = re.split(r"(\d+)", name.casefold())
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], name
