"""The page in another language: the one that Gradio renders, with the texts of one built in that language.

Gradio describes one page for all visitors, in the language in which it was built. It can translate labels in
the browser (``gr.I18n``), but no HTML, no number with its noun, and nothing that an event returns.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from loravit_web.util.files import write_atomic

_LOG = logging.getLogger(__name__)
_CONFIG = "window.gradio_config = "
_ENGLISH_PAGE = 'lang="en"'
_TEXTS = ("label", "info", "placeholder", "value", "choices", "headers", "title")
"""Properties of components that hold texts."""
_NOT_IN_SCRIPTS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"}


@dataclass(frozen=True)
class PageTexts:
    """The texts of a page in a language.

    Attributes:
        language: Code of the language.
        components: Properties with texts, of each component in the order in which the page was built.
        events: Script of each event, which may contain texts, in the same order.
        head: Content for the head of the page.
    """

    language: str
    components: Sequence[Mapping[str, Any]]
    events: Sequence[Any]
    head: str


def texts_in(config: Mapping[str, Any], language: str, head: str) -> PageTexts:
    """Return the texts of a page.

    Args:
        config: Gradio's description of the page, built in the language.
        language: Code of the language.
        head: Content for the head of the page.
    """
    return PageTexts(
        language,
        [
            {name: component["props"][name] for name in _TEXTS if name in component["props"]}
            for component in config["components"]
        ],
        [event["js"] for event in config["dependencies"]],
        head,
    )


def kept_texts(path: Path, english: PageTexts, sources: Path, build: Callable[[], PageTexts]) -> PageTexts:
    """Return the texts of a page in a language, built or as they were kept at an earlier start.

    Args:
        path: File to keep them in. One that cannot be read is replaced.
        english: Texts of the same page in English, which change with the page.
        sources: Folder of everything else that the texts are made from.
        build: Builds them.
    """
    identity = _identity(english, sources)
    try:
        kept = json.loads(path.read_bytes())
        if kept["identity"] == identity:
            return PageTexts(**kept["texts"])
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
        pass  # there is none yet, or it is damaged
    texts = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, json.dumps({"identity": identity, "texts": asdict(texts)}).encode())
    except OSError as error:
        _LOG.warning("%s cannot be written (%s). The next start builds the page again.", path, error.strerror)
    return texts


def _identity(english: PageTexts, sources: Path) -> str:
    """Return a hash of the texts in English, and of names, sizes and times of all source files."""
    found = hashlib.sha256(json.dumps(asdict(english), sort_keys=True).encode())
    for file in sorted(sources.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            status = file.stat()
            found.update(f"{file.relative_to(sources)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def with_texts(page: str, texts: PageTexts) -> str:
    """Return an English page with the texts of another language.

    Args:
        page: HTML of the page as Gradio renders it.
        texts: Texts of the same page, built in the other language.
    """
    before, _, rest = page.partition(_CONFIG)
    config, end = json.JSONDecoder().raw_decode(rest)
    for component, own in zip(config["components"], texts.components, strict=True):
        component["props"].update(own)
    for event, script in zip(config["dependencies"], texts.events, strict=True):
        event["js"] = script
    config["head"] = texts.head
    head = before.replace(_ENGLISH_PAGE, f'lang="{texts.language}"', 1)
    return f"{head}{_CONFIG}{_script_json(config)}{rest[end:]}"


def _script_json(value: Any) -> Markup:
    """Return a value as JSON that cannot end the script that contains it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign, escaped in _NOT_IN_SCRIPTS.items():
        text = text.replace(sign, escaped)
    return Markup(text)
