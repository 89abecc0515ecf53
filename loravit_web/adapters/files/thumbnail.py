"""A small picture of what an adapter was trained on: one image of each of its first classes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageOps

SIDE = 256
MAX_PICTURES = 9
_QUALITY = 80


def contact_sheet(pictures: Sequence[Image.Image]) -> bytes:
    """Up to `MAX_PICTURES` RGB pictures, cropped to squares, as one WEBP `SIDE` wide without metadata."""
    shown = pictures[:MAX_PICTURES]
    columns = math.ceil(math.sqrt(len(shown)))
    cell = SIDE // columns
    sheet = Image.new("RGB", (columns * cell, math.ceil(len(shown) / columns) * cell), (255, 255, 255))
    for index, picture in enumerate(shown):
        square = ImageOps.fit(picture, (cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(square, (index % columns * cell, index // columns * cell))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
