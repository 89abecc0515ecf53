"""Folders beside the data: documents and assets of a repository, and images without labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from loravit_web.datasets.errors import AmbiguousLayout
from loravit_web.datasets.layout.words import (
    is_data,
    is_image_word,
    is_repository,
    is_side,
    is_unlabeled,
    splits_of,
)
from loravit_web.util.text import listed, plural

_CODE_SUFFIXES = frozenset({".py", ".ipynb", ".sh", ".toml", ".cfg", ".yml", ".yaml", ".bib"})
_CODE_FILES = frozenset(
    {"license", "license.txt", "license.md", "makefile", "requirements.txt", ".gitignore"}
)


@dataclass(frozen=True, slots=True)
class Sides:
    """Files that are no part of the data.

    Attributes:
        left_out: Reason by position of the file.
        effects: Sentences about what is left out.
    """

    left_out: Mapping[int, str] = field(default_factory=dict)
    effects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Top:
    name: str
    inner: frozenset[str]
    direct: int
    images: int

    @property
    def is_structured(self) -> bool:
        """Whether it contains several folders, or folders of splits, and no images directly."""
        return not self.direct and (len(self.inner) > 1 or bool(splits_of(self.inner)))


def without_sides(folders: Sequence[tuple[str, ...]], paths: Sequence[str]) -> Sides:
    """Return the files in folders beside the data.

    Args:
        folders: Names of the folders above each candidate.
        paths: Paths of all files, which tell whether the data is a repository.

    Raises:
        AmbiguousLayout: If the folder of the data has a folder of images beside it that no name explains.
    """
    left_out: dict[int, str] = {}
    effects: list[str] = []
    depth = 0
    above: tuple[str, ...] = ()
    while True:
        rest = [at for at, names in enumerate(folders) if at not in left_out and len(names) > depth]
        tops = _tops([folders[at] for at in rest], depth)
        if len(tops) == 1 and tops[0].inner:
            depth, above = depth + 1, (*above, tops[0].name)
            continue
        sides = _sides(tops, _is_repository(above, paths))
        if not sides:
            return Sides(left_out, tuple(effects))
        data = listed([f"{top.name}/" for top in tops if top not in sides], most=3)
        for top in sides:
            effects.append(
                f"The folder “{top.name}” ({plural(top.images, 'image')}) is left out, because it is "
                f"beside the data in {data}."
            )
        names = {top.name for top in sides}
        left_out.update(
            (at, f"it is in {folders[at][depth]}/, beside the data")
            for at in rest
            if folders[at][depth] in names
        )


def _tops(folders: Sequence[tuple[str, ...]], depth: int) -> list[_Top]:
    inner: defaultdict[str, set[str]] = defaultdict(set)
    direct: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for names in folders:
        images[names[depth]] += 1
        if len(names) > depth + 1:
            inner[names[depth]].add(names[depth + 1])
        else:
            direct[names[depth]] += 1
    return [_Top(name, frozenset(inner[name]), direct[name], images[name]) for name in sorted(images)]


def _sides(tops: Sequence[_Top], repository: bool) -> list[_Top]:
    """Return the folders that are beside the data, or an empty list.

    Raises:
        AmbiguousLayout: If a folder is beside the data without a name that explains it.
    """
    named_splits = splits_of([top.name for top in tops if top.inner and not is_unlabeled(top.name)])
    splits = [top for top in tops if top.name in named_splits]
    unlabeled = [top for top in tops if is_unlabeled(top.name) and splits and top not in splits]
    named = [top for top in tops if is_side(top.name) and top not in splits]
    others = [top for top in tops if top not in named and top not in unlabeled]
    structured = [top for top in others if top.is_structured or top in splits]
    if structured and len(structured) == len(others):
        sure = len(others) == 1 or len(splits) == len(others)
        return [*unlabeled, *(top for top in named if sure or not top.is_structured)]
    extras = [top for top in others if top not in structured]
    if len(structured) == 1 and structured[0] not in splits:
        container = structured[0]
        usual = is_data(container.name) or all(is_data(top.name) or is_image_word(top.name) for top in extras)
        if repository and usual:
            return [*unlabeled, *named, *extras]
        if is_data(container.name):
            raise AmbiguousLayout(
                f"“{extras[0].name}” is beside {container.name}/, which contains class folders. Move or "
                "rename one of them.",
            )
    return [*unlabeled, *(named if repository and len(others) > 1 else ())]


def _is_repository(above: Sequence[str], paths: Sequence[str]) -> bool:
    """Return whether the innermost wrapping folder is that of a repository, by its name or its files."""
    if above and is_repository(above[-1]):
        return True
    prefix = "".join(f"{name}/" for name in above)
    beside = [path.removeprefix(prefix).lower() for path in paths if path.startswith(prefix)]
    code = [
        name
        for name in beside
        if "/" not in name and (name in _CODE_FILES or PurePosixPath(name).suffix in _CODE_SUFFIXES)
    ]
    return len(code) > 1
