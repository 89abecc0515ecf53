"""TIFF, AVIF and images of more than 8 bits are read; what is too much of them is refused in a sentence."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from loravit_web.images import iso
from loravit_web.images.conversion import value_range
from loravit_web.images.errors import ImageError, ImageTooComplex, UnreadableImage, UnsupportedImage
from loravit_web.images.formats import sniffed
from loravit_web.images.iso import brand_of, iso_header
from loravit_web.images.loading import load_described, load_rgb
from loravit_web.images.tiff import tiff_header
from loravit_web.images.whites import Levels, levels_of

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def encoded(image: Image.Image, format: str = "TIFF", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def quarters() -> Image.Image:
    image = Image.new("RGB", (24, 16), (220, 30, 30))
    image.paste((30, 200, 40), (12, 0, 24, 8))
    image.paste((30, 40, 210), (0, 8, 12, 16))
    return image


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "P", "CMYK", "LA"])
def test_tiffs_of_every_usual_kind_are_read(compression: str, mode: str) -> None:
    image = quarters().convert(mode)
    data = encoded(image, compression=compression)
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(np.asarray(load_rgb(data)).astype(int) - expected).max() <= 2


def test_a_tiff_with_jpeg_data_is_read() -> None:
    loaded = load_rgb(encoded(quarters(), compression="jpeg", quality=95))
    assert loaded.size == (24, 16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_a_rotated_tiff_is_turned_upright(orientation: int, compression: str) -> None:
    data = encoded(quarters(), compression=compression, tiffinfo={0x0112: orientation})
    loaded = load_rgb(data)
    assert loaded.size == ((16, 24) if orientation > 4 else (24, 16))
    with Image.open(BytesIO(data)) as pillows:
        pillows.load()
        assert np.array_equal(np.asarray(loaded), np.asarray(pillows))


def test_the_first_page_of_a_tiff_is_used_and_told() -> None:
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    image, header = load_described(encoded(pages[0], save_all=True, append_images=pages[1:]))
    assert image.getpixel((0, 0)) == (255, 0, 0)
    assert header.has_more_pages
    assert not load_described(encoded(pages[0]))[1].has_more_pages


@pytest.mark.parametrize("top", [1023, 4095, 16383, 65535])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_fewer_bits_in_sixteen_are_scaled_to_the_bits_that_are_used(top: int, format: str) -> None:
    values = np.linspace(0, top, 64, dtype=np.uint16).reshape(8, 8)
    image = load_rgb(encoded(Image.fromarray(values), format))
    assert np.array_equal(np.asarray(image)[..., 0], np.rint(values * (255 / top)))
    assert levels_of(image) == Levels("integer", 0, top)


def test_all_strips_of_a_large_deep_image_have_one_range() -> None:
    values = np.zeros((1200, 1000), dtype=np.uint16)
    values[:600], values[600:] = 1000, 4000
    loaded = np.asarray(load_rgb(encoded(Image.fromarray(values), "PNG")))
    assert loaded[0, 0, 0] == round(1000 * 255 / 4095)
    assert loaded[-1, 0, 0] == round(4000 * 255 / 4095)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], (0.0, 1.0)),
        ([0.0, 3000.0], (0.0, 4095.0)),
        ([0.0, 1e6], (0.0, 1e6)),
        ([-1000.0, 3000.0], (-1000.0, 3000.0)),
    ],
)
def test_floats_are_scaled_from_the_range_that_they_use(
    values: list[float], expected: tuple[float, float]
) -> None:
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert value_range(image) == expected
    loaded = np.asarray(load_rgb(encoded(image)))[0, :, 0]
    assert loaded[0] == 0
    assert load_rgb(encoded(image)).mode == "RGB"


def test_a_file_that_states_twelve_bits_is_scaled_to_them() -> None:
    assert value_range(Image.fromarray(np.array([[7]], dtype=np.uint16)), depth=12) == (0.0, 4095.0)


def directory(entries: list[tuple[int, int, int, int]], *, following: int = 0) -> bytes:
    packed = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + packed + struct.pack("<L", following)


SIZE = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8)]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (directory([*SIZE, (259, 3, 1, 50000)]), ImageTooComplex),
        (directory([*SIZE, (259, 3, 1, 34712)]), ImageTooComplex),
        (
            directory([*SIZE, *[(40000 + n, 7, 60_000, 8) for n in range(400)]]) + bytes(70_000),
            ImageTooComplex,
        ),
        (directory([*SIZE, *[(40000 + n, 3, 1, 0) for n in range(600)]]), ImageTooComplex),
        (directory([*SIZE, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8)]), ImageTooComplex),
        (directory([(256, 4, 1, 0), (257, 4, 1, 8)]), UnreadableImage),
        (directory(SIZE), UnreadableImage),
        (b"II*\0" + struct.pack("<L", 8), ImageError),
        (b"II*\0" + bytes(64), ImageError),
        (b"MM\0*" + b"\xff" * 64, ImageError),
        (b"II+\0" + bytes(64), ImageError),
    ],
)
def test_tiffs_that_cost_too_much_or_are_broken_are_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        load_rgb(data)
    assert str(caught.value).endswith(".")


def test_a_tiff_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageError, match="100000"):
        load_rgb(directory([(256, 4, 1, 100_000), (257, 4, 1, 100_000), (258, 3, 1, 8), (273, 4, 1, 8)]))


def test_random_damage_of_a_tiff_is_an_error_for_people() -> None:
    data = encoded(quarters(), compression="tiff_lzw")
    random = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(data)
        for at in random.integers(0, len(data), 4):
            broken[at] = int(random.integers(0, 256))
        try:
            load_rgb(bytes(broken))
        except ImageError as error:
            assert str(error)


@needs_avif
def test_an_avif_is_read_with_the_size_of_its_header() -> None:
    data = encoded(quarters(), "AVIF", quality=100)
    header = iso_header(BytesIO(data))
    assert (header.width, header.height) == (24, 16)
    loaded = load_rgb(data)
    assert loaded.size == (24, 16)
    assert np.abs(np.array(loaded.getpixel((2, 2))) - (220, 30, 30)).max() < 12


@needs_avif
def test_a_rotated_avif_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(quarters(), "AVIF", quality=100, exif=exif)
    assert load_rgb(data).size == (16, 24)


@needs_avif
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.9])
def test_a_cut_avif_is_an_error_for_people(kept: float) -> None:
    data = encoded(quarters(), "AVIF")
    with pytest.raises(ImageError):
        load_rgb(data[: int(len(data) * kept)])


def test_the_brand_is_found_among_the_compatible_ones() -> None:
    assert brand_of(b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert brand_of(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "HEIC"
    assert brand_of(b"\0\0\0\x18ftypisom\0\0\0\0isom") is None
    assert sniffed(b"\0\0\0\x18ftypisom\0\0\0\0isom") == "video"


def test_heic_names_the_package_that_reads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(iso, "importlib", SimpleNamespace(import_module=_missing))
    iso.heic_reader.cache_clear()
    with pytest.raises(
        UnsupportedImage, match=r"is a HEIC image, which needs the package pillow-heif\. Install it"
    ):
        load_rgb(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    iso.heic_reader.cache_clear()


def _missing(name: str) -> Any:
    raise ImportError(name)


def test_a_tiff_header_tells_depth_and_orientation() -> None:
    header = tiff_header(BytesIO(encoded(Image.new("L", (5, 7)), tiffinfo={0x0112: 3})))
    assert (header.width, header.height, header.depth, header.orientation) == (5, 7, 8, 3)


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_with_more_than_a_mebibyte_of_text_or_profile_is_read(kind: str) -> None:
    info = PngInfo()
    info.add_text("Comment", "x" * (3 << 20), zip=True)
    options: dict[str, Any] = {"pnginfo": info} if kind == "text" else {"icc_profile": bytes(3 << 20)}
    assert load_rgb(encoded(quarters(), "PNG", **options)).getpixel((0, 0)) == (220, 30, 30)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"\xff\x4f\xff\x51\x00", "is a JPEG 2000 file, which is not supported"),
        (b"DDS |\x00", "is a DDS file, which is not supported"),
        (b"P6\n2 2\n255\n", "is a PNM file, which is not supported"),
        (b"\x00\x00\x01\x00\x01", "is an icon file, which is not supported"),
        (b"<svg xmlns=''></svg>", "is an SVG file, which is not supported"),
        # nothing tells that a TGA is one, so no sentence may deny it
        (b"\x00\x00\x02" + bytes(15), "is not an image that the app can read"),
    ],
)
def test_a_refusal_denies_no_image_that_is_one(header: bytes, sentence: str) -> None:
    with pytest.raises(ImageError, match=sentence):
        load_rgb(header)
