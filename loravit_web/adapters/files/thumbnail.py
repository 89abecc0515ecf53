"""Thumbnail of an adapter: one training image of each of its first classes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageOps

SIDE = 256
"""Width of the thumbnail in pixels."""
MAX_IMAGES = 9
"""Maximum number of images in a thumbnail."""
_QUALITY = 80


def contact_sheet(images: Sequence[Image.Image]) -> bytes:
    """Return a WEBP image with up to `MAX_IMAGES` RGB images as squares in a grid, `SIDE` pixels wide."""
    shown = images[:MAX_IMAGES]
    columns = math.ceil(math.sqrt(len(shown)))
    cell = SIDE // columns
    sheet = Image.new("RGB", (columns * cell, math.ceil(len(shown) / columns) * cell), (255, 255, 255))
    for index, image in enumerate(shown):
        square = ImageOps.fit(image, (cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(square, (index % columns * cell, index // columns * cell))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
