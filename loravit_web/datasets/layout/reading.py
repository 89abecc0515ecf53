"""Files on their way to a plan: the folders above each candidate, reduced step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loravit_web.datasets.records import Skipped, Split
from loravit_web.util.text import listed


@dataclass(slots=True)
class File:
    """A candidate.

    Attributes:
        index: Index into the given paths.
        path: Path of the file.
        folders: Folders above it as pairs of level and name, without repeated and wrapping ones.
        split: Split that its folders name.
    """

    index: int
    path: str
    folders: list[tuple[int, str]]
    split: Split = "train"


@dataclass(slots=True)
class Reading:
    """What was found so far.

    Attributes:
        skipped: Skipped files.
        candidates: Paths of all files that can be read.
        effects: Sentences about what is left out.
        notes: Sentences about what was taken for what.
    """

    skipped: list[Skipped] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def collapsed(path: str) -> list[tuple[int, str]]:
    """Return the folders above a file; train/train/cat becomes train/cat."""
    folders: list[tuple[int, str]] = []
    for level, name in enumerate(path.split("/")[:-1], start=1):
        if not folders or folders[-1][1].casefold() != name.casefold():
            folders.append((level, name))
    return folders


def names_at(files: Iterable[File], column: int) -> list[str]:
    """Return the distinct names of the folders at a position, sorted."""
    return sorted({file.folders[column][1] for file in files if len(file.folders) > column})


def depth_of(files: Iterable[File]) -> int:
    """Return the largest number of folders above a file."""
    return max((len(file.folders) for file in files), default=0)


def quoted(names: Sequence[str]) -> str:
    """Return names as text for people, each in quotation marks."""
    return listed([f"“{name}”" for name in names])
