"""Classification of many images, with the answers as a table."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from loravit_web.datasets import DatasetError, SafeArchive, archive_limits, open_archive
from loravit_web.datasets.layout.files import SNIFFED_BYTES, is_wanted
from loravit_web.errors import LoraVitError
from loravit_web.images.loading import load_tracked
from loravit_web.serving.answers import NONE, TaskAnswer
from loravit_web.serving.predictor import Predictor
from loravit_web.settings.limits import DEFAULTS, Limits
from loravit_web.util.cancellation import IsCancelled, never_cancelled, raise_if_cancelled
from loravit_web.util.csv_text import csv_cell
from registry import RegistryError

MAX_IMAGES = 5000
"""Maximum number of images in a table."""
COLUMNS = ["image", "task", "rank", "label", "score", "error", "answer", "unsure", "unlike", "doubt"]
"""Columns of the CSV."""
_CONCURRENT = 8
"""Number of concurrent requests, which are computed in batches."""


class NoImages(LoraVitError):
    """Files without an image."""


class TooManyImages(LoraVitError):
    """More images than a table can have."""


@dataclass(frozen=True)
class ImageSource:
    """An image that is read when it is needed.

    Attributes:
        name: Name of the image.
        source: Returns its file or its bytes.
    """

    name: str
    source: Callable[[], Path | bytes]


@dataclass(frozen=True)
class Row:
    """One image with its answers, or with the reason why it has none.

    Attributes:
        image: Name of the image.
        results: Answer of each task.
        error: Error as text, or None.
    """

    image: str
    results: tuple[TaskAnswer, ...]
    error: str | None


def classify_files(
    predictor: Predictor,
    files: Sequence[Path],
    tasks: Sequence[str],
    *,
    top_k: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    limits: Limits = DEFAULTS,
    is_cancelled: IsCancelled = never_cancelled,
) -> list[Row]:
    """Classify every image in files and zips.

    An invalid image gets an error and does not affect the others.

    Args:
        predictor: Computes the answers.
        files: Images and zips of images.
        tasks: Tasks as in `Predictor.classify`.
        top_k: Maximum number of labels per task.
        progress: Called with the number of completed images and of all images.
        limits: Limits of images and archives.
        is_cancelled: Returns whether the request was cancelled.

    Raises:
        NoImages: If the files contain no image.
        TooManyImages: If the files contain too many images.
        Cancelled: If the request was cancelled. No further images are read then.
    """
    total = sum(len(images) for images in _opened(files, limits))
    if total > MAX_IMAGES:
        raise TooManyImages(
            f"The files have {total} images, and the limit is {MAX_IMAGES}. Classify them in parts."
        )
    rows: list[Row] = []
    pool = ThreadPoolExecutor(_CONCURRENT, "table")
    try:
        for images in _opened(files, limits):
            waiting: deque[Future[Row]] = deque()
            for image in images:
                raise_if_cancelled(is_cancelled)
                waiting.append(pool.submit(_row, predictor, image, tasks, top_k, limits))
                if len(waiting) > 2 * _CONCURRENT:
                    rows.append(waiting.popleft().result())
                    progress(len(rows), total)
            while waiting:
                raise_if_cancelled(is_cancelled)
                rows.append(waiting.popleft().result())
                progress(len(rows), total)
    finally:
        pool.shutdown(cancel_futures=True)
    if not rows:
        raise NoImages("These files contain no image. Choose images, or a zip of images.")
    return rows


def as_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a table with one row per image and a column per task with its answer.

    An answer is followed by a word if it is unsure, or if the image is unlike the training images.
    """
    # the image again at the end, because a task may be named image too
    lines = [{"image": "", **_best(row)} | {"image": row.image} for row in rows]
    # users copy the page's table into spreadsheets too
    return pd.DataFrame([{name: csv_cell(text) for name, text in line.items()} for line in lines]).fillna("")


def as_csv(rows: Sequence[Row]) -> str:
    """Return a CSV with one row per image, task and label, best first; no cell is a formula.

    The last column is the whole answer, with a semicolon between several labels.
    """
    lines = [line for row in rows for line in _lines(row)]
    frame = pd.DataFrame(lines, columns=COLUMNS)
    for column in ("image", "task", "label", "error", "answer"):
        frame[column] = frame[column].map(_cell)
    frame["rank"] = frame["rank"].astype("Int64")  # missing values would turn integers into 1.0, 2.0
    return str(frame.to_csv(index=False))


def _opened(files: Sequence[Path], limits: Limits) -> Iterator[list[ImageSource]]:
    """Yield the images of each file while it is open."""
    for path in files:
        if path.suffix.lower() != ".zip":
            yield [ImageSource(path.name, partial(Path, path))]
            continue
        with ExitStack() as opened:
            try:
                images = _in_zip(opened.enter_context(open_archive(path, archive_limits(limits))))
            except DatasetError as error:
                images = [ImageSource(path.name, partial(_refuse, error))]
            yield images


def _refuse(error: DatasetError) -> bytes:
    raise error


def _in_zip(archive: SafeArchive) -> list[ImageSource]:
    reading = threading.Lock()

    def reader(path: str) -> Callable[[], bytes]:
        def read() -> bytes:
            with reading:  # only one thread may read a zip
                return archive.read(path)

        return read

    return [
        ImageSource(path, reader(path))
        for path in archive.paths
        if is_wanted(path, partial(archive.beginning, path, SNIFFED_BYTES))
    ]


def _row(predictor: Predictor, image: ImageSource, tasks: Sequence[str], top_k: int, limits: Limits) -> Row:
    try:
        answer = predictor.classify(
            load_tracked(image.source(), max_pixels=limits.pixels), tasks, top_k=top_k
        )
    except (LoraVitError, RegistryError) as error:
        return Row(image.name, (), error.in_public)
    return Row(image.name, answer.results, None)


def _best(row: Row) -> dict[str, str]:
    if row.error is not None:
        return {"problem": row.error}
    return {result.task: f"{result.text}{_doubt(result)}" for result in row.results}


def _lines(row: Row) -> Iterator[dict[str, object]]:
    if row.error is not None:
        yield {"image": row.image, "error": row.error}
    for result in row.results:
        if result.error is not None:
            yield {"image": row.image, "task": result.task, "error": result.error}
        for rank, label in enumerate(result.labels, start=1):
            yield {
                "image": row.image,
                "task": result.task,
                "rank": rank,
                "label": label.label,
                "score": round(label.score, 6),
                "answer": ";".join(label.label for label in result.answer) or NONE,
                "unsure": _word(result.unsure),
                "unlike": _word(result.unlike),
                "doubt": None if result.doubt is None else round(result.doubt, 3),
            }


def _doubt(result: TaskAnswer) -> str:
    if result.unlike:
        return " (unlike the training images)"
    return " (unsure)" if result.unsure else ""


def _word(value: bool | None) -> str:
    """Return a cell that spreadsheets and programs read as a truth value; empty if it is unknown."""
    return "" if value is None else str(value).lower()


def _cell(value: object) -> object:
    return csv_cell(value) if isinstance(value, str) else value
