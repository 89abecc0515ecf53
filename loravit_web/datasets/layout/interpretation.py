"""From the paths of a folder tree to classes and splits: pure functions on strings.

An import, the check of data in the shell and on the page, and the Python package all use `interpret`. It is
better to ask than to guess: where folders can be read in several ways and their names do not tell which,
`AmbiguousLayout` names the levels to choose from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from loravit_web.datasets.errors import LevelNotFound
from loravit_web.datasets.layout.boxes import boxes_told
from loravit_web.datasets.layout.files import skip_reason
from loravit_web.datasets.layout.levels import choices, class_column
from loravit_web.datasets.layout.lost import lost_classes
from loravit_web.datasets.layout.masks import masks_among
from loravit_web.datasets.layout.plan import INNERMOST, ClassLevel, Level, Placement, Plan
from loravit_web.datasets.layout.reading import File, Reading, collapsed, quoted
from loravit_web.datasets.layout.sides import without_sides
from loravit_web.datasets.layout.splits import MOST_HELD_OUT, SHOWN, split_levels, take_splits
from loravit_web.datasets.layout.words import is_image_word
from loravit_web.datasets.records import Skipped, Split
from loravit_web.datasets.sources.scan import NOT_IN_A_CLASS, clean_class_name
from loravit_web.util.text import listed, plural

MAX_FOLDERS = 100
"""Maximum number of folders around a file; more would take quadratic time and mean nothing."""
_TOO_DEEP = f"it is inside more than {MAX_FOLDERS} folders"


def interpret(
    paths: Sequence[str],
    *,
    folders: Iterable[str] = (),
    content: Mapping[str, str] | None = None,
    classes_at: ClassLevel = None,
) -> Plan:
    """Return the classes and splits of relative paths with forward slashes.

    Folders that only wrap the rest are ignored, as are folders of masks, thumbnails and systems. Folders that
    are all named for splits are splits, above or below the classes. Of the remaining levels, parts (folds,
    sessions) and variants (augmented, 40X) of the same classes are merged. If one level is left, its folders
    are the classes. If the folders of one level divide into different folders of the next, the upper level is
    used and the other one is named in a note.

    Args:
        paths: Relative paths of all files.
        folders: Relative paths of all folders, so that empty ones are noticed.
        content: Formats by path of files whose suffix does not tell; see `needs_content`.
        classes_at: Level of the class folders, or None to find it.

    Raises:
        ClassNameTooLong: If a class name is too long.
        AmbiguousLayout: If the folders can be read in several ways.
        LevelNotFound: If there are no folders at ``classes_at``.
    """
    reading = Reading()
    files = _candidates(paths, content or {}, reading)
    files = _without_masks(files, reading)
    reading.effects += boxes_told(paths)
    for file in files:
        file.folders = collapsed(file.path)
    if classes_at is not None:
        return _plan_at(classes_at, files, paths, folders, reading)
    sides = without_sides([tuple(file.path.split("/")[:-1]) for file in files], paths)
    for number, file in enumerate(files):
        if number in sides.left_out:
            reading.skipped.append(Skipped(file.path, sides.left_out[number]))
    reading.effects += sides.effects
    files = [file for number, file in enumerate(files) if number not in sides.left_out]
    take_splits(files, reading)
    column, levels = class_column(files, reading)
    return _placed(column, levels, files, paths, folders, reading)


def _candidates(paths: Sequence[str], content: Mapping[str, str], reading: Reading) -> list[File]:
    files = []
    for index, path in enumerate(paths):
        reason = _TOO_DEEP if path.count("/") > MAX_FOLDERS else skip_reason(path, content.get(path))
        if reason is None:
            files.append(File(index, path, []))
            reading.candidates.append(path)
        else:
            reading.skipped.append(Skipped(path, reason))
    return files


def _without_masks(files: list[File], reading: Reading) -> list[File]:
    masks = masks_among([file.path for file in files])
    if masks:
        reading.skipped += [Skipped(path, reason) for path, reason in masks.items()]
        reading.effects.append(
            f"{plural(len(masks), 'file')} that look like masks, annotations or thumbnails of other images "
            f"are left out, such as {min(masks)}."
        )
    return [file for file in files if file.path not in masks]


def _plan_at(
    at: ClassLevel,
    files: list[File],
    paths: Sequence[str],
    folders: Iterable[str],
    reading: Reading,
) -> Plan:
    """Return the plan for a level that was chosen, with every other folder above or below read for splits."""
    levels = choices(files)
    named_levels = split_levels(files, at)
    for file in files:
        own = file.folders[-1:] if at == INNERMOST else [entry for entry in file.folders if entry[0] == at]
        if isinstance(at, int) and not own:  # a repeated folder that was left out
            own = [(at, name) for name in file.path.split("/")[:-1][at - 1 : at]]
        outside = False
        for level, names in named_levels.items():
            named = [name for at_level, name in file.folders if at_level == level]
            if named and named[0] in names:
                file.split = min(file.split, names[named[0]], key=MOST_HELD_OUT.index)
            elif own and level < own[0][0]:
                outside = True
        file.folders = [] if outside else own
    if not any(file.folders for file in files):
        found = listed([f"{level.at} ({quoted(level.names[:2])})" for level in levels]) or "none"
        raise LevelNotFound(f"No folder of images is at level {at}. Levels with several folders: {found}.")
    return _placed(0, levels, files, paths, folders, reading, at=at)


def _placed(
    column: int,
    levels: tuple[Level, ...],
    files: Sequence[File],
    paths: Sequence[str],
    folders: Iterable[str],
    reading: Reading,
    *,
    at: ClassLevel = None,
) -> Plan:
    placements, outside = [], Counter[Split]()
    levels_of: dict[int, int] = {}
    names = [
        clean_class_name(file.folders[column][1]) if len(file.folders) > column else "" for file in files
    ]
    trained = {name for file, name in zip(files, names, strict=True) if file.split == "train"}
    for file, name in zip(files, names, strict=True):
        # test/images/ beside train/cat/ is no class of its own
        if name and (name in trained or not is_image_word(name)):
            levels_of[file.index] = file.folders[column][0]
            placements.append(Placement(file.index, file.path, file.split, (name,)))
        else:
            reading.skipped.append(Skipped(file.path, NOT_IN_A_CLASS))
            outside[file.split] += 1
    used = {place.split for place in placements}
    for split in MOST_HELD_OUT[:2]:
        if outside[split] and split not in used:
            reading.effects.append(
                f"There are no {SHOWN[split]} images: {plural(outside[split], 'image')} of this split are "
                "not inside a class folder and are left out."
            )
    chosen = at
    if chosen is None and placements and levels:
        positions = set(levels_of.values())
        chosen = positions.pop() if len(positions) == 1 else None
    return Plan(
        tuple(placements),
        tuple(reading.skipped),
        tuple(reading.effects),
        tuple(reading.notes),
        levels,
        chosen,
        lost_classes(placements, levels_of, reading.candidates, paths, folders),
    )
