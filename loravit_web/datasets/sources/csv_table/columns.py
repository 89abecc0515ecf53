"""What the columns of a table mean, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from loravit_web.datasets.layout.words import split_of, tokens
from loravit_web.datasets.records import Split

PATH, LABEL, SPLIT = "path", "label", "split"


def _ordered(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_NAMES: dict[str, tuple[str, ...]] = {
    PATH: _ordered("""
        path filepath imagepath imgpath picturepath photopath relativepath relpath fullpath imagefilepath
        filename imagefilename imgfilename imagename imgname picturename photoname picname imagefile imgfile
        file files fname image images img picture photo pic imageid imgid photoid pictureid uri imageuri
        imageurl imgurl gcsuri gcsfileuri s3uri url idcode imagelink
        dateiname dateipfad datei bilddatei bildname bild pfad imagen archivo rutaimagen fichier
        nomfichier chemin imagem arquivo immagine afbeelding bestand plik obraz файл имяфайла
        путь изображение картинка
        文件名 文件 图片 图像 路径 ファイル名 画像 ファイル 파일명 이미지
        key id name
    """),
    LABEL: _ordered("""
        label labels labelname classname class classes categoryname category categories target targets
        targetname species speciesname breed diagnosis disease dx tag type kind variety groundtruth gt truth
        annotation classlabel labelid classid categoryid y answer grade condition choice choices
        targetclass labeltext labelstr labelstring classtext targetlabel finding
        klasse kategorie bezeichnung clase etiqueta categoria classe etiquette categorie étiquette catégorie
        categoría etichetta klasa kategoria etykieta класс метка категория 类别 标签 分类
        類別 ラベル クラス 라벨 클래스
    """),
    SPLIT: _ordered("""
        split splits dataset datasettype set subset partition phase usage datasplit splitname setname
        splitset traintest trainvaltest traintestsplit tvt stage purpose mode sampletype part mluse
    """),
}
"""Names of columns by role, without spaces and signs, best first."""
_FLAG_WORDS = frozenset({"is", "in", "use", "for", "used"})
_NO_FLAGS = frozenset({"valid", "learn", "learning", "fit", "dev", "tr", "te", "ts", "va", "vl"})
"""Words that mean a split, but as the name of a column of 0 and 1 rather something else."""
_TRUE = frozenset(_ordered("1 1.0 true yes y t x ✓ ✔ ja wahr oui vrai si sí verdadero sim да"))
_FALSE = frozenset(
    ["0", "0.0", "false", "no", "n", "f", "nein", "falsch", "non", "faux", "falso", "нет", "-", ""]
)
_DECIDED = ("split", "splits", "datasettype", "subset", "partition", "datasplit", "splitname", "splitset")
"""Names of columns that cannot mean anything but splits."""
_NUMBERS = frozenset({"0", "1", "2", "0.0", "1.0", "2.0"})
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


def label_places(header: Sequence[str]) -> list[int]:
    """Return the columns that are named for labels, best first."""
    names = [plain(name) for name in header]
    return [at for known in _NAMES[LABEL] for at, name in enumerate(names) if name == known]


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


def flag_of(name: str) -> Split | None:
    """Return the split of which a column of yes and no tells whether a row is in it: ``is_test``."""
    words = tokens(name)
    told = [word for word in words if word not in _FLAG_WORDS]
    if len(told) == len(words) and "".join(told) in _NO_FLAGS:
        return None
    return split_of(" ".join(told)) if told else None


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
        numbers = named in _DECIDED and len(values[at]) > 1 and values[at] <= _NUMBERS
        is_named = (len(told) > 1 and (None not in meant or named in _NAMES[SPLIT])) or numbers
        if is_named or _is_flag(header[at], values[at]):
            found.append(at)
    return sorted(found, key=lambda at: plain(header[at]) not in _NAMES[SPLIT])


def _is_flag(name: str, values: Iterable[str]) -> bool:
    lower = {value.lower() for value in values}
    known = lower <= _TRUE | _FALSE and lower & _TRUE and lower - _TRUE
    return bool(known) and flag_of(name) is not None


def split_in(header: Sequence[str], at: int, value: str) -> Split | None:
    """Return the split that a value of such a column means, or None if it means none.

    Args:
        header: Names of the columns.
        at: Position of the column.
        value: Cell of a row; an empty one is a training row.
    """
    text = value.strip().lower()
    flag = flag_of(header[at])
    if flag is not None and text in _TRUE | _FALSE:
        if flag == "train":
            return "train" if text in _TRUE else "test"
        return flag if text in _TRUE else "train"
    return split_of(value.strip()) if text else "train"


def split_of_row(header: Sequence[str], places: Sequence[int], cells: Sequence[str]) -> Split | None:
    """Return the split of a row by its columns of splits, or None if a value means none.

    Of several columns of yes and no, such as ``is_train`` and ``is_val``, those that say yes count.

    Args:
        header: Names of the columns.
        places: Columns from `split_places`, best first.
        cells: Cells of the row.
    """
    flags = [at for at in places if flag_of(header[at]) is not None]
    if not places or places[0] not in flags or len(flags) < 2:
        return split_in(header, places[0], cells[places[0]]) if places else "train"
    told = [flag_of(header[at]) for at in flags if cells[at].strip().lower() in _TRUE]
    others: tuple[Split, ...] = ("test", "val", "train")
    named = {flag_of(header[at]) for at in flags}
    return next((split for split in others if split in told), "test" if "train" in named else "train")
