"""Names in zips without an encoding: read by what makes words of them, and told."""

from __future__ import annotations

import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_UTF8_NAME = 0x800
_UNICODE_PATH = 0x7075
_SINGLE_BYTE = ("cp866", "cp1251", "cp850", "cp852", "cp857", "cp737", "cp862", "cp1252", "cp1250", "cp1253")
_MULTI_BYTE = ("cp932", "gbk", "cp949", "big5")
ENCODINGS = (*_SINGLE_BYTE, *_MULTI_BYTE)
"""Encodings that can be named, most likely ones first."""
_FREQUENT = frozenset("оеаинтсрвлкм")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the entries of a zip.

    Attributes:
        decoded: The names in the order of the entries.
        notes: Sentences about how they were read.
    """

    decoded: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_names(infos: Sequence[zipfile.ZipInfo], encoding: str | None = None) -> Names:
    """Return the names of all entries.

    Names are UTF-8 if the entry says so, if it has a Unicode path, or if all of its bytes are UTF-8. For the
    others an encoding is used in which all of them consist of words; it is told in a note.

    Args:
        infos: Entries of the zip.
        encoding: Encoding of names without one, or None to find it.
    """
    known = [_stated_name(info) for info in infos]
    unknown = [_raw(info) for info, name in zip(infos, known, strict=True) if name is None]
    if not unknown:
        return Names(tuple(name or "" for name in known))
    found = encoding or _encoding_of(unknown)
    decoded = tuple(
        name if name is not None else _decode(_raw(info), found or "cp437")
        for info, name in zip(infos, known, strict=True)
    )
    example = next(_decode(raw, found or "cp437").strip("/").split("/")[0] for raw in unknown)
    if found is None:
        return Names(
            decoded,
            (
                f"Names in the zip look garbled, such as “{example}”. Zip the folder again with UTF-8 names, "
                f"or name the encoding: {', '.join(ENCODINGS)} (--encoding in the shell).",
            ),
        )
    if encoding is not None or found == "cp437":
        return Names(decoded)
    return Names(
        decoded,
        (
            f"Names in the zip have no encoding and were read as {found}, such as “{example}”. If they are "
            "wrong, zip the folder again with UTF-8 names, or name the encoding (--encoding in the shell).",
        ),
    )


def _stated_name(info: zipfile.ZipInfo) -> str | None:
    """Return the name if the entry tells its encoding, or if it is UTF-8, else None."""
    name = info.orig_filename
    if info.flag_bits & _UTF8_NAME or name.isascii():
        return name
    raw = _raw(info)
    stated = _unicode_path(info.extra, raw)
    if stated is not None:
        return stated
    try:
        # Many tools write UTF-8 without the flag, and zipfile reads such names as cp437.
        return raw.decode("utf-8")
    except UnicodeError:
        return None


def _raw(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name that zipfile read as cp437."""
    return info.orig_filename.encode("cp437", "replace")


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name of the Info-ZIP Unicode Path field, if it belongs to this name."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        content = extra[at + 4 : at + 4 + length]
        if kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1:
            (checksum,) = struct.unpack_from("<L", content, 1)
            if checksum == zlib.crc32(raw):
                try:
                    return content[5:].decode("utf-8")
                except UnicodeError:
                    return None
        at += 4 + length
    return None


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except (UnicodeError, LookupError):
        return raw.decode("cp437")


def _encoding_of(names: Sequence[bytes]) -> str | None:
    """Return the encoding in which all names consist of words, or None if none or several do."""
    if _are_words(names, "cp437"):
        return "cp437"
    plausible = [encoding for encoding in _SINGLE_BYTE if _are_words(names, encoding)]
    if plausible:
        return max(plausible, key=lambda encoding: _frequency(names, encoding))
    several = [encoding for encoding in _MULTI_BYTE if _are_words(names, encoding)]
    return several[0] if len(several) == 1 else None


def _are_words(names: Sequence[bytes], encoding: str) -> bool:
    try:
        texts = [raw.decode(encoding) for raw in names]
    except UnicodeError:
        return False
    return all(_is_text(text) for text in texts)


def _is_text(text: str) -> bool:
    """Return whether all characters outside ASCII are letters, in words of one script and usual case."""
    if any(not char.isascii() and unicodedata.category(char)[0] not in "LM" for char in text):
        return False
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        scripts = {_script(char) for char in word}
        inner = word[1:]
        strange = any(script.startswith("?") for script in scripts)
        if strange or len(scripts - {"COMBINING"}) > 1 or (inner != inner.lower() and word != word.upper()):
            return False
    return True


def _script(char: str) -> str:
    """Return the script of a letter; those of Japanese are one, and halfwidth letters are none."""
    script = unicodedata.name(char, "?").split(" ")[0]
    if script == "HALFWIDTH":
        return f"? {char}"
    return "JAPANESE" if script in ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA") else script


def _frequency(names: Sequence[bytes], encoding: str) -> float:
    """Return the fraction of frequent letters, which tells encodings of one script apart."""
    letters = [char for raw in names for char in raw.decode(encoding).lower() if not char.isascii()]
    return sum(char in _FREQUENT for char in letters) / max(1, len(letters))
