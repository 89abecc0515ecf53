"""Words in the names of folders and columns: splits, masks, folds and variants."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from loravit_web.datasets.layout.vocabulary import (
    COMPANION,
    DATA,
    FILLERS,
    IMAGE,
    MASK,
    PART,
    SIDE,
    SPLIT_FILLERS,
    TEST,
    TRAIN,
    UNLABELED,
    VALIDATION,
    VARIANT,
)
from loravit_web.datasets.records import Split

_ENDINGS = ("dataset", "datasets", "images", "image", "data", "imgs", "img", "sets", "set", "split", "folder")
_ENDINGS_ELSEWHERE = (
    *(
        "集",
        "用",
        "组",
        "样本",
        "数据",
        "数据集",
        "資料",
        "图片",
        "图像",
        "セット",
        "データ",
        "データセット",
        "画像",
    ),
    *("용", "세트", "데이터", "데이터셋", "이미지", "sdaten", "daten", "sbilder", "bilder"),
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$|[(\[][\s_.-]*[)\]]")
_PIECES = re.compile(r"[^\W\d_]+|\d+")
_YEAR = re.compile(r"(19|20)\d\d")
_SIZE = re.compile(r"\d+\s*(x\s*\d+|x|px)", re.IGNORECASE)
_BRANCH = re.compile(r".+-(main|master|develop|dev|v?\d+(\.\d+)+|[0-9a-f]{40})", re.IGNORECASE)


def tokens(name: str) -> list[str]:
    """Return the words and numbers of a name in lower case: ``TrainSet_01`` gives train, set and 01."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    # Korean syllables are composed again
    return [piece.lower() for piece in _PIECES.findall(_CAMEL.sub(" ", unicodedata.normalize("NFC", plain)))]


def _normalized(words: Iterable[str]) -> frozenset[str]:
    return frozenset("".join(tokens(word)) for word in words)


SPLIT_WORDS: Mapping[str, Split] = MappingProxyType(
    {
        **dict.fromkeys(_normalized(TRAIN), "train"),
        **dict.fromkeys(_normalized(VALIDATION), "val"),
        **dict.fromkeys(_normalized(TEST), "test"),
    }
)
"""Split by a word as `tokens` gives it."""
_IMAGE_WORDS, _MASK_WORDS = _normalized(IMAGE), _normalized(MASK)
_PAIRED_WORDS = _MASK_WORDS | _normalized(COMPANION)
_SPLIT_FILLERS = FILLERS | VARIANT | SPLIT_FILLERS
_SPLIT_ENDINGS = (*_ENDINGS, *sorted(_normalized(_ENDINGS_ELSEWHERE)))


def split_of(name: str, shared: Collection[str] = ()) -> Split | None:
    """Return the split that a name means, or None if it means anything else.

    Args:
        name: Name of a folder, or a value in a column.
        shared: Words to ignore, because the names of all folders beside it contain them.
    """
    words = [word for word in tokens(name) if not word.isdigit() and word not in shared]
    telling = [word for word in words if word not in FILLERS]
    bare = [
        word for word in telling if word not in _SPLIT_FILLERS and not (len(word) == 1 and word.isascii())
    ]
    for joined in ("".join(words), "".join(telling), "".join(bare)):
        if joined in SPLIT_WORDS:
            return SPLIT_WORDS[joined]
        for ending in _SPLIT_ENDINGS:
            if joined.endswith(ending) and joined.removesuffix(ending) in SPLIT_WORDS:
                return SPLIT_WORDS[joined.removesuffix(ending)]
    return None


def split_and_rest(name: str) -> tuple[Split, str] | None:
    """Return the split that one word of a name means, and the name without it: ``train_cat``, ``cat (test)``.

    Args:
        name: Name of a folder.
    """
    words = tokens(name)
    found = [word for word in words if len(word) > 2 and word in SPLIT_WORDS]
    if len(found) != 1 or len(words) < 2:
        return None
    match = re.search(re.escape(found[0]), name, re.IGNORECASE)
    rest = name[: match.start()] + name[match.end() :] if match else " ".join({*words} - {*found})
    rest = _EDGES.sub("", rest)
    return (SPLIT_WORDS[found[0]], rest) if rest else None


def splits_of(names: Collection[str]) -> dict[str, Split]:
    """Return the split of each name that means one, without the words that all the names share."""
    plain = {name: split for name in names if (split := split_of(name)) is not None}
    if len(plain) == len(names) or len(names) < 2:
        return plain
    shared = set.intersection(*(set(tokens(name)) for name in names))
    trimmed = {name: split for name in names if (split := split_of(name, shared)) is not None}
    return trimmed if len(set(trimmed.values())) > 1 else plain


def is_image_word(name: str) -> bool:
    """Return whether a folder's name only says that it contains the images."""
    words = [word for word in tokens(name) if not word.isdigit()]
    return bool(words) and ("".join(words) in _IMAGE_WORDS or all(word in _IMAGE_WORDS for word in words))


def is_mask_word(name: str) -> bool:
    """Return whether a folder's name says that it contains masks or annotations."""
    words = [word for word in tokens(name) if not word.isdigit() and word not in _IMAGE_WORDS]
    return (
        bool(words)
        and ("".join(words) in _MASK_WORDS or all(word in _MASK_WORDS or word in FILLERS for word in words))
        and any(word in _MASK_WORDS or "".join(words) in _MASK_WORDS for word in words)
    )


def without_mask_words(stem: str) -> str:
    """Return a file's stem without the words for masks and images, so that partners have the same text."""
    words = [word for word in tokens(stem) if word not in _PAIRED_WORDS and word not in _IMAGE_WORDS]
    return " ".join(words)


def has_mask_word(stem: str) -> bool:
    """Return whether one of the words of a file's stem says that it is a mask or derived from an image."""
    return any(word in _PAIRED_WORDS for word in tokens(stem))


def is_part(name: str) -> bool:
    """Return whether a name means a numbered part of a dataset: a fold, a session, a subject, a year."""
    words = tokens(name)
    named = [word for word in words if not word.isdigit() and word not in FILLERS]
    if len(named) == 1 and (named[0] in PART or (named[0] == "k" and len(words) > 1)):
        return True
    if named and len(named) <= 2 and named[-1] in PART | {"set"} and any(w.isdigit() for w in words):
        return True
    numbers = [word for word in words if word.isdigit()]
    dated = bool(numbers) and not named and _YEAR.fullmatch(numbers[0]) is not None
    # set1 and data_2 have no word but a filler
    numbered = bool(numbers) and not named and len(words) > len(numbers)
    return dated or numbered


def is_variant(name: str) -> bool:
    """Return whether a name means another version of the same images: augmented, grayscale, 40X."""
    if _SIZE.fullmatch(name.strip()):
        return True
    words = [word for word in tokens(_SIZE.sub(" ", name)) if not word.isdigit() and word not in FILLERS]
    return bool(words) and all(word in VARIANT or word in ("no", "with", "without") for word in words)


def is_side(name: str) -> bool:
    """Return whether a name is usual for a folder of a repository that contains no data."""
    words = [word for word in tokens(name) if not word.isdigit()]
    named = [word for word in words if word not in FILLERS]
    return bool(named) and all(word in SIDE for word in named) and not is_data(name)


def is_data(name: str) -> bool:
    """Return whether a name is usual for the folder that contains the data."""
    words = [word for word in tokens(name) if not word.isdigit()]
    return bool(words) and all(word in DATA for word in words)


def is_unlabeled(name: str) -> bool:
    """Return whether a name means images without labels."""
    words = tokens(name)
    return any(word in UNLABELED for word in words)


def is_repository(name: str) -> bool:
    """Return whether a name is that of a downloaded repository: its name and a branch, tag or commit."""
    return _BRANCH.fullmatch(name) is not None
