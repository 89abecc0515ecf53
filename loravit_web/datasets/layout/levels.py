"""Which of several levels of folders are the classes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.plan import INNERMOST, Level
from loravit_web.datasets.layout.reading import File, Reading, depth_of, names_at, quoted
from loravit_web.datasets.layout.words import is_part, is_variant
from loravit_web.datasets.sources.scan import sorted_classes


def class_column(files: Sequence[File], reading: Reading) -> tuple[int, tuple[Level, ...]]:
    """Return the position of the class folders in the folders that are left, and the possible levels.

    Raises:
        AmbiguousLayout: If the names do not tell which level it is.
    """
    columns = [column for column in range(depth_of(files)) if _divides(files, column)]
    told = [column for column in columns if not _is_worded(names_at(files, column))]
    chosen = told or columns
    if not chosen:
        return 0, ()
    levels = choices(files)
    upper = chosen[0]
    _refuse_repeated(files, upper, levels)
    for lower in chosen[1:]:
        if _crossed(files, upper, lower):
            raise AmbiguousLayout(_question(files, upper, lower), levels)
    dropped = [column for column in columns if column < upper]
    for column in dropped:
        what = "parts" if all(map(is_part, names_at(files, column))) else "variants"
        reading.notes.append(
            f"The folders {quoted(names_at(files, column))} were taken for {what} of the same classes, and "
            "the folders inside them for the classes."
        )
        if what == "variants":
            reading.notes.append(
                "Variants of one image can be in training and validation at once, which inflates the "
                "measured accuracy."
            )
    if len(chosen) > 1 and _several_each(files, upper, chosen[1]):
        inner = names_at(files, chosen[1])
        reading.notes.append(
            f"The classes are the folders {quoted(names_at(files, upper))}. The {len(inner)} folders inside "
            f"them, such as {quoted(inner[:2])}, are not used as classes."
        )
    return upper, levels if len(levels) > 1 else ()


def _divides(files: Sequence[File], column: int) -> bool:
    names = names_at(files, column)
    return len(names) > 1 or (column == 0 and bool(names))


def _is_worded(names: Sequence[str]) -> bool:
    return len(names) > 1 and (all(map(is_part, names)) or all(map(is_variant, names)))


def _inside(files: Iterable[File], upper: int, lower: int) -> tuple[dict[str, set[str]], Counter[str]]:
    """Return the lower folders by upper folder, and the number of images directly in each upper folder."""
    inner: defaultdict[str, set[str]] = defaultdict(set)
    direct: Counter[str] = Counter()
    for file in files:
        if len(file.folders) > upper:
            name = file.folders[upper][1]
            inner[name]
            if len(file.folders) > lower:
                inner[name].add(file.folders[lower][1].casefold())
            else:
                direct[name] += 1
    return inner, direct


def _crossed(files: Sequence[File], upper: int, lower: int) -> bool:
    """Return whether most upper folders contain the same several lower folders, and few images directly."""
    inner, direct = _inside(files, upper, lower)
    counts = Counter(name for names in inner.values() for name in names)
    shared = {name for name, count in counts.items() if count > 1}
    holding = [name for name, names in inner.items() if len(names & shared) > 1]
    return (
        2 * len(holding) >= len(inner) > 1 and 2 * len(shared) >= len(counts) and 2 * len(direct) < len(inner)
    )


def _refuse_repeated(files: Sequence[File], upper: int, levels: tuple[Level, ...]) -> None:
    """Refuse a folder beside the classes that contains folders of the same names once more.

    Raises:
        AmbiguousLayout: If there is such a folder.
    """
    inner, _direct = _inside(files, upper, upper + 1)
    names = {name.casefold() for name in inner}
    for name, below in sorted(inner.items()):
        repeated = below & (names - {name.casefold()})
        if len(repeated) > 1 and 2 * len(repeated) >= len(below):
            raise AmbiguousLayout(
                f"The folder “{name}” is beside {quoted(sorted(repeated)[:2])}, and contains folders of the "
                f"same names. Choose the level of the class folders: {_level_of(files, upper)} to make "
                f"“{name}” a class, or {INNERMOST} for the folders with images (--classes-at in the shell).",
                levels,
            )


def _several_each(files: Sequence[File], upper: int, lower: int) -> bool:
    inner, direct = _inside(files, upper, lower)
    several = [name for name, names in inner.items() if len(names) > 1 and name not in direct]
    return 2 * len(several) >= len(inner)


def choices(files: Sequence[File]) -> tuple[Level, ...]:
    """Return the levels that could be the classes, each with at least two folders."""
    by_level: defaultdict[int, set[str]] = defaultdict(set)
    last: set[str] = set()
    for file in files:
        for level, name in file.folders:
            by_level[level].add(name)
        if file.folders:
            last.add(file.folders[-1][1])
    levels = [Level(at, sorted_classes(names)) for at, names in sorted(by_level.items()) if len(names) > 1]
    if len(last) > 1 and all(set(level.names) != last for level in levels):
        levels.append(Level(INNERMOST, sorted_classes(last)))
    return tuple(levels)


def _question(files: Sequence[File], upper: int, lower: int) -> str:
    first, second = names_at(files, upper), names_at(files, lower)
    return (
        f"The folders {quoted(first)} all contain the same folders, {quoted(second)}, and their names do "
        f"not tell which are the classes. Choose the level of the class folders: "
        f"{_level_of(files, upper)} for {quoted(first[:2])}, or {_level_of(files, lower)} for "
        f"{quoted(second[:2])} (--classes-at in the shell)."
    )


def _level_of(files: Sequence[File], column: int) -> str:
    levels = {file.folders[column][0] for file in files if len(file.folders) > column}
    return str(levels.pop()) if len(levels) == 1 else INNERMOST
