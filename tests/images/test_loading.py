"""`load_rgb` returns upright 8-bit RGB or raises a clear error for any input."""

from __future__ import annotations

import gc
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loravit_web.errors import LoraVitError
from loravit_web.images import conversion, loading
from loravit_web.images.loading import (
    ImageError,
    ImagesInUse,
    ImageTooLarge,
    TruncatedImage,
    UnreadableImage,
    UnsupportedImage,
    load_rgb,
    load_stored,
    load_tracked,
    to_rgb,
)
from loravit_web.images.memory_pool import MemoryPool
from tests.corpus.images import run_length

WHITE = (255, 255, 255)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(width: int = 24, height: int = 16, channels: int = 3) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values.squeeze())


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


# Rotation of the stored pixels (rows, columns) for each EXIF orientation.
TURN_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", TURN_UPRIGHT)
def test_every_exif_orientation_is_applied(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(noise(), format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))
    as_stored = pixels(Image.open(BytesIO(stored)).convert("RGB"))

    assert np.array_equal(pixels(load_rgb(stored)), TURN_UPRIGHT[orientation](as_stored))


def test_an_unknown_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    assert load_rgb(encoded(noise(), exif=exif)).size == (24, 16)


def test_an_image_with_broken_exif_is_decoded() -> None:
    data = encoded(noise(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_rgb(data).size == (24, 16)


def test_the_result_is_a_plain_image_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    image = load_rgb(encoded(noise(), "JPEG", exif=exif, comment=b"secret", dpi=(300, 300)))
    assert image.info == {}
    assert not image.getexif()
    assert type(image) is Image.Image
    assert image.mode == "RGB"


def test_fully_transparent_pixels_become_white() -> None:
    assert load_rgb(encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 0)))).getpixel((0, 0)) == WHITE


def test_half_transparent_black_becomes_gray() -> None:
    red, green, blue = load_rgb(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)))).getpixel((0, 0))
    assert red == green == blue
    assert abs(red - 127) <= 1


def test_gray_with_alpha_is_put_on_white() -> None:
    image = Image.new("LA", (2, 1), (10, 255))
    image.putpixel((1, 0), (10, 0))
    loaded = load_rgb(encoded(image))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [(10, 10, 10), WHITE]


def palette_image() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 10, 20, 30, 40, 50])
    image.putpixel((1, 0), 1)
    return image


def test_palette_colors_are_resolved() -> None:
    loaded = load_rgb(encoded(palette_image()))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [(200, 10, 20), (30, 40, 50)]


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])], ids=["one index", "alpha table"])
def test_a_transparent_palette_color_becomes_white(transparency: int | bytes) -> None:
    loaded = load_rgb(encoded(palette_image(), transparency=transparency))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (30, 40, 50)]


def test_a_palette_with_alpha_channel_is_put_on_white() -> None:
    image = palette_image().convert("PA")
    image.putalpha(0)
    assert to_rgb(image).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize(("mode", "color"), [("L", 7), ("RGB", (7, 8, 9))])
def test_a_transparent_color_key_becomes_white(mode: str, color: Any) -> None:
    image = Image.new(mode, (2, 1), color)
    image.putpixel((1, 0), 0 if mode == "L" else (0, 0, 0))
    loaded = load_rgb(encoded(image, transparency=color))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [WHITE, (0, 0, 0)]


def test_one_bit_images_are_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    loaded = load_rgb(encoded(image))
    assert [loaded.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), WHITE]


def test_cmyk_white_and_cyan_are_converted_correctly() -> None:
    image = Image.new("CMYK", (32, 16), (0, 0, 0, 0))
    image.paste((255, 0, 0, 0), (16, 0, 32, 16))
    loaded = load_rgb(encoded(image, "JPEG", quality=100))
    assert np.abs(pixels(loaded)[8, 4] - 255).max() <= 2
    assert np.abs(pixels(loaded)[8, 28] - [0, 255, 255]).max() <= 2


def test_sixteen_bit_gray_keeps_its_gradient() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    loaded = pixels(load_rgb(encoded(Image.fromarray(ramp))))
    assert np.array_equal(loaded[..., 0], np.rint(ramp / 257))
    assert len(np.unique(loaded)) == 256


def test_a_transparent_sixteen_bit_value_becomes_white() -> None:
    values = np.array([[1000, 40000]], dtype=np.uint16)
    image = Image.fromarray(values)
    image.info["transparency"] = 1000
    assert pixels(to_rgb(image))[0, :, 0].tolist() == [255, round(40000 / 257)]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_every_deep_integer_mode_is_scaled(mode: str) -> None:
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    image = Image.frombytes(mode, (2, 1), np.array([0, 65535], dtype=kind).tobytes())
    assert pixels(to_rgb(image))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_images_are_scaled_from_their_range(top: float) -> None:
    image = Image.fromarray(np.array([[0.0, top / 2, top]], dtype=np.float32))
    assert pixels(to_rgb(image))[0, :, 0].tolist() == [0, 128, 255]


def test_float_images_with_nan_are_rejected() -> None:
    with pytest.raises(UnreadableImage, match="The image has values that are not finite"):
        to_rgb(Image.fromarray(np.array([[np.nan]], dtype=np.float32)))


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation_is_used(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert load_rgb(data).getpixel((4, 4)) == (255, 0, 0)


def test_the_first_image_of_a_multi_picture_jpeg_is_used() -> None:
    first, second = Image.new("RGB", (16, 16), "white"), Image.new("RGB", (16, 16), "black")
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert load_rgb(data).getpixel((8, 8)) == WHITE


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_a_single_pixel_is_an_image(format: str) -> None:
    assert load_rgb(encoded(Image.new("RGB", (1, 1), "white"), format)).size == (1, 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_file_is_reported_as_incomplete(format: str, kept: float) -> None:
    data = encoded(noise(128, 128), format)
    with pytest.raises(TruncatedImage, match="incomplete"):
        load_rgb(data[: int(len(data) * kept)])


@pytest.mark.parametrize("data", [b"", b"\x00" * 400, b"just some words", b"BM", b"\xff\xd8\xff"])
def test_a_file_that_is_not_an_image_is_rejected(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        load_rgb(data)


def test_the_pixel_limit_is_checked_before_decoding_and_names_both_numbers() -> None:
    small_file = encoded(Image.new("1", (3000, 2000)))
    # Truncated right after the header, so decoding it would be another error.
    with pytest.raises(
        ImageTooLarge, match="The file has 3000×2000 pixels, and the limit is 5 million pixels"
    ):
        load_rgb(small_file[:100], max_pixels=5_000_000)
    assert load_rgb(small_file, max_pixels=6_000_000).size == (3000, 2000)


def test_a_decompression_bomb_is_rejected_without_a_warning() -> None:
    header = b"\x00\x00\x00\x0dIHDR" + (12000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    image = bytearray(encoded(Image.new("L", (4, 4))))
    image[8 : 8 + len(header)] = header
    image[29:33] = zlib.crc32(bytes(image[12:29])).to_bytes(4, "big")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLarge, match="12000×12000"):
            load_rgb(bytes(image))


def test_a_jpeg_2000_named_png_is_reported_as_such(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99))
    with pytest.raises(UnsupportedImage, match=r"“scan\.png” is a JPEG 2000 file") as caught:
        load_rgb(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00", "video"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<!DOCTYPE html><title>404</title>", "HTML"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\x00\x01", "Photoshop"),
        (b"PK\x03\x04rest", "ZIP"),
    ],
)
def test_unsupported_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"is an? {name} file"):
        load_rgb(data)


def test_path_text_bytes_and_stream_give_the_same_image(tmp_path: Path) -> None:
    data = encoded(noise())
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    stream = BytesIO(data)
    stream.seek(7)
    results = [pixels(load_rgb(source)) for source in (path, str(path), data, stream)]
    assert all(np.array_equal(results[0], other) for other in results[1:])
    assert not stream.closed


def test_a_missing_file_is_reported_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"“gone\.png” cannot be opened") as caught:
        load_rgb(tmp_path / "gone.png")
    assert str(tmp_path) not in str(caught.value)


def test_image_errors_are_errors_for_users() -> None:
    assert issubclass(ImageError, LoraVitError)
    for kind in (UnreadableImage, TruncatedImage, ImageTooLarge, UnsupportedImage):
        assert issubclass(kind, ImageError)


def test_random_damage_only_raises_image_errors() -> None:
    generator = np.random.default_rng(1)
    originals = [encoded(noise(), format) for format in ("PNG", "JPEG", "GIF", "WEBP", "BMP")]
    outcomes = set()
    for round_number in range(600):
        damaged = bytearray(originals[round_number % len(originals)])
        for position in generator.integers(0, len(damaged), 3):
            damaged[position] = generator.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load_rgb(bytes(damaged))
                outcomes.add("fine")
            except ImageError:
                outcomes.add("refused")
    assert outcomes == {"fine", "refused"}


def test_many_threads_get_the_same_images_as_one() -> None:
    sources = [encoded(noise(20 + index, 30), format) for index in range(8) for format in ("PNG", "JPEG")]
    expected = [pixels(load_rgb(source)) for source in sources]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(load_rgb, sources * 5))
    for index, image in enumerate(results):
        assert np.array_equal(pixels(image), expected[index % len(sources)])


def turned(image: Image.Image, orientation: int, format: str = "PNG", **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, format, exif=exif, **options)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_image_is_the_same_converted_at_once_or_in_strips(
    mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (70, 50)).astype(np.uint16)
    image = Image.fromarray(values) if mode == "I;16" else noise(70, 50).convert(mode)
    data = turned(image, orientation, "JPEG" if mode == "CMYK" else "PNG")
    whole = to_rgb(Image.open(BytesIO(data)))
    expected = pixels(whole if orientation == 1 else whole.transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(pixels(load_rgb(data)), expected)
    monkeypatch.setattr(conversion, "_STRIP", 150)
    assert np.array_equal(pixels(load_rgb(data)), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_large_image_is_averaged_down_the_same_for_any_strips(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "REDUCED_ABOVE", 999)
    image = noise(71, 53).convert(mode)
    data = encoded(image)
    expected = pixels(image.convert("RGB").reduce(2))
    assert np.array_equal(pixels(load_rgb(data)), expected)
    monkeypatch.setattr(conversion, "_STRIP", 150)
    assert np.array_equal(pixels(load_rgb(data)), expected)


@pytest.mark.parametrize(
    ("format", "side", "expected"),
    [
        ("PNG", 50, 50),
        ("PNG", 51, 26),
        ("PNG", 100, 50),
        ("PNG", 101, 34),
        ("JPEG", 50, 50),
        ("JPEG", 51, 26),
        ("JPEG", 101, 26),  # halved by the decoder, and halved again
    ],
)
def test_sides_are_divided_by_an_integer_until_the_image_is_small_enough(
    format: str, side: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "REDUCED_ABOVE", 2500)
    assert load_rgb(encoded(noise(side, side), format)).size == (expected, expected)


def test_a_jpeg_reduced_by_the_decoder_looks_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = noise(9, 7).resize((90, 70), Image.Resampling.BICUBIC)
    monkeypatch.setattr(loading, "REDUCED_ABOVE", 6000)
    jpeg = pixels(load_rgb(turned(smooth, 6, "JPEG", quality=95))).astype(int)
    png = pixels(load_rgb(turned(smooth, 6))).astype(int)
    assert jpeg.shape == png.shape == (45, 35, 3)
    assert np.abs(jpeg - png).mean() < 3


def test_the_memory_of_a_tracked_image_is_reserved_as_long_as_it_exists() -> None:
    before = loading.SMALL_POOL.reserved
    held = load_tracked(encoded(noise(20, 30)))
    assert loading.SMALL_POOL.reserved == before + 4 * 20 * 30
    del held
    gc.collect()
    assert loading.SMALL_POOL.reserved == before


def test_a_photograph_does_not_wait_for_much_larger_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "POOL_TIMEOUT", 0.01)
    with loading.DECODING_POOL.acquire(loading.DECODING_POOL.budget):
        load_tracked(encoded(noise(400, 300)))
        with pytest.raises(ImagesInUse):
            load_tracked(encoded(Image.new("RGB", (3000, 3000))))


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", encoded(noise())[:-60], b"GIF89a"])
def test_a_rejected_image_leaves_no_memory_reserved(data: bytes) -> None:
    before = loading.SMALL_POOL.reserved
    with pytest.raises(ImageError):
        load_tracked(data)
    assert loading.SMALL_POOL.reserved == before


def test_waiting_too_long_for_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SMALL_POOL", MemoryPool(0))
    monkeypatch.setattr(loading, "DECODING_POOL", MemoryPool(1))
    monkeypatch.setattr(loading, "POOL_TIMEOUT", 0.01)
    held = load_tracked(encoded(noise()))
    with pytest.raises(ImagesInUse, match="busy with large images"):
        load_tracked(encoded(noise()))
    del held
    gc.collect()
    load_tracked(encoded(noise()))


def test_a_stored_image_is_read_even_if_it_exceeds_the_current_limit(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    Image.new("L", (70_000, 1)).save(path)
    with pytest.raises(ImageTooLarge, match="“long.png” has 70000×1 pixels, and the maximum side is 65535"):
        load_rgb(path)
    assert load_stored(path).size == (70_000, 1)


def memory_intensive_files(folder: Path) -> list[Path]:
    """Return 4-megapixel files of all kinds that need different amounts of memory."""
    colors = noise(30, 30).resize((2000, 2000))
    gray, transparent = Image.new("I;16", (2000, 2000)), colors.convert("RGBA")
    kinds: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "rgb.png": (colors, {}),
        "rgba.png": (transparent, {}),
        "la.png": (transparent.convert("LA"), {}),
        "palette.png": (colors.convert("P"), {"transparency": 0}),
        "deep.png": (gray, {}),
        "plain.jpg": (colors, {}),
        "progressive.jpg": (colors, {"progressive": True, "subsampling": 0}),
        "subsampled.jpg": (colors, {"progressive": True}),
        "cmyk.jpg": (colors.convert("CMYK"), {"progressive": True}),
        "plain.webp": (colors, {"method": 0}),
        "clear.webp": (transparent, {"method": 0}),
        "moving.gif": (
            colors.convert("P"),
            {"save_all": True, "append_images": [Image.new("P", (2000, 2000), 1)], "disposal": 2},
        ),
        "moving.png": (
            transparent,
            {"save_all": True, "append_images": [Image.new("RGBA", (2000, 2000))], "disposal": 1},
        ),
        "plain.bmp": (colors, {}),
    }
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, (image, options) in kinds.items():
        fast = {"compress_level": 1} if name.endswith("png") else {}
        image.save(folder / name, exif=exif, **fast, **options)
    (folder / "runs.bmp").write_bytes(run_length(2000, 2000))
    return sorted(folder.iterdir())


_MEASURE = """
import sys
from loravit_web.images import loading
from loravit_web.util import heap
from loravit_web.images.formats import reader_of
from loravit_web.images.headers import read_header

def most(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

loading.load_rgb(open(sys.argv[1], "rb"))
for path in sys.argv[1:]:
    stream = open(path, "rb")
    header = read_header(stream, reader_of(stream.read(1024), "")[0])
    heap.trim()
    open("/proc/self/clear_refs", "w").write("5")
    before = most("VmHWM")
    image = loading.load_rgb(stream)
    print(path, most("VmHWM") - before, loading._memory(header), sep="\t")
    del image
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="measures memory with the proc file system of Linux"
)
def test_no_kind_of_image_needs_more_memory_than_is_reserved_for_it(tmp_path: Path) -> None:
    files = [str(path) for path in memory_intensive_files(tmp_path)]
    command = [sys.executable, "-c", _MEASURE, *files]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert len(lines) == len(files)
    strips = 12 << 20
    over = {
        path: (int(used), int(reserved))
        for path, used, reserved in lines
        if int(used) > int(reserved) + strips
    }
    assert over == {}
