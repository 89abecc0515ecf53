"""Images and what only looks like one: each with the image it should give, or the reason it should not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from loravit_web.images.loading import (
    ImageTooComplex,
    ImageTooLarge,
    TruncatedImage,
    UnreadableImage,
    UnsupportedImage,
)
from tests.corpus.answers import Refused

Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 40), (30, 40, 210)
WIDE, HIGH = 24, 16


@dataclass(frozen=True)
class Shown:
    """The image that should come out: its size, and its colour at the top left."""

    size: tuple[int, int] = (WIDE, HIGH)
    corner: Colour = RED

    def fits(self, image: Image.Image) -> bool:
        """Whether this is it; lossy formats may be a little off."""
        colour = image.getpixel((0, 0))
        assert isinstance(colour, tuple)
        near = all(abs(a - b) <= 24 for a, b in zip(colour, self.corner, strict=True))
        return image.size == self.size and image.mode == "RGB" and near


@dataclass(frozen=True)
class ImageEntry:
    """A file under a name."""

    name: str
    file: str
    make: Callable[[], bytes]
    answer: Shown | Refused


def quarters(mode: str = "RGB") -> Image.Image:
    """Red, green / blue, white: every rotation and mirror image of it is another image."""
    image = Image.new("RGB", (WIDE, HIGH), RED)
    image.paste(GREEN, (WIDE // 2, 0, WIDE, HIGH // 2))
    image.paste(BLUE, (0, HIGH // 2, WIDE // 2, HIGH))
    image.paste(WHITE, (WIDE // 2, HIGH // 2, WIDE, HIGH))
    return image.convert(mode)


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """An image as a file."""
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned(orientation: int, format: str = "JPEG") -> bytes:
    """An image with that EXIF orientation, valid or not."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if format == "JPEG" else {}
    return encoded(quarters(), format, exif=exif, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG with a right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b""
) -> bytes:
    """A PNG with whatever header and pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def blank(width: int, height: int, **options: Any) -> bytes:
    """A black PNG of any size, in a few kilobytes."""
    rows = zlib.compressobj(1)
    data = b"".join(rows.compress(bytes(1 + 3 * width)) for _ in range(height))
    return png(width, height, data + rows.flush(), **options)


def segments(count: int, size: int, start: bytes = b"") -> bytes:
    """A JPEG with that many application segments in front of its pixels."""
    one = b"\xff\xe1" + struct.pack(">H", size + 2) + start.ljust(size, b"\0")
    data = encoded(quarters(), "JPEG", quality=95, subsampling=0)
    return data[:2] + one * count + data[2:]


def exif_bomb() -> bytes:
    """EXIF of 64 kB whose 5,000 entries each claim all of it as their value: 320 MB once they are copied."""
    entries = b"".join(struct.pack("<HHLL", 0x8000 + n, 7, 64_000, 8) for n in range(5000))
    exif = b"Exif\0\0II*\0" + struct.pack("<LH", 8, 5000) + entries
    return segments(1, 65_000, exif)


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(quarters(), "JPEG", quality=95, subsampling=0, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def interlaced(width: int, height: int) -> bytes:
    """A black PNG in seven passes."""
    passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    rows = b"".join(
        bytes(1 + 3 * len(range(left, width, across))) * len(range(top, height, down))
        for left, top, across, down in passes
        if left < width
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def run_length(width: int, height: int) -> bytes:
    """A BMP in which each row is a run of red."""
    row = b"".join(bytes([min(255, width - at), 1]) for at in range(0, width, 255)) + b"\0\0"
    data, palette = row * height + b"\0\1", bytes(4) + bytes([*reversed(RED), 0]) + bytes(4 * 254)
    head = struct.pack("<2sIHHI", b"BM", 54 + 1024 + len(data), 0, 0, 54 + 1024)
    size = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return head + size + palette + data


def topdown_bmp() -> bytes:
    """A BMP of negative height: its first row is the highest."""
    rows = bytes(reversed(RED)) * WIDE * HIGH
    head = struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, WIDE, -HIGH, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows


def comments(count: int) -> bytes:
    """A GIF with that many comments of 255 bytes before its image."""
    data = gif_of(1, 1)
    return data[:19] + (b"!\xfe\xff" + b"c" * 255 + b"\0") * count + data[19:]


def two_sizes() -> bytes:
    """A PNG with a second header."""
    header = struct.pack(">IIBBBBB", 9000, 5000, 8, 2, 0, 0, 0)
    return blank(8, 8, extra=chunk(b"IHDR", header))


def one_bit_bomb() -> bytes:
    """144 million pixels in a few kilobytes, every one of them real."""
    return png(12_000, 12_000, zlib.compress(bytes(12_000 * 1501), 9), depth=1, colour=0)


def endless_idat() -> bytes:
    """A small image whose data unpacks to 64 MiB."""
    return png(8, 8, zlib.compress(bytes(64 << 20), 9))


def text_bomb() -> bytes:
    """A compressed comment of 64 MiB in front of the pixels."""
    comment = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9))
    return png(8, 8, zlib.compress((b"\0" + bytes(RED) * 8) * 8), extra=comment)


def gif_of(width: int, height: int) -> bytes:
    """A GIF whose screen is as large as it says and whose frame is one pixel."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(RED) + bytes(WHITE)
    return screen + b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"


def bmp_of(width: int, height: int) -> bytes:
    """A BMP header for an image of any size, with no pixels behind it."""
    head = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def webp_of(width: int, height: int) -> bytes:
    """An extended WEBP header for an image of any size, with no pixels behind it."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size


def jpeg_of(width: int, height: int) -> bytes:
    """A JPEG whose header says another size than its pixels have."""
    data = bytearray(encoded(quarters(), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def animated(format: str, first: Colour = RED) -> bytes:
    """Two frames, of which the first counts."""
    frames = [Image.new("RGB", (WIDE, HIGH), colour) for colour in (first, BLUE)]
    options = {"lossless": True} if format == "WEBP" else {}
    return encoded(
        frames[0], format, save_all=True, append_images=frames[1:], duration=100, loop=0, **options
    )


def deep_grey() -> bytes:
    """16 bits, all at half of the range."""
    return encoded(Image.fromarray(np.full((HIGH, WIDE), 0x8080, dtype=np.uint16)))


def float_tiff(value: float = 0.5) -> bytes:
    """32-bit floats, as microscopes write them."""
    return encoded(Image.fromarray(np.full((HIGH, WIDE), value, dtype=np.float32)), "TIFF")


def palette(**options: Any) -> bytes:
    """A palette of one colour, as a PNG."""
    image = Image.new("P", (WIDE, HIGH))
    image.putpalette([*RED, *GREEN])
    return encoded(image, **options)


def mpo() -> bytes:
    """Two photographs in one file, as stereo cameras and phones write."""
    return encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (WIDE, HIGH), BLUE)])


def cut(data: bytes, fraction: float = 0.6) -> bytes:
    """The beginning of a file."""
    return data[: int(len(data) * fraction)]


def noisy(format: str) -> bytes:
    """A larger image of noise, whose data is long enough to be cut and damaged."""
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    return encoded(Image.fromarray(values), format, **options)


def damaged(format: str, where: float = 0.5) -> bytes:
    """A part of a file overwritten."""
    data = bytearray(noisy(format))
    start = int(len(data) * where)
    data[start : start + 200] = bytes(range(200))
    return bytes(data)


SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><rect width="9"/></svg>'
)
HTML = b"<!DOCTYPE html><html><script>alert(document.cookie)</script></html>"
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file pop\n%%EOF\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
MP4 = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2"
UPRIGHT = {1: RED, 2: GREEN, 3: WHITE, 4: BLUE, 5: RED, 6: BLUE, 7: WHITE, 8: GREEN}
TALL = (HIGH, WIDE)

LARGE = Refused(ImageTooLarge, "and the limit is 50 million pixels. Make it smaller first")
LONG_SIDE = Refused(ImageTooLarge, "and the maximum side is 65535. Cut it into parts")
HEAVY = Refused(ImageTooComplex, "takes too much memory. Make it smaller, or save it as a plain JPEG")
LADEN = Refused(ImageTooComplex, "Save it again as a plain JPEG or PNG")
CUT = Refused(TruncatedImage, "is incomplete")
BAD = Refused(UnreadableImage, "is damaged")
NONE = Refused(UnreadableImage, "is not an image")


def foreign(what: str) -> Refused:
    """The refusal of a format that is not read."""
    return Refused(UnsupportedImage, f"{what} file, which is not supported. Save it as JPEG or PNG")


# fmt: off
IMAGES: tuple[ImageEntry, ...] = (
    # what cameras and editors write
    *(
        ImageEntry(
            f"EXIF orientation {number} in JPEG",
            f"turned{number}.jpg",
            lambda number=number: turned(number),
            Shown((WIDE, HIGH) if number < 5 else TALL, corner),
        )
        for number, corner in UPRIGHT.items()
    ),
    *(
        ImageEntry(
            f"EXIF orientation {number} in {format}",
            f"turned{number}.{format.lower()}",
            lambda number=number, format=format: turned(number, format),
            Shown(TALL, UPRIGHT[number]),
        )
        for number in (6, 8)
        for format in ("PNG", "WEBP")
    ),
    *(
        ImageEntry(f"EXIF orientation {number}", f"odd{number}.jpg", lambda n=number: turned(n), Shown())
        for number in (0, 9, 65535)
    ),
    ImageEntry("EXIF that is garbage", "exif.jpg", lambda: encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), Shown()),
    ImageEntry("EXIF of 60 kB", "longexif.jpg", lambda: encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0" + bytes(60_000)), Shown()),
    ImageEntry("an ICC profile that is garbage", "icc.jpg", lambda: encoded(quarters(), "JPEG", icc_profile=b"garbage" * 99), Shown()),
    ImageEntry("an ICC profile that is garbage, in PNG", "icc.png", lambda: encoded(quarters(), icc_profile=b"\xff" * 512), Shown()),
    ImageEntry("JPEG in capitals", "PHOTO.JPG", lambda: encoded(quarters(), "JPEG"), Shown()),
    ImageEntry("progressive JPEG", "progressive.jpeg", lambda: encoded(quarters(), "JPEG", progressive=True), Shown()),
    ImageEntry("grey JPEG", "grey.jpg", lambda: encoded(Image.new("L", (WIDE, HIGH), 90), "JPEG"), Shown(corner=(90, 90, 90))),
    ImageEntry("CMYK JPEG", "cmyk.jpg", lambda: encoded(Image.new("CMYK", (WIDE, HIGH), (0, 255, 255, 0)), "JPEG"), Shown(corner=(254, 0, 0))),
    ImageEntry("two photographs in one (MPO)", "stereo.mpo", mpo, Shown()),
    ImageEntry("trailing bytes behind a JPEG", "trailing.jpg", lambda: encoded(quarters(), "JPEG") + b"junk" * 99, Shown()),
    ImageEntry("a zip behind a JPEG", "polyglot.jpg", lambda: encoded(quarters(), "JPEG") + b"PK\x03\x04" + bytes(60), Shown()),
    ImageEntry("a PNG named .jpg", "really-png.jpg", lambda: encoded(quarters()), Shown()),
    ImageEntry("a JPEG named .png", "really-jpeg.png", lambda: encoded(quarters(), "JPEG"), Shown()),
    ImageEntry("a WEBP named .bmp", "really-webp.bmp", lambda: encoded(quarters(), "WEBP", lossless=True), Shown()),
    # what PNG and GIF can hold
    ImageEntry("one bit", "bits.png", lambda: encoded(Image.new("1", (WIDE, HIGH), 1)), Shown(corner=WHITE)),
    ImageEntry("16-bit grey", "deep.png", deep_grey, Shown(corner=(128, 128, 128))),
    ImageEntry("16-bit colour", "deeprgb.png", lambda: png(WIDE, HIGH, zlib.compress((b"\0" + b"\xdc\xdc\x1e\x1e\x1e\x1e" * WIDE) * HIGH), depth=16), Shown()),
    ImageEntry("grey with alpha", "la.png", lambda: encoded(Image.new("LA", (WIDE, HIGH), (10, 0))), Shown(corner=WHITE)),
    ImageEntry("hidden colour under transparency", "alpha.png", lambda: encoded(Image.new("RGBA", (WIDE, HIGH), (*RED, 0))), Shown(corner=WHITE)),
    ImageEntry("half transparent black", "half.png", lambda: encoded(Image.new("RGBA", (WIDE, HIGH), (0, 0, 0, 128))), Shown(corner=(127, 127, 127))),
    ImageEntry("a palette", "palette.png", palette, Shown()),
    ImageEntry("a palette with a transparent colour", "clear.png", lambda: palette(transparency=0), Shown(corner=WHITE)),
    ImageEntry("a palette with an alpha table", "table.png", lambda: palette(transparency=bytes([0, 255])), Shown(corner=WHITE)),
    ImageEntry("a colour key", "key.png", lambda: encoded(Image.new("RGB", (WIDE, HIGH), RED), transparency=RED), Shown(corner=WHITE)),
    ImageEntry("interlaced GIF", "interlaced.gif", lambda: encoded(quarters("P"), "GIF", interlace=True), Shown()),
    ImageEntry("animated GIF", "moving.gif", lambda: animated("GIF"), Shown()),
    ImageEntry("animated WEBP", "moving.webp", lambda: animated("WEBP"), Shown()),
    ImageEntry("animated PNG", "moving.png", lambda: animated("PNG"), Shown()),
    ImageEntry("WEBP with alpha", "alpha.webp", lambda: encoded(Image.new("RGBA", (WIDE, HIGH), (*RED, 0)), "WEBP", lossless=True), Shown(corner=WHITE)),
    ImageEntry("BMP", "plain.bmp", lambda: encoded(quarters(), "BMP"), Shown()),
    ImageEntry("BMP with alpha", "alpha.bmp", lambda: encoded(quarters("RGBA"), "BMP"), Shown()),
    ImageEntry("one pixel", "one.png", lambda: encoded(Image.new("RGB", (1, 1), RED)), Shown((1, 1))),
    ImageEntry("1 x 20000", "thin.png", lambda: encoded(Image.new("RGB", (1, 20_000), RED)), Shown((1, 20_000))),
    ImageEntry("20000 x 1", "flat.png", lambda: encoded(Image.new("RGB", (20_000, 1), RED)), Shown((20_000, 1))),
    # bombs and lying headers
    ImageEntry("a bomb of 144 megapixels", "bomb.png", one_bit_bomb, LARGE),
    ImageEntry("a header of 4 billion squared", "huge.png", lambda: png(2**31 - 1, 2**31 - 1, b""), LARGE),
    ImageEntry("a PNG of no width", "nowidth.png", lambda: png(0, 9, zlib.compress(b"")), BAD),
    ImageEntry("a PNG of no pixels", "nopixels.png", lambda: png(9, 9, b""), CUT),
    ImageEntry("a PNG of a colour type that there is not", "type9.png", lambda: png(9, 9, zlib.compress(bytes(99)), colour=9), BAD),
    ImageEntry("pixels that unpack to 64 MiB", "endless.png", endless_idat, Shown((8, 8), BLACK)),
    ImageEntry("a comment that unpacks to 64 MiB", "comment.png", text_bomb, Shown((8, 8))),
    ImageEntry("a GIF screen of 4 billion pixels", "screen.gif", lambda: gif_of(65_535, 65_535), LARGE),
    ImageEntry("a BMP of 4 billion pixels", "huge.bmp", lambda: bmp_of(65_000, 65_000), LARGE),
    ImageEntry("a BMP of negative width", "negative.bmp", lambda: bmp_of(-9, 9), LARGE),
    ImageEntry("a BMP without pixels", "empty.bmp", lambda: bmp_of(9, 9), CUT),
    ImageEntry("a WEBP header of 268 million pixels", "huge.webp", lambda: webp_of(16_384, 16_384), LARGE),
    ImageEntry("a JPEG header of 4 billion pixels", "huge.jpg", lambda: jpeg_of(65_500, 65_500), LARGE),
    ImageEntry("a JPEG header of no height", "noheight.jpg", lambda: jpeg_of(9, 0), BAD),
    # extreme shapes, and what is dear to decode
    ImageEntry("49,000,000 x 1", "line.png", lambda: png(49_000_000, 1, zlib.compress(bytes(99), 9)), LONG_SIDE),
    ImageEntry("1 x 49,000,000", "thread.png", lambda: png(1, 49_000_000, zlib.compress(bytes(99), 9)), LONG_SIDE),
    ImageEntry("65,536 x 1", "side.png", lambda: blank(65_536, 1), LONG_SIDE),
    ImageEntry("65,535 x 1", "longest.png", lambda: blank(65_535, 1), Shown((65_535, 1), BLACK)),
    ImageEntry("1 x 65,535", "highest.png", lambda: blank(1, 65_535), Shown((1, 65_535), BLACK)),
    ImageEntry("a WEBP of 20 megapixels", "large.webp", lambda: webp_of(5000, 4000), HEAVY),
    ImageEntry("a WEBP of 20 megapixels without VP8X", "plain.webp", lambda: encoded(Image.new("RGB", (5000, 4000)), "WEBP", method=0), HEAVY),
    ImageEntry("a progressive CMYK JPEG of 24 megapixels", "print.jpg", lambda: encoded(Image.new("CMYK", (6000, 4000)), "JPEG", progressive=True), HEAVY),
    ImageEntry("interlaced PNG", "passes.png", lambda: interlaced(WIDE, HIGH), Shown(corner=BLACK)),
    ImageEntry("a run-length BMP", "runs.bmp", lambda: run_length(300, 5), Shown((300, 5))),
    ImageEntry("a run-length BMP of 9 MB", "longruns.bmp", lambda: run_length(300, 5) + bytes(9 << 20), LADEN),
    ImageEntry("a BMP of negative height", "topdown.bmp", topdown_bmp, Shown()),
    # what is carried beside the pixels
    ImageEntry("EXIF whose entries overlap", "exifbomb.jpg", exif_bomb, Shown()),
    ImageEntry("5000 segments", "segments.jpg", lambda: segments(5000, 2), LADEN),
    ImageEntry("segments of 20 MB", "profile.jpg", lambda: segments(310, 65_000), LADEN),
    ImageEntry("1000 segments of EXIF", "parts.jpg", lambda: segments(1000, 200, b"Exif\0\0"), Shown()),
    ImageEntry("100 kB of junk between segments", "junk.jpg", lambda: b"\xff\xd8\xff" + bytes(100_000), BAD),
    ImageEntry("9 more scans", "scans.jpg", lambda: scans(9), Shown()),
    ImageEntry("9000 scans", "manyscans.jpg", lambda: scans(9000), LADEN),
    ImageEntry("a chunk of 17 MiB", "chunk.png", lambda: blank(8, 8, extra=chunk(b"prVt", bytes(17 << 20))), LADEN),
    ImageEntry("200,000 chunks", "chunks.png", lambda: blank(8, 8, extra=chunk(b"prVt", b"") * 200_000), LADEN),
    ImageEntry("60 texts of 1 MiB each", "texts.png", lambda: blank(8, 8, extra=chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_000_000, 9)) * 60), HEAVY),
    ImageEntry("a PNG with two headers", "headers.png", two_sizes, BAD),
    ImageEntry("a GIF with 10,000 comments", "comments.gif", lambda: comments(10_000), LADEN),
    ImageEntry("a GIF with 10 comments", "fewcomments.gif", lambda: comments(10), Shown((1, 1))),
    ImageEntry("a WEBP file of 65 MiB", "padded.webp", lambda: encoded(quarters(), "WEBP") + bytes(65 << 20), LADEN),
    # damage
    ImageEntry("no bytes", "empty.jpg", lambda: b"", Refused(UnreadableImage, "is empty. Choose another file")),
    ImageEntry("a signature alone", "signature.png", lambda: b"\x89PNG\r\n\x1a\n", BAD),
    ImageEntry("two bytes", "two.jpg", lambda: b"\xff\xd8", NONE),
    ImageEntry("half a JPEG", "half.jpg", lambda: cut(noisy("JPEG")), CUT),
    ImageEntry("half a PNG", "halfpng.png", lambda: cut(noisy("PNG")), CUT),
    ImageEntry("half a WEBP", "half.webp", lambda: cut(noisy("WEBP")), CUT),
    ImageEntry("half a GIF", "half.gif", lambda: cut(noisy("GIF")), CUT),
    ImageEntry("half a BMP", "half.bmp", lambda: cut(noisy("BMP")), CUT),
    ImageEntry("a damaged PNG", "damaged.png", lambda: damaged("PNG"), BAD),
    ImageEntry("a damaged WEBP", "damaged.webp", lambda: damaged("WEBP", 0.002), BAD),
    ImageEntry("zeros", "zeros.jpg", lambda: bytes(4096), NONE),
    ImageEntry("random bytes", "random.png", lambda: np.random.default_rng(1).bytes(4096), NONE),
    # names of files
    ImageEntry("a file name that climbs", "../../../evil.png", lambda: encoded(quarters()), Shown()),
    ImageEntry("an absolute file name", "/etc/cron.d/evil.png", lambda: encoded(quarters()), Shown()),
    ImageEntry("a file name of HTML", "<img src=x onerror=alert(1)>.png", lambda: b"x", NONE),
    ImageEntry("a file name of 300 characters", "n" * 300 + ".png", lambda: b"x", NONE),
    ImageEntry("a file name of emoji and a line that turns around", "🌷\u202egnp.exe.png", lambda: b"x", NONE),
    ImageEntry("a file name of a device", "CON.png", lambda: b"x", NONE),
    # something else under the name of an image
    ImageEntry("text", "notes.png", lambda: b"hello", NONE),
    ImageEntry("SVG", "drawing.png", lambda: SVG, foreign("SVG")),
    ImageEntry("HTML", "page.jpg", lambda: HTML, foreign("HTML")),
    ImageEntry("PostScript that reads a file", "script.png", lambda: EPS, foreign("PostScript")),
    ImageEntry("PDF", "paper.jpg", lambda: b"%PDF-1.7\n" + bytes(99), foreign("PDF")),
    ImageEntry("float TIFF", "float.png", float_tiff, Shown(corner=(128, 128, 128))),
    ImageEntry("a TIFF", "scan.tif", lambda: encoded(quarters(), "TIFF"), Shown()),
    ImageEntry("a TIFF with LZW", "lzw.tiff", lambda: encoded(quarters(), "TIFF", compression="tiff_lzw"), Shown()),
    ImageEntry("a cut TIFF", "cut.tif", lambda: cut(noisy("TIFF")), Refused(TruncatedImage, "is incomplete")),
    ImageEntry("Photoshop", "layers.png", lambda: b"8BPS\0\x01" + bytes(99), foreign("Photoshop")),
    ImageEntry("icon", "icon.png", lambda: encoded(quarters(), "ICO"), foreign("icon")),
    ImageEntry("JPEG 2000", "jp2.jpg", lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), foreign("JPEG 2000")),
    ImageEntry("HEIC", "phone.jpg", lambda: HEIC, Refused(UnsupportedImage, "is a HEIC image, which needs the package")),
    ImageEntry("AVIF", "new.avif", lambda: encoded(quarters(), "AVIF", quality=100), Shown()),
    ImageEntry("the beginning of an AVIF", "new.jpg", lambda: AVIF, BAD),
    ImageEntry("video", "film.jpg", lambda: MP4, foreign("video")),
    ImageEntry("zip", "pack.jpg", lambda: b"PK\x03\x04" + bytes(99), foreign("ZIP")),
    ImageEntry("a pickle", "model.png", lambda: b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", NONE),
    ImageEntry("an ELF program", "program.jpg", lambda: b"\x7fELF\x02\x01\x01" + bytes(99), NONE),
)
