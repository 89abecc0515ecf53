"""Decoding and storing of candidate images: in parallel, with results in order and bounded memory."""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loravit_web.datasets.layout.files import SNIFFED_BYTES, suffix_of
from loravit_web.datasets.layout.plan import Placement
from loravit_web.datasets.records import relative_image_path
from loravit_web.datasets.sources.archives import MIB
from loravit_web.datasets.sources.opening import FileUnusableError
from loravit_web.images.formats import IMAGE_SUFFIXES, sniffed
from loravit_web.images.loading import MAX_PIXELS, ImageError, load_described
from loravit_web.images.whites import Levels, levels_of

# Small images are decoded faster than a job is submitted, so they are processed in batches.
BATCH_IMAGES = 64
BATCH_BYTES = 4 * MIB
_FEW_COLORS = 8


@dataclass(frozen=True, slots=True)
class Ingested:
    """Result for one candidate: its hash and size, or the reason why it was skipped.

    Attributes:
        placement: The candidate.
        sha256: Hash of the file, or an empty string.
        size: Size of the file in bytes.
        reason: Reason why it was skipped, or an empty string.
        label: Name of its format.
        has_more_pages: Whether it has pages that are not used.
        levels: What became black and white if the image has one channel of more than 8 bits, else None.
        has_few_colors: Whether it has so few colors that it may be a mask; only known of candidates beside
            another one of the same name.
    """

    placement: Placement
    sha256: str = ""
    size: int = 0
    reason: str = ""
    label: str = ""
    has_more_pages: bool = False
    levels: Levels | None = None
    has_few_colors: bool = False

    @property
    def is_otherwise_named(self) -> bool:
        """Whether the suffix of the file is not one of a supported format."""
        return bool(self.label) and suffix_of(self.placement.path) not in IMAGE_SUFFIXES


def ingest(
    placements: Sequence[Placement],
    read: Callable[[int], bytes],
    folder: Path | None,
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
        folder: Folder in which to store the images, or None to store nothing.
        workers: Number of decoding threads.
        max_pixels: Maximum number of pixels of an image.

    Raises:
        OSError: If an image cannot be stored.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ingestion")
    pending: deque[Future[list[Ingested]]] = deque()
    paired = same_names(placements)
    try:
        for batch in _batches(placements, read):
            pending.append(pool.submit(_store_batch, batch, folder, max_pixels, paired))
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


def _store_batch(
    batch: list[_Loaded], folder: Path | None, max_pixels: int, paired: Mapping[int, str]
) -> list[Ingested]:
    return [_store(placement, content, folder, max_pixels, paired) for placement, content in batch]


def _store(
    placement: Placement,
    content: bytes | str,
    folder: Path | None,
    max_pixels: int,
    paired: Mapping[int, str],
) -> Ingested:
    if isinstance(content, str):
        return Ingested(placement, reason=content)
    try:
        image, header = load_described(content, max_pixels=max_pixels)
    except ImageError as error:
        return Ingested(placement, reason=str(error))
    digest = hashlib.sha256(content).hexdigest()
    if folder is not None:
        _write_once(folder / relative_image_path(digest, suffix_of(placement.path)), content)
    return Ingested(
        placement,
        digest,
        len(content),
        label=sniffed(content[:SNIFFED_BYTES]) or "",
        has_more_pages=header.has_more_pages,
        levels=levels_of(image),
        has_few_colors=placement.index in paired and image.getcolors(_FEW_COLORS) is not None,
    )


def same_names(placements: Sequence[Placement]) -> dict[int, str]:
    """Return the candidates that share folder and stem with another one, by index, with that text."""
    stems = {place.index: posixpath.splitext(place.path)[0] for place in placements}
    counts = Counter(stems.values())
    return {index: stem for index, stem in stems.items() if counts[stem] > 1}


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
