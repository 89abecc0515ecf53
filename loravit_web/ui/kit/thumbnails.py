"""Small pictures of stored images, as files that Gradio may serve."""

from __future__ import annotations

from io import BytesIO

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.images.loading import load_stored
from loravit_web.ui.kit.served import served_root
from loravit_web.ui.kit.uploads import upload_folder
from loravit_web.util.files import write_atomic

SIDE = 160


def thumbnail(dataset: ImageDataset, item: ImageItem) -> str:
    """The path of a thumbnail, made when it is first needed.

    Raises:
        ImageError: if the image can't be read any more.
    """
    root = served_root(dataset.owner) if dataset.owner is not None else upload_folder()
    folder = root / "thumbnails" / item.sha256[:32]
    path = folder / "small.webp"  # the user's file name stays out of the address
    if not path.exists():
        picture = load_stored(dataset.image_path(item), tracked=True)
        picture.thumbnail((SIDE, SIDE))
        buffer = BytesIO()
        picture.save(buffer, "WEBP", quality=90)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())
    return str(path)
