"""Many pictures and their answers as one table."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from loravit_web.datasets import DatasetError, SafeArchive, archive_limits, open_archive
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import IMAGE_SUFFIXES, load_tracked
from loravit_web.serving.answers import TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.settings.limits import DEFAULTS, Limits
from loravit_web.util.abandonment import IsGone, check_waited_for, never_gone
from loravit_web.util.csv_text import csv_cell
from registry import RegistryError

MAX_PICTURES = 5000
COLUMNS = ["image", "task", "rank", "label", "score", "error"]
_ASKING = 8
"""Pictures on their way at once, so that they are answered in batches."""


class NoPictures(LoraVitError):
    """Nothing to classify."""


class TooManyPictures(LoraVitError):
    """More pictures than one table holds."""


@dataclass(frozen=True)
class Picture:
    """A picture that is read when it is its turn.

    Attributes:
        source: gives its file or its bytes.
    """

    name: str
    source: Callable[[], Path | bytes]


@dataclass(frozen=True)
class Row:
    """One picture and its answers; or the reason why it has none."""

    image: str
    results: tuple[TaskAnswer, ...]
    error: str | None


def classify_many(
    predictor: Predictor,
    files: Sequence[Path],
    tasks: Sequence[str],
    *,
    top_k: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    limits: Limits = DEFAULTS,
    is_gone: IsGone = never_gone,
) -> list[Row]:
    """Ask tasks about every picture in some files and zips; a bad one has its reason and costs no other.

    Args:
        progress: told how many of how many are done.
        limits: of what is read.
        is_gone: tells whether nobody waits for the table any more.

    Raises:
        NoPictures, TooManyPictures: if the files can't be used at all.
        Abandoned: if nobody waits any more; nothing is read then that was not begun.
    """
    total = sum(len(pictures) for pictures in _opened(files, limits))
    if total > MAX_PICTURES:
        raise TooManyPictures(f"These are more than {MAX_PICTURES} pictures: classify them in parts.")
    rows: list[Row] = []
    pool = ThreadPoolExecutor(_ASKING, "many")
    try:
        for pictures in _opened(files, limits):
            waiting: deque[Future[Row]] = deque()
            for picture in pictures:
                check_waited_for(is_gone)
                waiting.append(pool.submit(_row, predictor, picture, tasks, top_k, limits))
                if len(waiting) > 2 * _ASKING:
                    rows.append(waiting.popleft().result())
                    progress(len(rows), total)
            while waiting:
                check_waited_for(is_gone)
                rows.append(waiting.popleft().result())
                progress(len(rows), total)
    finally:
        pool.shutdown(cancel_futures=True)
    if not rows:
        raise NoPictures("There is no picture in these files: choose pictures, or a zip of them.")
    return rows


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per picture, a column per task with its best label."""
    # the name once more at the end: a task may be called image as well
    lines = [{"image": "", **_best(row)} | {"image": row.image} for row in rows]
    # the page's table can be copied into a spreadsheet too
    return pd.DataFrame([{name: csv_cell(text) for name, text in line.items()} for line in lines]).fillna("")


def as_csv(rows: Sequence[Row]) -> str:
    """One line per picture, task and label, best first; nothing in it is taken for a formula."""
    lines = [line for row in rows for line in _lines(row)]
    frame = pd.DataFrame(lines, columns=COLUMNS)
    for column in ("image", "task", "label", "error"):
        frame[column] = frame[column].map(_cell)
    frame["rank"] = frame["rank"].astype("Int64")  # a gap in a column of ints would make them 1.0, 2.0
    return str(frame.to_csv(index=False))


def _opened(files: Sequence[Path], limits: Limits) -> Iterator[list[Picture]]:
    """The pictures of each file, while it is open."""
    for path in files:
        if path.suffix.lower() != ".zip":
            yield [Picture(path.name, partial(Path, path))]
            continue
        with ExitStack() as opened:
            try:
                pictures = _in_zip(opened.enter_context(open_archive(path, archive_limits(limits))))
            except DatasetError as error:
                pictures = [Picture(path.name, partial(_refuse, error))]
            yield pictures


def _refuse(error: DatasetError) -> bytes:
    raise error


def _in_zip(archive: SafeArchive) -> list[Picture]:
    reading = threading.Lock()

    def reader(path: str) -> Callable[[], bytes]:
        def read() -> bytes:
            with reading:  # a zip is read by one thread at a time
                return archive.read(path)

        return read

    return [Picture(path, reader(path)) for path in archive.paths if _is_picture(PurePosixPath(path))]


def _is_picture(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden


def _row(predictor: Predictor, picture: Picture, tasks: Sequence[str], top_k: int, limits: Limits) -> Row:
    try:
        answer = predictor.classify(
            load_tracked(picture.source(), max_pixels=limits.pixels), tasks, top_k=top_k
        )
    except (LoraVitError, RegistryError) as error:
        return Row(picture.name, (), error.in_public)
    return Row(picture.name, answer.results, None)


def _best(row: Row) -> dict[str, str]:
    if row.error is not None:
        return {"problem": row.error}
    return {
        result.task: result.error or f"{result.labels[0].label} {result.labels[0].score:.0%}"
        for result in row.results
    }


def _lines(row: Row) -> Iterator[dict[str, object]]:
    if row.error is not None:
        yield {"image": row.image, "error": row.error}
    for result in row.results:
        if result.error is not None:
            yield {"image": row.image, "task": result.task, "error": result.error}
        for rank, one in enumerate(result.labels, start=1):
            yield {
                "image": row.image,
                "task": result.task,
                "rank": rank,
                "label": one.label,
                "score": round(one.score, 6),
            }


def _cell(value: object) -> object:
    return csv_cell(value) if isinstance(value, str) else value
