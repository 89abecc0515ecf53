"""What the columns of a table mean, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loravit_web.datasets.layout.words import split_of
from loravit_web.datasets.records import Split

PATH, LABEL, SPLIT = "path", "label", "split"


def _ordered(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NAMES: dict[str, tuple[str, ...]] = {
    PATH: _ordered("""
        path filepath imagepath imgpath picturepath photopath relativepath relpath fullpath imagefilepath
        filename imagefilename imgfilename imagename imgname picturename photoname picname imagefile imgfile
        file files fname image images img picture photo pic imageid imgid photoid pictureid uri imageuri
        key id name
    """),
    LABEL: _ordered("""
        label labels labelname classname class classes categoryname category categories target targets
        targetname species speciesname breed diagnosis disease dx tag type kind variety groundtruth gt truth
        annotation classlabel labelid classid categoryid y answer grade condition choice choices
    """),
    SPLIT: _ordered("""
        split splits dataset datasettype set subset partition phase usage datasplit splitname setname
        splitset traintest trainvaltest traintestsplit tvt stage purpose mode sampletype part
    """),
}
"""Names of columns by role, without spaces and signs, best first."""
_FLAGS: dict[str, Split] = {
    "istest": "test",
    "test": "test",
    "isvalid": "val",
    "isval": "val",
    "isvalidation": "val",
    "validation": "val",
    "istrain": "train",
    "istraining": "train",
}
_TRUE = frozenset({"1", "1.0", "true", "yes", "y", "t"})
_FALSE = frozenset({"0", "0.0", "false", "no", "n", "f", ""})
_SIGNS = re.compile(r"[\W_]+")
MAX_VALUES = 32
"""Number of different values above which a column cannot be that of the splits."""


def plain(name: str) -> str:
    """Return the name of a column without case, spaces and signs: ``Data Set`` gives dataset."""
    return _SIGNS.sub("", name).lower()


def roles(header: Sequence[str]) -> dict[str, int]:
    """Return the position of each role that a header names: path, label and split.

    Of several columns that fit, the one with the more usual name counts.

    Args:
        header: Names of the columns.
    """
    names = [plain(name) for name in header]
    found: dict[str, int] = {}
    for role, known in _NAMES.items():
        for name in known:
            places = [at for at, given in enumerate(names) if given == name and at not in found.values()]
            if places:
                found[role] = places[0]
                break
    return found


def standard(header: Sequence[str]) -> list[str]:
    """Return the header with ``path``, ``label`` and ``split`` in place of the names that mean them.

    Columns named ``labels`` or ``tags`` keep their names, because they can hold several labels.

    Args:
        header: Names of the columns.
    """
    names = list(header)
    lower = {name.lower() for name in header}
    for role, at in roles(header).items():
        if role == PATH or (role == LABEL and not lower & {"label", "labels", "tags"}):
            names[at] = role
    return names


def split_places(header: Sequence[str], rows: Iterable[Sequence[str]], used: Iterable[int]) -> list[int]:
    """Return the columns whose values are splits or say whether a row is in one, best first.

    A column counts if it has values of at least two splits, whatever its name is. Of a column that is named
    for splits, other values are left to the caller, which names them in an error.

    Args:
        header: Names of the columns.
        rows: Cells of all rows.
        used: Columns with another meaning.
    """
    taken = set(used)
    open_places = {at for at in range(len(header)) if at not in taken}
    values: dict[int, set[str]] = {at: set() for at in open_places}
    for cells in rows:
        for at in [at for at in open_places if at < len(cells)]:
            values[at].add(cells[at].strip())
            if len(values[at]) > MAX_VALUES:
                open_places.discard(at)
    found = []
    for at in sorted(open_places):
        named = plain(header[at])
        meant = {split_of(value) for value in values[at] if value}
        told = {split for split in meant if split is not None}
        lower = {value.lower() for value in values[at]}
        flag = named in _FLAGS and lower <= _TRUE | _FALSE and len(lower) > 1
        if flag or (len(told) > 1 and (None not in meant or named in _NAMES[SPLIT])):
            found.append(at)
    return sorted(found, key=lambda at: plain(header[at]) not in _NAMES[SPLIT])


def split_in(header: Sequence[str], at: int, value: str) -> Split | None:
    """Return the split that a value of such a column means, or None if it means none.

    Args:
        header: Names of the columns.
        at: Position of the column.
        value: Cell of a row; an empty one is a training row.
    """
    text = value.strip().lower()
    flag = _FLAGS.get(plain(header[at]))
    if flag is not None and text in _TRUE | _FALSE:
        if flag == "train":
            return "train" if text in _TRUE else "test"
        return flag if text in _TRUE else "train"
    return split_of(value.strip()) if text else "train"
