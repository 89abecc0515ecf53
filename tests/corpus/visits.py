"""Sending entries of the corpus to a running app, and what is wrong with its replies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loravit_web.adapters.files.bundle import Bundle, write_bundle
from loravit_web.util.text import clean_text
from tests.corpus.adapters import BundleEntry, Files, Published
from tests.corpus.answers import Refused, leak_in
from tests.corpus.archives import IMAGES_OF_CSV, ArchiveEntry, CsvEntry, Imported
from tests.corpus.images import ImageEntry, encoded, quarters
from tests.corpus.names import NameEntry
from tests.corpus.requests import RequestEntry
from tests.corpus.visitor import Reply, Visitor

SQUARE = encoded(quarters())
NOTHING = object()
"""Fewer values than the event takes."""
GARBAGE: tuple[Any, ...] = (
    NOTHING,
    None,
    "",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "x" * 100_000,
    -1,
    10**30,
    [],
    [["x"], {"y": None}],
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"__type__": "update", "value": "x"},
)


@dataclass(frozen=True)
class Place:
    """Where a running app is.

    Attributes:
        home: its data folder, of which no visitor may see the path.
        served: Gradio's folder, whose paths are part of its protocol.
        task: a task that can be asked.
    """

    visitor: Visitor
    home: Path
    served: Path
    task: str

    def leaks(self, text: str) -> list[str]:
        """What a reply shows of the machine."""
        found = leak_in(text.replace(str(self.served), ""), self.home)
        return [f"leaked: {found}"] if found else []

    def alive(self) -> list[str]:
        """The next good request is answered."""
        reply = self.visitor.classify(self.visitor.upload("good.png", SQUARE), [self.task])
        answered = reply.error is None and reply.data["results"][0]["labels"]
        return [] if answered else [f"the next good request was not answered: {reply.text[:200]}"]

    def image(self, entry: ImageEntry) -> list[str]:
        """Ask about a file."""
        reply = self.visitor.classify(self.visitor.upload(entry.file, entry.make()), [self.task])
        if isinstance(entry.answer, Refused):
            return [*self._refused(reply, reply.error, entry.answer), *self.leaks(reply.text)]
        labels = [] if reply.error is not None else reply.data["results"][0]["labels"]
        return [*([] if labels else [f"no answer: {reply.text[:200]}"]), *self.leaks(reply.text)]

    def archive(self, entry: ArchiveEntry) -> list[str]:
        """Import a zip."""
        file = self.visitor.upload("corpus.zip", entry.make())
        return self._imported(self.visitor.press("train-upload", "upload", {"train-upload": file}), entry)

    def csv(self, entry: CsvEntry) -> list[str]:
        """Import a CSV with its zip."""
        given = {
            "train-csv": self.visitor.upload("corpus.csv", entry.make()),
            "train-csv-zip": self.visitor.upload("corpus.zip", IMAGES_OF_CSV),
        }
        return self._imported(self.visitor.press("train-use-csv", "click", given), entry)

    def bundle(self, entry: BundleEntry, files: Files) -> list[str]:
        """Import a bundle."""
        reply = self._take_in(entry.make(files))
        if isinstance(entry.answer, Published):
            shown = "" if reply.error is not None else reply.shown("catalog-head")
            wrong = (
                [] if entry.answer.title in shown else [f"not published: {reply.error or reply.text[:200]}"]
            )
            return [*wrong, *_scripts(reply), *self.leaks(reply.text)]
        return [*self._refused(reply, reply.error, entry.answer), *self.leaks(reply.text)]

    def title(self, entry: NameEntry, files: Files, slug: str) -> list[str]:
        """Publish an adapter under a title and look at its card."""
        reply = self._take_in(write_bundle(Bundle(slug, entry.text.encode(errors="replace").decode(), files)))
        if reply.error is not None:
            return [f"not published: {reply.error[:200]}", *self.leaks(reply.error)]
        title = clean_text(entry.text.encode(errors="replace").decode())[:120]
        card = reply.shown("catalog-head")
        wrong = [] if title in card else [f"the card lacks {title!r}: {card[:200]}"]
        return [*wrong, *_scripts(reply)]

    def ask(self, entries: Sequence[NameEntry]) -> list[str]:
        """Ask for tasks of these names, which there are not: each has its sentence."""
        names = list(dict.fromkeys(_sendable(entry.text) for entry in entries))
        reply = self.visitor.classify(self.visitor.upload("good.png", SQUARE), names)
        if reply.error is not None:
            return [f"not answered one by one: {reply.error[:200]}"]
        results = reply.data["results"]
        answered = [one["task"] for one in results if not one["error"]]
        sentences = [one["error"].replace(name, "") for one, name in zip(results, names, strict=True)]
        wrong = [f"{name!r} answered" for name in answered]
        return [*wrong, *(leak for sentence in sentences for leak in self.leaks(sentence))]

    def search(self, entry: NameEntry) -> list[str]:
        """Look for that name in the catalog."""
        text = _sendable(entry.text)
        reply = self.visitor.press("catalog-words", "change", {"catalog-search": text})
        found = reply.error is None or "characters" in reply.error
        return [*([] if found else [f"the search failed: {reply.text[:200]}"]), *self.leaks(reply.text)]

    def request(self, entry: RequestEntry) -> list[str]:
        """Send what no page sends."""
        reply = self.visitor.http.request(entry.method, entry.path(self.home), **entry.body)
        wrong = (
            [] if reply.status_code in entry.statuses else [f"status {reply.status_code}: {reply.text[:200]}"]
        )
        # the refusal repeats what was asked for, which the visitor knows
        text = re.sub(r"File not allowed: [^\"]*", "", reply.text)
        return [*wrong, *self.leaks(text)]

    def garbage(self, number: int, value: Any) -> list[str]:
        """Start an event by its number with a value of a wrong kind for all of its inputs."""
        data = [] if value is NOTHING else [value] * len(self._call(number)["inputs"])
        return self.leaks(_without(self.visitor.call(number, data).text, value))

    def garbage_for(self, number: int) -> Sequence[Any]:
        """Values worth sending to an event: one, where all that it takes is kept by the server."""
        kinds = {one["id"]: one["type"] for one in self.visitor.config["components"]}
        sent = [kinds[given] for given in self._call(number)["inputs"]]
        return GARBAGE if any(kind != "state" for kind in sent) else GARBAGE[:1]

    def is_sample(self, number: int) -> bool:
        """Whether an event is the button of a sample."""
        targets = {target for target, _event in self._call(number)["targets"]}
        buttons = {one["id"] for one in self.visitor.config["components"] if _is_sample(one["props"])}
        return bool(targets & buttons)

    def _call(self, number: int) -> Any:
        return next(one for one in self.visitor.config["dependencies"] if one["id"] == number)

    def _take_in(self, data: bytes) -> Reply:
        file = self.visitor.upload("bundle.zip", data)
        return self.visitor.press("catalog-import", "upload", {"catalog-import": file, "catalog-search": ""})

    def _imported(self, reply: Reply, entry: ArchiveEntry | CsvEntry) -> list[str]:
        if reply.error is not None:
            return [f"no sentence in its place: {reply.text[:300]}"]
        if isinstance(entry.answer, Refused):
            problem = reply.shown("train-problem")
            return [*self._refused(reply, problem, entry.answer), *self.leaks(reply.text)]
        shown = reply.shown("train-found")
        return [*_not_imported(entry.answer, shown), *_scripts(reply), *self.leaks(reply.text)]

    def _refused(self, reply: Reply, sentence: str | None, answer: Any) -> list[str]:
        if sentence is None or not answer.fits(sentence):
            return [f"expected “{answer.words}”, got {(sentence or reply.text)[:300]!r}"]
        return []


def _is_sample(props: Any) -> bool:
    return str(props.get("elem_id")).startswith("train-sample-")


def _not_imported(answer: Imported, shown: str) -> list[str]:
    missing = [name for name in answer.classes if f'<th scope="row">{name}</th>' not in shown]
    skipped = f"{answer.skipped} file" in shown if answer.skipped else " skipped</summary>" not in shown
    wrong = [f"the page lacks the class {name!r}: {shown[:200]}" for name in missing]
    return [*wrong, *([] if skipped else [f"not {answer.skipped} skipped: {shown[:300]}"])]


def _scripts(reply: Reply) -> list[str]:
    """Markup of a visitor that reached the page as markup."""
    raw = [one for one in reply.markup for tag in ("<script", "<img src=x", "onfocus='") if tag in one]
    return [f"markup reached the page: {one[:200]}" for one in raw]


def _sendable(text: str) -> str:
    """Text that fits into a request: not too long, and in UTF-8."""
    return text[:2000].encode(errors="replace").decode()


def _without(text: str, value: Any) -> str:
    """What came back, without what was sent."""
    return text.replace(value, "") if isinstance(value, str) and value else text.replace("/etc/passwd", "")
