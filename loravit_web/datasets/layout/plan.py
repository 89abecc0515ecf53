"""Result of an interpretation: candidates with class and split, and what was taken for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from loravit_web.datasets.records import Skipped, Split
from loravit_web.util.labels import Labels

INNERMOST: Literal["last"] = "last"
"""Level of the folder that directly contains an image."""
ClassLevel: TypeAlias = int | Literal["last"] | None
"""Level of the class folders, 1 for the top folders of the data; None to find it."""


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
class Level:
    """Folders that can be the classes.

    Attributes:
        at: Level of the folders, 1 for the top folders, or `INNERMOST`.
        names: Names of the folders.
    """

    at: int | Literal["last"]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates and skipped files of a list of paths, before any file is opened.

    Attributes:
        placements: Candidate images.
        skipped: Skipped files.
        effects: Sentences about what is left out, for people who import the data.
        notes: Sentences about what was taken for what.
        levels: Folders that can be the classes, if there are several possibilities.
        at: Level that was used, if it can be chosen.
        lost: Classes of which no file is a candidate.
        labels: How many labels an image can have.
        from_table: Whether a table names the images and their classes.
    """

    placements: tuple[Placement, ...]
    skipped: tuple[Skipped, ...]
    effects: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    at: ClassLevel = None
    lost: tuple[str, ...] = ()
    labels: Labels = "one"
    from_table: bool = False
