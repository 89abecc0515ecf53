"""What the documents say, read out of their Markdown: code blocks, tables, links and headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
DOCUMENTS = (
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HTML_LINK = re.compile(r'(?:href|src|srcset)="([^"]+)"')
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: What stands behind the fence, such as ``python``.
        document: File name of its document.
        number: Position among all blocks of the document, from 1.
    """

    language: str
    code: str
    document: str
    number: int

    def __str__(self) -> str:
        return f"{self.document}-{self.number}"


def text_of(document: Path) -> str:
    """Return a document."""
    return document.read_text(encoding="utf-8")


def prose_of(document: Path) -> str:
    """Return a document without its blocks of code."""
    return _FENCE.sub("", text_of(document))


def blocks_of(document: Path, language: str) -> list[Block]:
    """Return the blocks of code in a language."""
    found = enumerate(_FENCE.finditer(text_of(document)), start=1)
    blocks = [Block(match[1], match[2], document.name, number) for number, match in found]
    return [block for block in blocks if block.language == language]


def sections_of(document: Path, level: int) -> dict[str, str]:
    """Return what stands below each heading of a level, up to the next heading of that level or above."""
    parts = re.split(rf"^(#{{1,{level}}}) (.+)$", text_of(document), flags=re.MULTILINE)[1:]
    found = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {heading: below for marks, heading, below in found if len(marks) == level}


def rows_of(text: str) -> list[Sequence[str]]:
    """Return the rows of all tables, without their heads."""
    rows: list[Sequence[str]] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            continue
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if all(re.fullmatch(":?-+:?", cell) for cell in cells):
            rows.pop()  # the head stands above the rule
        else:
            rows.append(cells)
    return rows


def links_of(document: Path) -> list[str]:
    """Return the targets of all links and images."""
    prose = _CODE.sub("", prose_of(document))
    return [*_LINK.findall(prose), *_HTML_LINK.findall(prose)]


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = _HEADING.findall(prose_of(document))
    return {_NOT_IN_ANCHORS.sub("", heading).lower().replace(" ", "-") for heading in headings}


def names_of(cell: str) -> list[str]:
    """Return what stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)
