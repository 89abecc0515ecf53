"""What the app uses of Pillow beside its documents still does what it is used for."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from loravit_web.images import conversion
from loravit_web.images.formats import reader_of

RESOLUTION_UNIT, X_RESOLUTION = 0x0128, 0x011A


def test_a_jpeg_is_opened_without_reading_its_exif_for_the_resolution() -> None:
    """By an override of ``JpegImageFile._read_dpi_from_exif``: reading it copies every entry."""
    exif = Image.Exif()
    exif[RESOLUTION_UNIT], exif[X_RESOLUTION] = 2, 300.0
    stored = BytesIO()
    Image.new("RGB", (8, 8)).save(stored, "JPEG", exif=exif)
    assert JpegImageFile(BytesIO(stored.getvalue())).info["dpi"] == (300.0, 300.0)
    _label, reader = reader_of(stored.getvalue(), "a.jpg")
    assert "dpi" not in reader(BytesIO(stored.getvalue())).info


def test_an_rgb_image_is_not_copied_to_lose_its_metadata() -> None:
    """By ``Image._new``, which gives another image over the same pixels."""
    stored = BytesIO()
    Image.new("RGB", (8, 8)).save(stored, "PNG")
    image = Image.open(stored)
    image.load()
    assert conversion.reduced_rgb(image, 1).im is image.im
