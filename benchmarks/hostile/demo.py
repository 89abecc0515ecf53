"""Two visitors of a demo: what one finds of the other's, and what is left of it after its time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.hostile import bodies as bodies
from benchmarks.hostile.app import Place, running, sizes
from benchmarks.hostile.attack import API, TRAINING, Load
from benchmarks.hostile.visitors import NETWORK_ERRORS, Guest, noise
from benchmarks.support.homes import open_registry
from benchmarks.support.report import Figure, at_least, at_most
from registry import Run

OWNER, OTHER = "203.0.113.1", "198.51.100.2"
CLASSES = ("qzwhiskers", "qzfeathers")
TITLE = "Qzsecret"
MARKS = (*CLASSES, TITLE, TITLE.lower())
HOURS, _LOOK_SECONDS = 0.02, 4.0
"""After which what a visitor trained has to be gone, and seconds until the app has looked again."""
_SMALL = {
    "train-image-size": 56,
    "train-blocks": 1,
    "train-r": 2,
    "train-epochs": 1,
    "train-min-steps": 0,
    "train-name": TITLE,
}
_TRAINING_SECONDS, _SWEEP_SECONDS = 150.0, 20.0
_IMAGES = [[noise(1000 * label + number, 64) for number in range(12)] for label in range(len(CLASSES))]


@dataclass(frozen=True)
class Secret:
    """What one visitor has in a demo.

    Attributes:
        ref: the published version.
        shown: paths of files that the owner was given.
    """

    run: str
    ref: str
    shown: tuple[str, ...]


def measure(place: Place, ports: Callable[[], int], _load: Load, chosen: str = "") -> list[Figure]:
    """What the other visitor finds, then what anybody finds after the time is over."""
    if chosen not in "two visitors":
        return []
    variables = {**TRAINING, "LORAVIT_DEMO_HOURS": str(HOURS), "LORAVIT_DEMO_MINUTES": "30"}
    with running(place, "demo", ports(), variables) as app:
        owner, other = Guest(app.url, OWNER, seconds=60.0), Guest(app.url, OTHER)
        run = _trained(place, owner)
        until = time.monotonic() + HOURS * 3600
        secret = Secret(run.id, str(run.published), _files_of(owner, run))
        own = _found(owner, secret)
        figures = [
            at_least("ways in which the owner finds the own adapter", len(own), 3, note=", ".join(own)),
            _none("ways in which another visitor finds it", _found(other, secret)),
        ]
        time.sleep(max(0.0, until + _LOOK_SECONDS - time.monotonic()))
        figures.append(_none("ways in which its owner finds it after its time", _found(owner, secret)))
        cookies = dict(owner.http.cookies)
    with running(place, "demo", ports(), variables) as app:
        time.sleep(_SWEEP_SECONDS)
        owner = Guest(app.url, OWNER, seconds=60.0, cookies=cookies)
        figures.append(_none("the same after a new start", _found(owner, secret)))
        names, images = _traces(place)
        figures.append(_none("files with its names after its time", names))
        figures.append(_none("files with its images after its time", images))
    for figure in figures:
        print(f"{figure.name}: {figure.value} ({figure.note})", file=sys.stderr)
    return figures


def _none(name: str, found: Sequence[str]) -> Figure:
    more = f" and {len(found) - 9} more" if len(found) > 9 else ""
    return at_most(name, len(found), 0, note=", ".join(found[:9]) + more)


def _trained(place: Place, owner: Guest) -> Run:
    """Import images and train an adapter on them, as a visitor does in the page."""
    data = bodies.zip_of_classes(dict(zip(CLASSES, _IMAGES, strict=True)))
    file = owner.upload("mine.zip", data)
    imported = owner.press("train-upload", "upload", {"train-upload": file})
    if imported.error is not None:
        raise RuntimeError(f"no import: {imported.error}")
    started = owner.press("train-start", "click", _SMALL)
    if started.error is not None:
        raise RuntimeError(f"no training: {started.error}")
    deadline = time.monotonic() + _TRAINING_SECONDS
    with open_registry(place.home) as registry:
        while time.monotonic() < deadline:
            (run,) = registry.runs.list()
            if run.status not in ("queued", "running"):
                break
            time.sleep(0.5)
    if run.published is None:
        raise RuntimeError(f"the training ended {run.status}: {run.error}")
    return run


def _ways(guest: Guest, secret: Secret) -> dict[str, Callable[[], bool]]:
    """Each way to find an adapter and its images, and whether it does."""
    return {
        "list of tasks": lambda: _marked(_api(guest, "tasks", [])),
        "question": lambda: _answers(guest, secret.ref.partition("@")[0]),
        # a refusal repeats the name that was asked for, and no class
        "card": lambda: CLASSES[0] in _page(guest, "fill_card", _card(secret.ref)),
        "search of the catalog": lambda: _marked(
            guest.press("catalog-words", "change", {"catalog-search": CLASSES[0][:7]}).text
        ),
        "download": lambda: _downloads(guest, secret.ref),
        "run": lambda: _marked(_page(guest, "fill_run", f"tab=runs&run={secret.run}")),
        "list of runs": lambda: _marked(guest.press("runs-search", "change", {"runs-search": ""}).text),
        "result of the run": lambda: _marked(_result(guest, secret.run)),
        "files": lambda: any(
            guest.http.get(f"{API}/file={quote(path)}").status_code == 200 for path in secret.shown
        ),
    }


def _found(guest: Guest, secret: Secret) -> list[str]:
    """The ways that find something."""
    found = []
    for name, tries in _ways(guest, secret).items():
        try:
            if tries():
                found.append(name)
        except (*NETWORK_ERRORS, KeyError, TypeError) as error:
            print(f"{name}: {error!r}", file=sys.stderr)  # refused in a way that is none of an answer
    return found


def _marked(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _api(guest: Guest, name: str, data: list[Any]) -> str:
    return guest.http.post(f"{API}/run/{name}", json={"data": data, "session_hash": guest.session}).text


def _answers(guest: Guest, slug: str) -> bool:
    answer = json.loads(_api(guest, "classify", [guest.upload("p.png", noise(5)), [slug], 3]))
    refusal = answer["data"][0]["results"][0]["error"] if "data" in answer else answer["error"]
    if refusal is not None:
        print(f"question: {refusal}", file=sys.stderr)
    return refusal is None


def _function(guest: Guest, name: str) -> Any:
    return next(one for one in guest.config["dependencies"] if one["api_name"] == name)


def _page(guest: Guest, name: str, query: str) -> str:
    """Call what fills a part of an opened page, by a link."""
    function = _function(guest, name)
    body = {
        "data": [None] * len(function["inputs"]),
        "fn_index": function["id"],
        "session_hash": guest.session,
    }
    return guest.http.post(f"{API}/run/predict?{query}", json=body).text


def _card(ref: str) -> str:
    """The query of a link to a card."""
    return f"tab=catalog&adapter={quote(ref)}"


def _result(guest: Guest, run: str) -> str:
    """What is shown of a run's images; the browser names the run that it kept."""
    function = _function(guest, "show_result")
    kinds = {one["id"]: one["type"] for one in guest.config["components"]}
    data = [run if kinds[given] == "browserstate" else None for given in function["inputs"]]
    return guest.call(function["id"], [*data[:2], None]).text


def _downloads(guest: Guest, ref: str) -> bool:
    """Whether the bundle of an opened card can be had."""
    _page(guest, "fill_card", _card(ref))
    return bool(_paths(guest.press("catalog-download", "click", {}).text))


def _files_of(owner: Guest, run: Run) -> tuple[str, ...]:
    """Files that the app showed the owner: thumbnail, images of the result, bundle."""
    texts = [
        _page(owner, "fill_card", _card(str(run.published))),
        _result(owner, run.id),
        owner.press("catalog-download", "click", {}).text,
    ]
    return tuple(dict.fromkeys(path for text in texts for path in _paths(text)))


def _paths(text: str) -> list[str]:
    """Paths of served files in an answer."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                found.append(value["path"])
            for one in value.values():
                look(one)
        elif isinstance(value, list):
            for one in value:
                look(one)
        elif isinstance(value, str) and "/file=" in value:
            found.extend(part.partition('"')[0] for part in value.split("/file=")[1:])

    look(json.loads(text) if text.startswith(("{", "[")) else None)
    return found


def _traces(place: Place) -> tuple[list[str], list[str]]:
    """Files with the names of the secret, and files with bytes of its images."""
    slices = [image[len(image) // 2 :][:40] for label in _IMAGES for image in label]
    names, images = [], []
    for path in sizes(place):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        shown = "/".join(part[:12] for part in path.relative_to(place.root).parts)
        if any(name.encode() in content for name in CLASSES):
            names.append(shown)
        if any(one in content for one in slices):
            images.append(shown)
    return sorted(names), sorted(images)
