"""Zips and CSVs of images, each with the classes it should give or the reason why it is refused."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO

from loravit_web.datasets.errors import (
    AmbiguousLayout,
    ArchiveLink,
    ArchiveTooLarge,
    ClassNameTooLong,
    ClassTooSmall,
    CsvPathOutside,
    DamagedArchive,
    DuplicateEntry,
    EncryptedArchive,
    InvalidCsv,
    NoLabelColumns,
    TooFewClasses,
    TooManyClasses,
    TooManyEntries,
    UnsafeArchivePath,
)
from loravit_web.settings.limits import Limits
from tests.corpus.answers import Refused
from tests.datasets.makers import images, png

SMALL = Limits(files=3000, unpacked_mib=40, classes=50)
"""The limits under which the corpus is imported, so that reaching them takes a moment."""


@dataclass(frozen=True)
class Imported:
    """The classes that should come out, and how many files are listed as skipped."""

    classes: tuple[str, ...] = ("cat", "dog")
    skipped: int = 0


@dataclass(frozen=True)
class ArchiveEntry:
    """A zip."""

    name: str
    make: Callable[[], bytes]
    answer: Imported | Refused


@dataclass(frozen=True)
class CsvEntry:
    """A CSV, whose images lie in `IMAGES_OF_CSV`."""

    name: str
    make: Callable[[], bytes]
    answer: Imported | Refused


GOOD = images(["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"])
MORE = {f"x/{number}.png": png(100 + number) for number in range(9)}
ANY = GOOD["cat/1.png"]


def zipped(
    files: Mapping[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]], how: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A zip; a list may name a file twice."""
    buffer = BytesIO()
    pairs = list(files.items()) if isinstance(files, Mapping) else files
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in pairs:
            archive.writestr(name, data, compress_type=how)
    return buffer.getvalue()


def beside(*more: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """The good images and something else."""
    return zipped([*GOOD.items(), *more])


def special(name: str, mode: int) -> zipfile.ZipInfo:
    """An entry of another kind than a file: a link, a device."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """The same length with some bytes exchanged everywhere."""
    assert old in data
    assert len(old) == len(new)
    return data.replace(old, new)


def encrypted() -> bytes:
    """Every entry marked as encrypted."""
    data = bytearray(zipped(GOOD))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    return bytes(data)


def lying_sizes(size: int) -> bytes:
    """A zip whose headers say that every file unpacks to `size` bytes."""
    data = bytearray(zipped({**GOOD, "dog/3.png": bytes(20 << 20)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.find(signature)
        while at >= 0:
            struct.pack_into("<I", data, at + offset, size)
            at = data.find(signature, at + 4)
    return bytes(data)


def overlapping() -> bytes:
    """Many entries that all name the same compressed bytes, as the smallest bombs do."""
    inner = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = inner.compress(bytes(9 << 20)) + inner.flush()
    crc = zlib.crc32(bytes(9 << 20))
    body = (
        struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, len(packed), 9 << 20, 9, 0)
        + b"cat/0.png"
        + packed
    )
    table = b""
    for number in range(40):
        name = f"{'cat' if number % 2 else 'dog'}/{number}.png".encode()
        table += (
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\x01\x02",
                20,
                20,
                0,
                8,
                0,
                0,
                crc,
                len(packed),
                9 << 20,
                len(name),
                0,
                0,
                0,
                0,
                0,
                0,
            )
            + name
        )
    return body + table + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 40, 40, len(table), len(body), 0)


def end_of_table(entries: int, size: int, offset: int) -> bytes:
    """The record at the end of a zip, saying whatever."""
    return struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, entries, entries, size, offset, 0)


def table_of(count: int, told: int, name: bytes = b"") -> bytes:
    """A zip that is a table of contents alone, with so many entries, which tells of another number."""
    fixed = (20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0)
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *fixed) + name
    return entry * count + end_of_table(told, len(entry) * count, 0)


def wide_table(told: int) -> bytes:
    """A zip with a ZIP64 record that tells of so many entries."""
    data = zipped(GOOD)
    at = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, at + 12)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, told, told, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    return data[:at] + record + locator + end_of_table(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def quoted() -> bytes:
    """Files that lie inside one another, each with a name and a header of its own."""
    inner = zipped(GOOD, zipfile.ZIP_STORED)
    table, end = inner.index(b"PK\x01\x02"), inner.rindex(b"PK\x05\x06")
    first = inner.index(b"PK\x01\x02") + 20
    longer = inner[:first] + struct.pack("<II", 2 * len(ANY), 2 * len(ANY)) + inner[first + 8 :]
    return longer[:table] + longer[table:end] + longer[end:]


def raw_names(*names: bytes) -> bytes:
    """Images under names that are no UTF-8 and don't say what they are."""
    files = [(f"{number:0{len(name)}d}", name) for number, name in enumerate(names)]
    data = zipped([(placeholder, MORE[f"x/{number}.png"]) for number, (placeholder, _) in enumerate(files)])
    for placeholder, name in files:
        data = patched(data, placeholder.encode(), name)
    return data


def nested(depth: int) -> bytes:
    """A zip in a zip in a zip."""
    data = zipped(GOOD)
    for _ in range(depth):
        data = zipped({"inner.zip": data})
    return data


def many_files(count: int) -> bytes:
    """More entries than an import may have."""
    return zipped({f"cat/{number}.png": b"" for number in range(count)}, zipfile.ZIP_STORED)


def bomb(how: int) -> bytes:
    """One file that grows a thousandfold."""
    return zipped({**GOOD, "cat/bomb.png": bytes(60 << 20)}, how)


OUTSIDE = Refused(UnsafeArchivePath, "which leads outside of it. Zip the folder again")
DAMAGED = Refused(DamagedArchive, "zip")
LINK = Refused(ArchiveLink, "is a link. Zip the images themselves")
LARGE = Refused(ArchiveTooLarge, "is above 200, which is not plausible for images")
LOCKED = Refused(EncryptedArchive, "protected by a password. Zip it again without a password")
TWICE = Refused(DuplicateEntry, "twice. Zip the folder again")
NOTHING = Refused(TooFewClasses, "At least two classes are needed")
LONG = "x" * 300

# fmt: off
ARCHIVES: tuple[ArchiveEntry, ...] = (
    ArchiveEntry("class folders", lambda: zipped(GOOD), Imported()),
    ArchiveEntry("stored without compression", lambda: zipped(GOOD, zipfile.ZIP_STORED), Imported()),
    ArchiveEntry("packed with bzip2", lambda: zipped(GOOD, zipfile.ZIP_BZIP2), Imported()),
    ArchiveEntry("inside two folders", lambda: zipped({f"a/b/{path}": data for path, data in GOOD.items()}), Imported()),
    ArchiveEntry("what macOS and Windows add", lambda: beside(("__MACOSX/cat/._1.png", b"x"), ("cat/.DS_Store", b"x"), ("cat/Thumbs.db", b"x")), Imported(skipped=3)),
    ArchiveEntry("backslashes of Windows", lambda: zipped([(path.replace("/", "\\"), data) for path, data in GOOD.items()]), Imported()),
    ArchiveEntry("junk in front, as in a self-extractor", lambda: b"MZ" + bytes(500) + zipped(GOOD), Imported()),
    ArchiveEntry("junk behind", lambda: zipped(GOOD) + b"junk" * 25, Imported()),
    ArchiveEntry("a comment", lambda: zipped(GOOD)[:-2] + b"\x05\0hello", Imported()),
    # paths
    ArchiveEntry("zip slip", lambda: beside(("../../evil.png", ANY)), OUTSIDE),
    ArchiveEntry("zip slip in the middle", lambda: beside(("cat/../../../evil.png", ANY)), OUTSIDE),
    ArchiveEntry("zip slip with backslashes", lambda: beside(("..\\..\\evil.png", ANY)), OUTSIDE),
    ArchiveEntry("an absolute path", lambda: beside(("/etc/cron.d/evil.png", ANY)), OUTSIDE),
    ArchiveEntry("a drive", lambda: beside(("C:\\Windows\\evil.png", ANY)), OUTSIDE),
    ArchiveEntry("a network share", lambda: beside(("\\\\host\\share\\evil.png", ANY)), OUTSIDE),
    ArchiveEntry("a NUL in a name", lambda: patched(beside(("cat/zzz.png", ANY)), b"cat/zzz", b"cat/\0zz"), OUTSIDE),
    ArchiveEntry("a symbolic link", lambda: beside((special("cat/link.png", 0o120777), b"/etc/passwd")), LINK),
    ArchiveEntry("a link to a folder", lambda: beside((special("cat/link", 0o120777), b"..")), LINK),
    ArchiveEntry("a device", lambda: beside((special("cat/null.png", 0o020666), b"")), LINK),
    ArchiveEntry("a pipe", lambda: beside((special("cat/pipe.png", 0o010666), b"")), LINK),
    ArchiveEntry("device names of Windows", lambda: beside(("cat/CON.png", MORE["x/1.png"]), ("dog/nul.jpg", MORE["x/2.png"])), Imported()),
    ArchiveEntry("the same name twice", lambda: beside(("cat/1.png", MORE["x/1.png"])), TWICE),
    ArchiveEntry("the same path in two spellings", lambda: beside(("cat/./1.png", MORE["x/1.png"])), TWICE),
    ArchiveEntry("names of one file that differ by case", lambda: beside(("cat/A.png", MORE["x/1.png"]), ("cat/a.png", MORE["x/2.png"])), Imported()),
    ArchiveEntry("names in Latin-1", lambda: raw_names(b"caf\xe9/1.png", b"caf\xe9/2.png", b"the0/1.png", b"the0/2.png"), Imported(("café", "the0"))),
    ArchiveEntry("names in UTF-8 that don't say so", lambda: raw_names("žut/1.png".encode(), "žut/2.png".encode(), b"the0/1.png", b"the0/2.png"), Imported(("the0", "žut"))),
    ArchiveEntry("names of emoji", lambda: zipped({path.replace("cat", "🐈").replace("dog", "🐕"): data for path, data in GOOD.items()}), Imported(("🐈", "🐕"))),
    ArchiveEntry("control and bidi characters in names", lambda: zipped({path.replace("cat", "c\x07a\u202et"): data for path, data in GOOD.items()}), Imported()),
    ArchiveEntry("HTML in names", lambda: zipped({path.replace("cat", "<img src=x onerror=alert(1)>"): data for path, data in GOOD.items()}), Imported(("<img src=x onerror=alert(1)>", "dog"))),
    ArchiveEntry("a class name of 300 characters", lambda: zipped({path.replace("cat", LONG): data for path, data in GOOD.items()}), Refused(ClassNameTooLong, "has 300 characters, and the limit is 80. Shorten it")),
    ArchiveEntry("a path of 60,000 characters", lambda: beside(("cat/" + "d/" * 29_990 + "1.png", MORE["x/1.png"])), Imported(skipped=1)),
    # bombs and lies
    ArchiveEntry("a bomb", lambda: bomb(zipfile.ZIP_DEFLATED), LARGE),
    ArchiveEntry("a bomb in bzip2", lambda: bomb(zipfile.ZIP_BZIP2), LARGE),
    ArchiveEntry("a bomb of overlapping files", overlapping, Refused(DamagedArchive, "overlap")),
    ArchiveEntry("sizes that say little", lambda: lying_sizes(10), Refused(DamagedArchive, "damaged")),
    ArchiveEntry("sizes that say 4 GiB", lambda: lying_sizes(2**32 - 2), LARGE),
    ArchiveEntry("more unpacked bytes than allowed", lambda: zipped({f"{'cat' if n % 2 else 'dog'}/{n}.png": bytes(5 << 20) for n in range(9)}, zipfile.ZIP_STORED), Refused(ArchiveTooLarge, "Use fewer or smaller images")),
    ArchiveEntry("more files than allowed", lambda: many_files(3001), Refused(TooManyEntries, "3001 entries, and the limit is 3000")),
    ArchiveEntry("a million entries in 46 MB, as it says", lambda: table_of(1_000_000, 1_000_000 % 65536), Refused(TooManyEntries, "entries, and the limit is 3000")),
    ArchiveEntry("5000 entries that say they are 4", lambda: table_of(5000, 4), Refused(TooManyEntries, "3001 entries, and the limit is 3000")),
    ArchiveEntry("4 entries that say they are 5000", lambda: table_of(4, 5000), Refused(TooManyEntries, "5000 entries, and the limit is 3000")),
    ArchiveEntry("4 entries that say they are 5", lambda: table_of(4, 5), DAMAGED),
    ArchiveEntry("names of 3 MB in all", lambda: table_of(50, 50, b"n" * 65_000), Refused(TooManyEntries, "Use shorter names for folders and images")),
    ArchiveEntry("ZIP64 that tells the truth", lambda: wide_table(4), Imported()),
    ArchiveEntry("ZIP64 that tells of 2^60 entries", lambda: wide_table(2**60), Refused(TooManyEntries, "and the limit is 3000")),
    ArchiveEntry("a table inside the comment of another", lambda: zipped(GOOD)[:-2] + struct.pack("<H", 22) + end_of_table(9, 999, 0), DAMAGED),
    ArchiveEntry("files inside one another", quoted, Refused(DamagedArchive, "overlap")),
    ArchiveEntry("an endless path that climbs", lambda: beside(("../" * 9000, ANY)), Refused(UnsafeArchivePath, "…")),
    ArchiveEntry("packed with LZMA", lambda: zipped(GOOD, zipfile.ZIP_LZMA), Refused(DamagedArchive, "unsupported compression")),
    ArchiveEntry("encrypted", encrypted, LOCKED),
    ArchiveEntry("a zip in a zip", lambda: nested(1), NOTHING),
    ArchiveEntry("a zip in a zip in 30 zips", lambda: nested(30), NOTHING),
    # damage
    ArchiveEntry("no bytes", lambda: b"", DAMAGED),
    ArchiveEntry("an empty zip", lambda: zipped({}), NOTHING),
    ArchiveEntry("text named .zip", lambda: b"hello", DAMAGED),
    ArchiveEntry("an image named .zip", lambda: ANY, DAMAGED),
    ArchiveEntry("a tar named .zip", lambda: b"cat/1.png" + bytes(1015), DAMAGED),
    ArchiveEntry("half a zip", lambda: zipped(GOOD)[:300], DAMAGED),
    ArchiveEntry("a zip without its end", lambda: zipped(GOOD)[:-10], DAMAGED),
    ArchiveEntry("a damaged checksum", lambda: patched(zipped(GOOD, zipfile.ZIP_STORED), ANY[40:60], bytes(20)), DAMAGED),
    ArchiveEntry("a table of contents beyond the end", lambda: zipped(GOOD)[:-6] + struct.pack("<IH", 2**31, 0), DAMAGED),
    # layouts
    ArchiveEntry("images without class folders", lambda: zipped({"1.png": ANY, "2.png": MORE["x/1.png"]}), NOTHING),
    ArchiveEntry("one class", lambda: zipped({path: data for path, data in GOOD.items() if "cat" in path}), Refused(TooFewClasses, "only the class “cat”")),
    ArchiveEntry("a class of one image", lambda: beside(("hen/1.png", MORE["x/1.png"])), Refused(ClassTooSmall, "“hen” has only 1 training image")),
    ArchiveEntry("a class whose images are all broken", lambda: beside(("hen/1.png", b"x"), ("hen/2.png", b"y")), Imported(skipped=2)),
    ArchiveEntry("only notes", lambda: zipped({"cat/a.txt": b"x", "dog/b.doc": b"y"}), NOTHING),
    ArchiveEntry("splits beside classes", lambda: zipped([*((f"train/{path}", data) for path, data in GOOD.items()), ("hen/1.png", ANY)]), Refused(AmbiguousLayout, "is beside train/")),
    ArchiveEntry("more classes than allowed", lambda: zipped({f"class {n // 2}/{n}.png": b"" for n in range(102)}), Refused(TooManyClasses, "51 classes, and the limit is 50")),
    ArchiveEntry("no image but empty files", lambda: zipped(dict.fromkeys(GOOD, b"")), NOTHING),
)

IMAGES_OF_CSV = zipped(GOOD)
ROWS = "\n".join(f"{path},{path[:3]}" for path in GOOD)
"""What every good CSV says after its header."""


def csv(text: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    """A CSV of this text."""
    return lambda: text.encode(encoding)


HEADER = Refused(NoLabelColumns, "has no columns path and label")
CSVS: tuple[CsvEntry, ...] = (
    CsvEntry("a plain CSV", csv(f"path,label\n{ROWS}\n"), Imported()),
    CsvEntry("semicolons, a byte order mark and Windows line ends", csv("\ufeff" + f"path,label\n{ROWS}".replace(",", ";").replace("\n", "\r\n")), Imported()),
    CsvEntry("tabs, capitals and another order", csv("Label\tNote\tPATH\n" + "\n".join(f"{path[:3]}\t\t{path}" for path in GOOD)), Imported()),
    CsvEntry("quotes and blank lines", csv("path,label\n\n" + "\n\n".join(f'"{path}","{path[:3]}"' for path in GOOD)), Imported()),
    CsvEntry("files that are not there", csv(f"path,label\n{ROWS}\ncat/9.png,cat"), Imported(skipped=1)),
    CsvEntry("no bytes", csv(""), HEADER),
    CsvEntry("no header", csv(ROWS), HEADER),
    CsvEntry("a header alone", csv("path,label\n"), NOTHING),
    CsvEntry("UTF-16", csv(f"path,label\n{ROWS}", "utf-16"), Refused(InvalidCsv, "is not UTF-8 text. Save it as a UTF-8 CSV")),
    CsvEntry("Latin-1", csv(f"path,label\n{ROWS}\ncat/1.png,café", "latin-1"), Refused(InvalidCsv, "is not UTF-8 text")),
    CsvEntry("an image named .csv", lambda: ANY, Refused(InvalidCsv, "")),
    CsvEntry("an open quote", csv(f'path,label\n{ROWS}\n"cat/1.png,cat'), Refused(InvalidCsv, "is not a valid CSV")),
    CsvEntry("a cell of 200,000 characters", csv(f"path,label\n{ROWS}\ncat/1.png,{'x' * 200_000}"), Refused(InvalidCsv, "is not a valid CSV")),
    CsvEntry("a NUL", csv(f"path,label\n{ROWS}\ncat/\0.png,cat"), Refused(InvalidCsv, "")),
    CsvEntry("a row without a label", csv(f"path,label\n{ROWS}\ncat/1.png"), Refused(InvalidCsv, "Line 6 of")),
    CsvEntry("a split that there is not", csv("path,label,split\ncat/1.png,cat,someday"), Refused(InvalidCsv, "the unknown split “someday”. Use train, val or test")),
    CsvEntry("a path that climbs", csv(f"path,label\n{ROWS}\n../../etc/passwd,cat"), Refused(CsvPathOutside, "outside the folder of the CSV")),
    CsvEntry("an absolute path", csv(f"path,label\n{ROWS}\n/etc/passwd,cat"), Refused(CsvPathOutside, "outside the folder of the CSV")),
    CsvEntry("a drive", csv(f"path,label\n{ROWS}\nC:\\x.png,cat"), Refused(CsvPathOutside, "outside the folder of the CSV")),
    CsvEntry("a label of 300 characters", csv(f"path,label\n{ROWS}\ncat/1.png,{LONG}"), Refused(ClassNameTooLong, "has 300 characters")),
    CsvEntry("labels that a spreadsheet computes", csv("path,label\n" + "\n".join(f"{path},=cmd|' /C calc'!{path[:3]}" for path in GOOD)), Imported(("=cmd|' /C calc'!cat", "=cmd|' /C calc'!dog"))),
    CsvEntry("a header of 3 MB", lambda: b"path,label," + b"x" * 3_000_000, Refused(InvalidCsv, "has a row of more than 1048576 characters")),
    CsvEntry("a line of 3 MB", csv(f"path,label\n{ROWS}\n" + "x" * 3_000_000), Refused(InvalidCsv, "has a row of more than")),
    CsvEntry("a million columns", csv(f"path,label\n{ROWS}\ncat/1.png,cat" + "," * 1_100_000), Refused(InvalidCsv, "has a row of more than")),
    CsvEntry("a row that goes on over 600,000 lines", csv(f'path,label\n{ROWS}\n"' + '\n","' * 600_000), Refused(InvalidCsv, "has a row of more than")),
    CsvEntry("rows of 6 MB in all", csv("path,label,note\n" + "\n".join(f"{path},{path[:3]},{'n' * 5000}" for path in GOOD) + f"\ncat/1.png,cat,{'n' * 9000}" * 600), Refused(InvalidCsv, "is too long. Use only the columns")),
    CsvEntry("more rows than allowed", csv("path,label\n" + "cat/1.png,cat\n" * 3001), Refused(TooManyEntries, "more than 3000 rows")),
)
