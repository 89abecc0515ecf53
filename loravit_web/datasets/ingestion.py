"""Decoding and storing of candidate images: in parallel, with results in order and bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loravit_web.datasets.records import relative_image_path
from loravit_web.datasets.sources.archives import MIB
from loravit_web.datasets.sources.opening import FileUnusableError
from loravit_web.datasets.sources.scan import Placement, suffix_of
from loravit_web.images.loading import MAX_PIXELS, ImageError, load_rgb

# Small images are decoded faster than a job is submitted, so they are processed in batches.
BATCH_IMAGES = 64
BATCH_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True)
class Ingested:
    """Result for one candidate: its hash and size, or the reason why it was skipped.

    Attributes:
        placement: The candidate.
        sha256: Hash of the file, or an empty string.
        size: Size of the file in bytes.
        reason: Reason why it was skipped, or an empty string.
    """

    placement: Placement
    sha256: str = ""
    size: int = 0
    reason: str = ""


def ingest(
    placements: Sequence[Placement],
    read: Callable[[int], bytes],
    folder: Path,
    workers: int,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Generator[Ingested, None, None]:
    """Read, decode and store all candidates; yield one result each, in order.

    The calling thread reads, and ``workers`` threads decode. At most two batches per worker are in memory.
    Closing the generator stops the work.

    Args:
        placements: Candidates.
        read: Returns the bytes of the candidate with an index; its errors are raised except
            FileUnusableError.
        folder: Folder in which to store the images.
        workers: Number of decoding threads.
        max_pixels: Maximum number of pixels of an image.

    Raises:
        OSError: If an image cannot be stored.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ingestion")
    pending: deque[Future[list[Ingested]]] = deque()
    try:
        for batch in _batches(placements, read):
            pending.append(pool.submit(_store_batch, batch, folder, max_pixels))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_Loaded = tuple[Placement, bytes | str]


def _batches(placements: Sequence[Placement], read: Callable[[int], bytes]) -> Iterator[list[_Loaded]]:
    batch: list[_Loaded] = []
    size = 0
    for placement in placements:
        try:
            content: bytes | str = read(placement.index)
        except FileUnusableError as error:
            content = str(error)
        batch.append((placement, content))
        size += len(content)
        if len(batch) >= BATCH_IMAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _store_batch(batch: list[_Loaded], folder: Path, max_pixels: int) -> list[Ingested]:
    return [_store(placement, content, folder, max_pixels) for placement, content in batch]


def _store(placement: Placement, content: bytes | str, folder: Path, max_pixels: int) -> Ingested:
    if isinstance(content, str):
        return Ingested(placement, reason=content)
    try:
        load_rgb(content, max_pixels=max_pixels)
    except ImageError as error:
        return Ingested(placement, reason=str(error))
    digest = hashlib.sha256(content).hexdigest()
    _write_once(folder / relative_image_path(digest, suffix_of(placement.path)), content)
    return Ingested(placement, digest, len(content))


def _write_once(path: Path, content: bytes) -> None:
    try:
        stream = path.open("xb")
    except FileExistsError:
        return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_once(path, content)
        return
    with stream:
        stream.write(content)
