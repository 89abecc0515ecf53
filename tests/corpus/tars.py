"""Tars of images, each with the classes that it should give or the reason why it is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
from collections.abc import Callable, Mapping

from loravit_web.datasets.errors import (
    ArchiveLink,
    ArchiveTooLarge,
    DamagedArchive,
    DuplicateEntry,
    TooFewClasses,
    TooManyEntries,
    UnsafeArchivePath,
)
from tests.corpus.answers import Refused
from tests.corpus.archives import GOOD, MORE, ArchiveEntry, Imported

ANY = MORE["x/1.png"]
Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, data: bytes = b"", **fields: object) -> Member:
    """An entry with whatever its header says."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tarred(files: Mapping[str, bytes], *more: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of files and other entries, not compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, data in (*(member(name, data) for name, data in files.items()), *more):
            archive.addfile(info, io.BytesIO(data) if data else None)
    return buffer.getvalue()


def packed(*more: Member, form: int = tarfile.PAX_FORMAT) -> Callable[[], bytes]:
    """The good images and something else, compressed."""
    return lambda: gzip.compress(tarred(GOOD, *more, form=form), mtime=0)


def header(name: bytes, size: bytes, kind: bytes, *, correct: bool = True) -> bytes:
    """A block whose fields are written by hand."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108], block[124:136], block[156:157] = b"0000644\0", size.ljust(12, b"\0")[:12], kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    total = sum(block) if correct else 1
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def by_hand(*blocks: bytes) -> Callable[[], bytes]:
    """The good images, then blocks, then the end, compressed."""
    good = tarred(GOOD).rstrip(b"\0")
    good += bytes(-len(good) % 512)
    return lambda: gzip.compress(b"".join((good, *blocks, bytes(1024))), mtime=0)


def negative() -> bytes:
    """A size below zero in the binary form of GNU tar."""
    return b"\xff" * 8 + b"\xff\xff\xfe\x00"


def cut(keep: float) -> Callable[[], bytes]:
    """A part of a compressed tar."""
    whole = gzip.compress(tarred(GOOD), mtime=0)
    return lambda: whole[: int(len(whole) * keep)]


def without_end(drop: int = 0) -> bytes:
    """A tar whose last file is missing together with the end."""
    plain = tarred(GOOD).rstrip(b"\0")
    return plain[: len(plain) - len(plain) % 512 - drop]


OUTSIDE = Refused(UnsafeArchivePath, "which leads outside of it. Zip the folder again")
LINK = Refused(ArchiveLink, "is a link. Zip the images themselves")
DAMAGED = Refused(DamagedArchive, "damaged")
LARGE = Refused(ArchiveTooLarge, "is above 200, which is not plausible for images")

# fmt: off
TARS: tuple[ArchiveEntry, ...] = (
    ArchiveEntry("a tar", lambda: tarred(GOOD), Imported()),
    ArchiveEntry("a tar with gzip", packed(), Imported()),
    ArchiveEntry("of the oldest form", packed(form=tarfile.USTAR_FORMAT), Imported()),
    ArchiveEntry("of GNU's form", packed(form=tarfile.GNU_FORMAT), Imported()),
    ArchiveEntry("with folders, and ./ before each name", lambda: gzip.compress(tarred({f"./pets/{path}": data for path, data in GOOD.items()}, member("./pets/cat", type=tarfile.DIRTYPE))), Imported()),
    ArchiveEntry("long names in PAX", packed(member("dog/" + "n" * 200 + ".png", ANY)), Imported()),
    ArchiveEntry("long names in GNU's form", packed(member("dog/" + "n" * 200 + ".png", ANY), form=tarfile.GNU_FORMAT), Imported()),
    ArchiveEntry("a name that is no UTF-8", by_hand(header(b"dog/\xff.png", b"00000000000", b"0")), Imported(skipped=1)),
    ArchiveEntry("what macOS adds", packed(member("cat/._1.png", b"x"), member("__MACOSX/cat/._2.png", b"x")), Imported(skipped=2)),
    ArchiveEntry("several streams of gzip", lambda: gzip.compress(tarred(GOOD)[:3000]) + gzip.compress(tarred(GOOD)[3000:]), Imported()),
    # paths and kinds
    ArchiveEntry("climbs", packed(member("../../evil.png", ANY)), OUTSIDE),
    ArchiveEntry("climbs in the middle", packed(member("cat/../../evil.png", ANY)), OUTSIDE),
    ArchiveEntry("an absolute path", packed(member("/etc/cron.d/evil.png", ANY)), OUTSIDE),
    ArchiveEntry("a drive", packed(member("C:\\evil.png", ANY)), OUTSIDE),
    ArchiveEntry("a symbolic link", packed(member("cat/link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")), LINK),
    ArchiveEntry("a hard link", packed(member("cat/link.png", type=tarfile.LNKTYPE, linkname="cat/1.png")), LINK),
    ArchiveEntry("a hard link that climbs", packed(member("cat/link.png", type=tarfile.LNKTYPE, linkname="../../etc/passwd")), LINK),
    ArchiveEntry("a device", packed(member("cat/null.png", type=tarfile.CHRTYPE)), LINK),
    ArchiveEntry("a disk", packed(member("cat/disk.png", type=tarfile.BLKTYPE)), LINK),
    ArchiveEntry("a pipe", packed(member("cat/pipe.png", type=tarfile.FIFOTYPE)), LINK),
    ArchiveEntry("an unknown kind", by_hand(header(b"cat/x.png", b"00000000000", b"Z")), LINK),
    ArchiveEntry("a sparse file", by_hand(header(b"cat/x.png", b"00000000000", b"S")), LINK),
    ArchiveEntry("the same name twice", packed(member("cat/1.png", ANY)), Refused(DuplicateEntry, "twice. Zip the folder again")),
    ArchiveEntry("the same name in two spellings", packed(member("./cat//1.png", ANY)), Refused(DuplicateEntry, "twice")),
    # bombs and lies
    ArchiveEntry("a bomb", packed(member("cat/bomb.png", bytes(60 << 20))), LARGE),
    ArchiveEntry("a bomb that is no image", packed(member("notes.txt", bytes(60 << 20))), LARGE),
    ArchiveEntry("a bomb in a name", by_hand(header(b"././@LongLink", b"00400000000", b"L"), bytes(30 << 20)), DAMAGED),
    ArchiveEntry("a name of 3 MB", by_hand(header(b"././@LongLink", b"00014000000", b"L"), b"n" * (3 << 20), header(b"cat/x.png", b"00000000000", b"0")), DAMAGED),
    ArchiveEntry("a PAX header of 3 MB", by_hand(header(b"pax", b"00014000000", b"x"), b"n" * (3 << 20)), DAMAGED),
    ArchiveEntry("5000 headers before a file", by_hand(*[header(b"pax", b"00000000013", b"x") + b"11 path=ab\n".ljust(512, b"\0")] * 5000), DAMAGED),
    ArchiveEntry("more unpacked bytes than allowed", lambda: tarred({f"{'cat' if n % 2 else 'dog'}/{n}.png": bytes(5 << 20) for n in range(9)}), Refused(ArchiveTooLarge, "Use fewer or smaller images")),
    ArchiveEntry("more entries than allowed", lambda: gzip.compress(tarred({f"cat/{n}.png": b"" for n in range(3001)}), 1), Refused(TooManyEntries, "3001 entries, and the limit is 3000")),
    ArchiveEntry("more folders than allowed", lambda: gzip.compress(tarred({}, *(member(f"d{n}", type=tarfile.DIRTYPE) for n in range(3001))), 1), Refused(TooManyEntries, "3001 entries")),
    ArchiveEntry("a size of 8 EiB", by_hand(header(b"cat/x.png", b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", b"0")), DAMAGED),
    ArchiveEntry("a size below zero", by_hand(header(b"cat/x.png", negative(), b"0")), DAMAGED),
    ArchiveEntry("a size that is no number", by_hand(header(b"cat/x.png", b"zzzzzzzzzzz", b"0")), DAMAGED),
    ArchiveEntry("a size of PAX below zero", by_hand(header(b"pax", b"00000000014", b"x") + b"12 size=-99\n".ljust(512, b"\0"), header(b"cat/x.png", b"00000000000", b"0")), DAMAGED),
    # damage
    ArchiveEntry("no bytes", lambda: b"", DAMAGED),
    ArchiveEntry("text", lambda: b"hello" * 500, DAMAGED),
    ArchiveEntry("an image", lambda: ANY, DAMAGED),
    ArchiveEntry("gzip of text", lambda: gzip.compress(b"hello" * 500), DAMAGED),
    ArchiveEntry("gzip of nothing", lambda: gzip.compress(b""), DAMAGED),
    ArchiveEntry("a header of gzip alone", lambda: gzip.compress(b"")[:8], DAMAGED),
    ArchiveEntry("half a tar", cut(0.5), DAMAGED),
    ArchiveEntry("a tar without its last bytes", cut(0.99), DAMAGED),
    ArchiveEntry("a tar without its end", lambda: gzip.compress(without_end()), DAMAGED),
    ArchiveEntry("a tar without its last block", lambda: gzip.compress(without_end(512)), DAMAGED),
    ArchiveEntry("a damaged header in the middle", lambda: gzip.compress(tarred(GOOD).replace(b"cat/2.png\0", b"cat/9.png\0")), DAMAGED),
    ArchiveEntry("a wrong checksum of a header", by_hand(header(b"cat/x.png", b"00000000000", b"0", correct=False)), DAMAGED),
    ArchiveEntry("a damaged checksum of gzip", lambda: gzip.compress(tarred(GOOD))[:-8] + bytes(8), DAMAGED),
    ArchiveEntry("compressed with bzip2", lambda: bz2.compress(tarred(GOOD)), DAMAGED),
    ArchiveEntry("an empty tar", lambda: gzip.compress(tarred({})), Refused(TooFewClasses, "At least two classes are needed")),
    ArchiveEntry("a tar in a tar", lambda: gzip.compress(tarred({"inner.tar": tarred(GOOD)})), Refused(TooFewClasses, "At least two classes are needed")),
)
