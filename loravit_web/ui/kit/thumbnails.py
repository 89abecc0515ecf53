"""Thumbnails of stored images, as files that Gradio may serve."""

from __future__ import annotations

from io import BytesIO

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.images.loading import load_stored
from loravit_web.ui.kit.served import folder_of
from loravit_web.util.files import write_atomic

SIDE = 160
"""Maximum side of a thumbnail in pixels."""


def thumbnail(dataset: ImageDataset, item: ImageItem) -> str:
    """Return the path of a thumbnail; the first call creates it.

    Raises:
        ImageError: If the image cannot be read.
    """
    folder = folder_of(dataset) / "thumbnails" / item.sha256[:32]
    path = folder / "small.webp"  # the address does not contain the user's file name
    if not path.exists():
        image = load_stored(dataset.image_path(item), tracked=True)
        image.thumbnail((SIDE, SIDE))
        buffer = BytesIO()
        image.save(buffer, "WEBP", quality=90)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())
    return str(path)
