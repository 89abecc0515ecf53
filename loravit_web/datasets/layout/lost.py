"""Classes whose folders have no image that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loravit_web.datasets.layout.files import system_reason
from loravit_web.datasets.layout.plan import Placement
from loravit_web.datasets.layout.words import is_mask_word, is_side
from loravit_web.datasets.sources.scan import clean_class_name, sorted_classes


def lost_classes(
    placements: Sequence[Placement],
    at: Mapping[int, int],
    candidates: Iterable[str],
    paths: Iterable[str],
    folders: Iterable[str],
) -> tuple[str, ...]:
    """Return the classes whose folders have no candidate: empty ones, and those of unreadable files.

    Such a folder is beside a class folder, and contains no candidate that was left out for another reason.

    Args:
        placements: Candidates that were placed.
        at: Level of the class folder by index of the file.
        candidates: Paths of all files that can be read.
        paths: Paths of all files.
        folders: Paths of all folders.
    """
    placed = {(place.path.rpartition("/")[0], at[place.index]) for place in placements}
    beside = {(tuple(folder.split("/")[: level - 1]), level) for folder, level in placed}
    known = {place.class_name for place in placements}
    readable = {prefix for folder in _folders_of(candidates) for prefix in _prefixes(folder)}
    lost = set()
    for folder in {*_folders_of(path for path in paths if system_reason(path) is None), *folders}:
        parts = tuple(folder.split("/"))
        for above, level in beside:
            name = parts[level - 1] if len(parts) >= level and parts[: level - 1] == above else ""
            usual = (
                not name or is_side(name) or is_mask_word(name) or system_reason(f"{name}/file") is not None
            )
            if not usual and parts[:level] not in readable:
                lost.add(clean_class_name(name))
    return sorted_classes(lost - known - {""})


def _folders_of(paths: Iterable[str]) -> set[str]:
    return {path.rpartition("/")[0] for path in paths}


def _prefixes(folder: str) -> list[tuple[str, ...]]:
    parts = tuple(folder.split("/"))
    return [parts[:depth] for depth in range(1, len(parts) + 1)]
