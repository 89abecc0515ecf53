"""Masks and annotations beside the images that they belong to, found by the names of files and folders."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from loravit_web.datasets.layout.vocabulary import COMPANION, MASK
from loravit_web.datasets.layout.words import (
    has_mask_word,
    is_image_word,
    is_mask_word,
    tokens,
    without_mask_words,
)

_HINT = re.compile("|".join(sorted(word for word in MASK | COMPANION if word.isascii())))
_PAIRED = 0.5
"""Fraction of the files of a folder that must belong to an image elsewhere, to take all for masks."""

Folders = tuple[str, ...]


def masks_among(paths: Sequence[str]) -> dict[str, str]:
    """Return the paths of masks, each with the reason why it is none of the samples.

    A folder contains masks if its name says so and if its files have partners in the folder above, in a
    folder beside it that is named for images, or in a copy of the same folders beside it. A class may be
    called mask: without such partners it stays one.

    Args:
        paths: Relative paths of all candidates.
    """
    by_folder: defaultdict[Folders, list[str]] = defaultdict(list)
    for path in paths:
        folders, _, _name = path.rpartition("/")
        by_folder[tuple(folders.split("/")) if folders else ()].append(path)
    found: dict[str, str] = {}
    children = _children(by_folder)
    for folder in sorted(
        {above for inner in by_folder for above in _above(inner) if has_mask_word(above[-1])}
    ):
        inside = [
            path for inner, files in by_folder.items() if inner[: len(folder)] == folder for path in files
        ]
        partner = _partner(folder, inside, by_folder, children)
        if partner is not None:
            reason = f"{folder[-1]}/ contains masks, annotations or thumbnails of the images in {partner}"
            found.update((path, reason) for path in inside)
    for files in by_folder.values():
        rest = [path for path in files if path not in found]
        found.update(_beside(rest))
    return found


def _above(folder: Folders) -> list[Folders]:
    return [folder[:depth] for depth in range(1, len(folder) + 1)]


def _children(by_folder: Iterable[Folders]) -> dict[Folders, set[str]]:
    children: defaultdict[Folders, set[str]] = defaultdict(set)
    for folder in by_folder:
        for depth in range(len(folder)):
            children[folder[:depth]].add(folder[depth])
    return children


def _partner(
    folder: Folders,
    inside: Sequence[str],
    by_folder: Mapping[Folders, Sequence[str]],
    children: Mapping[Folders, set[str]],
) -> str | None:
    """Return the shown name of the folder with the images of a folder of masks, or None."""
    parent = folder[:-1]
    own = {_key(path, len(folder)) for path in inside}
    direct = {_key(path, len(parent)) for path in by_folder.get(parent, ())}
    inside_a_class = bool(parent) and bool(direct) and is_mask_word(folder[-1])
    if inside_a_class or _share(own, direct) >= _PAIRED:
        return f"{parent[-1]}/" if parent else "the top folder"
    siblings = sorted(children[parent] - {folder[-1]})
    named = [name for name in siblings if is_image_word(name) and not is_mask_word(name)]
    if named and is_mask_word(folder[-1]):
        return f"{named[0]}/"
    # lung_masks/ and heatmaps/ beside images/
    for name in named:
        if _share(own, _keys_below((*parent, name), by_folder)) >= _PAIRED:
            return f"{name}/"
    # train_masks/ beside train/ or train_images/
    rest = without_mask_words(folder[-1])
    for name in siblings if rest else ():
        if without_mask_words(name) == rest and not has_mask_word(name):
            others = _keys_below((*parent, name), by_folder)
            return f"{name}/" if _share(own, others) >= _PAIRED else None
    # masks/cat/1.png beside cat/1.jpg: the same folders and files once more
    inner = children.get(folder, set())
    if inner and inner <= set(siblings):
        others = {f"{name}/{key}" for name in inner for key in _keys_below((*parent, name), by_folder)}
        if _share(own, others) >= _PAIRED:
            return ", ".join(f"{name}/" for name in sorted(inner)[:3])
    return None


def _keys_below(folder: Folders, by_folder: Mapping[Folders, Sequence[str]]) -> set[str]:
    depth = len(folder)
    return {
        _key(path, depth) for other, files in by_folder.items() if other[:depth] == folder for path in files
    }


def _share(own: set[str], others: set[str]) -> float:
    return len(own & others) / max(1, len(own))


def _key(path: str, depth: int) -> str:
    """Return the path below a depth, with a stem that is equal for an image and its mask."""
    parts = path.split("/")[depth:]
    stem = PurePosixPath(parts[-1]).stem
    return "/".join([*parts[:-1], without_mask_words(stem) or stem.lower()])


def _beside(files: Sequence[str]) -> dict[str, str]:
    """Return the masks that lie in the folder of their images: ``1_mask.png`` beside ``1.png``."""
    hinted = [path for path in files if not path.isascii() or _HINT.search(path.lower())]
    marked = [path for path in hinted if has_mask_word(PurePosixPath(path).stem)]
    if not marked or len(marked) == len(files):
        return {}
    plain = {_words(path): path for path in files if path not in marked}
    found = {}
    for path in marked:
        words = _words(path)
        image = next((plain[own] for own in _owners(words, path) if own in plain), None)
        if image is not None:
            found[path] = f"it is a mask, an annotation or a thumbnail of {image.rpartition('/')[2]}"
    return found


def _owners(words: tuple[str, ...], path: str) -> list[tuple[str, ...]]:
    """Return the words that the image of a mask can have, the most probable first."""
    before: list[str] = []
    for word in tokens(PurePosixPath(path).stem):
        if has_mask_word(word):
            break
        if not is_image_word(word):
            before.append(word)
    owners = [words]
    if words and words[-1].isdigit():
        owners.append(words[:-1])  # a number at the end can count the masks of one image
    # 1_binary_mask.png belongs to 1.png
    owners += [tuple(before[:length]) for length in range(len(before), 0, -1)]
    return [own for own in owners if own]


def _words(path: str) -> tuple[str, ...]:
    return tuple(without_mask_words(PurePosixPath(path).stem).split())
