"""A demo with two visitors: whatever the second one calls, nothing of the first one comes back.

Every event of the page and every endpoint is called over HTTP, and its handler directly, as Gradio refuses
some values before. They are given ids, names and fingerprints of the first visitor, as a page would give.
A new event is called too, by the names of what its handler takes.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import httpx
import pandas as pd
import pytest
from gradio.block_function import BlockFunction
from gradio.components import State
from PIL import Image

from loravit_web.actions import Actions
from loravit_web.catalog.bulk import archiving
from loravit_web.catalog.plans import CatalogChange, plan_of
from loravit_web.errors import LoraVitError
from loravit_web.runs.deletion import RunDeletion
from loravit_web.runs.demo import slug_of
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from loravit_web.settings.modes import DemoRules
from loravit_web.ui import app as app_module
from loravit_web.ui import launch
from loravit_web.ui.gate.signing_in import Cookies
from loravit_web.ui.kit import visitors
from loravit_web.ui.launch import App
from loravit_web.ui.page.page import Page
from loravit_web.ui.train.relabel import Sheet, key_of
from registry import RegistryError, Run, utc_now
from tests.aside import run_aside
from tests.conftest import RECIPE, make_colours, tiny_service, train_now

API = "/gradio_api"
TITLE, CLASSES = "Zebra House", ("zebrafinch", "quaggawren")
FIRST, SECOND = "guest-1", "guest-2"
TOKEN = "the-cookie-of-the-first-visitor"
OF_THE_PAGE = "loravit_web"


@dataclass
class Demo:
    """A running demo in which the first visitor trained an adapter, and the second one has nothing."""

    app: App
    page: Page
    client: httpx.Client
    run: Run
    uploads: Path
    sessions: Iterator[int] = field(default_factory=lambda: iter(range(100_000)))

    @property
    def service(self) -> Service:
        return self.app.service

    @property
    def slug(self) -> str:
        return self.run.slug

    @property
    def ref(self) -> str:
        return f"{self.slug}@1"

    @property
    def fingerprint(self) -> str:
        return self.run.dataset.fingerprint

    @property
    def events(self) -> list[BlockFunction]:
        """Every event that a handler of ours answers."""
        found = [one for one in self.app.demo.fns.values() if one.fn is not None]
        return [one for one in found if inspect.unwrap(one.fn).__module__.startswith(OF_THE_PAGE)]

    def upload(self, name: str) -> dict[str, Any]:
        """An image as it lies on the server after an upload."""
        image = io.BytesIO()
        Image.new("RGB", (32, 32), (200, 30, 30)).save(image, "PNG")
        files = {"files": ("one.png", image.getvalue())}
        path = self.client.post(f"{API}/upload", files=files, headers={"x-visitor": name}).json()[0]
        return {"path": path, "orig_name": "one.png", "meta": {"_type": "gradio.FileData"}}

    def call(self, visitor: str, event: BlockFunction, given: list[Any], told: Any, query: str = "") -> str:
        """What comes back, as text: values, errors and toasts."""
        session = f"{visitor}-{next(self.sessions)}"
        held = self.app.demo.app.state_holder[session]
        data = []
        for component, value in zip(event.inputs, given, strict=True):
            if isinstance(component, State):
                held[component._id] = value
                value = None
            data.append(value)
        body = {"data": data, "fn_index": event._id, "session_hash": session, "event_data": told}
        headers = {"x-visitor": visitor}
        if not event.queue:
            return self.client.post(f"{API}/run/predict{query}", json=body, headers=headers).text
        joined = self.client.post(f"{API}/queue/join{query}", json=body, headers=headers)
        if joined.status_code != httpx.codes.OK:
            return joined.text
        lines = []
        path, params = f"{API}/queue/data", {"session_hash": session}
        with self.client.stream("GET", path, params=params, headers=headers) as stream:
            for line in stream.iter_lines():
                lines.append(line)
                if '"process_completed"' in line:
                    return "\n".join(lines)
        raise AssertionError("the stream ended without an answer")

    def call_directly(
        self, visitor: str, event: BlockFunction, given: list[Any], told: Any, query: dict[str, str]
    ) -> str:
        """What the handler itself returns or raises, as text, with what only the server would keep."""
        request = SimpleNamespace(
            headers={"x-visitor": visitor, "host": "127.0.0.1"},
            query_params=query,
            url=SimpleNamespace(scheme="http"),
            username=None,
            client=None,
        )
        values = iter([dict(zip(event.inputs, given, strict=True))] if event.inputs_as_dict else given)
        handler = inspect.unwrap(event.fn)
        passed: list[Any] = []
        for one in inspect.signature(handler).parameters.values():
            if "Request" in str(one.annotation):
                passed.append(request)
            elif one.annotation in DATA:
                passed.append(DATA[one.annotation](None, told))
            elif "Progress" in str(one.annotation):
                passed.append(gr.Progress())
            elif one.kind is inspect.Parameter.VAR_POSITIONAL:
                passed += values
            else:
                passed.append(next(values))
        try:
            done = handler(*passed)
            return text_of(run_aside(done) if inspect.iscoroutine(done) else done)
        except (gr.Error, LoraVitError, RegistryError, *UNFIT) as error:
            return str(error)


UNFIT = (TypeError, ValueError, LookupError, AttributeError)
"""What handlers raise at values that no page sends."""
DATA = {"gr.EventData": gr.EventData, "gr.SelectData": gr.SelectData, "gr.KeyUpData": gr.KeyUpData}


def text_of(value: Any) -> str:
    """Everything that a handler returned, whatever it is for."""
    if isinstance(value, dict):
        return " ".join(f"{text_of(key)} {text_of(one)}" for key, one in value.items())
    if isinstance(value, list | tuple | set):
        return " ".join(map(text_of, value))
    if isinstance(value, gr.blocks.Block):
        return text_of(value._constructor_args)
    return value.to_csv() if isinstance(value, pd.DataFrame) else str(value)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    rules = DemoRules(training=True, runs=100)
    limits = Limits(requests_per_minute=1_000_000)
    settings = Settings(home=folder / "home", base="tiny", mode="demo", demo=rules, limits=limits)
    service = tiny_service(settings)
    pages: list[Page] = []

    def kept_page(*parts: Any) -> Page:
        pages.append(Page(*parts))
        return pages[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        patch.setattr(app_module, "Page", kept_page)
        patch.setattr("loravit_web.datasets.sources.opening.SAMPLES", {})  # which take long to draw
        patch.setattr(launch, "guest_name", lambda _key, text: FIRST if text == TOKEN else SECOND)
        patch.setattr(visitors, "visitor_of", lambda _service, request: by_header(service, request))
        actions = Actions(service, service.visitor(FIRST))
        dataset = actions.import_dataset(make_colours(folder / "data", test=4, names=CLASSES))
        run = train_now(service, dataset, TITLE, RECIPE, service.new_worker(), actor=FIRST)
        app = App.over(service)
        url = app.launch(host="127.0.0.1", block=False)
        with httpx.Client(base_url=url.rstrip("/"), timeout=60) as client:
            yield Demo(app, pages[0], client, run, folder / "gradio")
        app.close()


def by_header(service: Service, request: gr.Request) -> Any:
    return service.visitor(request.headers["x-visitor"])


def named(demo: Demo, event: BlockFunction, image: dict[str, Any]) -> dict[str, Any]:
    """What the first visitor's page would give, by the names of what handlers take."""
    dataset = demo.service.datasets.load(demo.fingerprint)
    keys = [(key_of(item), "one") for item in dataset.items[:3]]
    sheet = Sheet(demo.fingerprint, tuple(keys), marked=(keys[0][0],), changes={keys[1][0]: None})
    question = {"picture": image, "tasks": [demo.slug, demo.ref], "labels": 3, "looks": True, "near": []}
    handler = inspect.unwrap(event.fn)
    is_of_follow = handler.__module__ == "loravit_web.ui.page.follow"
    memory = {"pinned": [demo.slug], "recent": [demo.slug]}
    given = {"data": demo.fingerprint, "name": "x", "mirror": True, "changes": {}}
    before = {"key": [0, []], "states": {demo.run.id: "running"}, "empty": False}
    return {
        "text": json.dumps({"ended": [demo.run.id]} if is_of_follow else question),
        "image": image,
        "tasks": [demo.slug, demo.ref],
        "picked": [demo.slug, demo.ref],
        "uploads": [image],
        "top_k": 3,
        "labels": 3,
        "memory": memory,
        "kept": {demo.run.id: {}, **memory},
        "corrections": {demo.run.id: {}},
        "run": demo.run.id,
        "run_id": demo.run.id,
        "watched": demo.run.id,
        "shown": None,
        "result": None,
        "chosen": "0:0" if handler.__name__ == "by_pair" else "every",
        "fingerprint": demo.fingerprint,
        "sheet": sheet,
        "now": sheet,
        "name": CLASSES[0],
        "doubtful": [],
        "split": "test",
        "ref": demo.ref,
        "seen": before,
        "known": None,
        "given": given,
    }


def of_catalog(demo: Demo) -> dict[Any, Any]:
    """The values of components whose handlers take all of them as one mapping."""
    catalog, runs = demo.page.catalog, demo.page.runs
    card = catalog.card
    plan = plan_of(demo.service.registry, CatalogChange("archive", demo.ref))
    return {
        card.ref: demo.ref,
        card.seen: 0,
        card.ticked: [demo.ref, demo.ref],
        card.change.loaded: None,
        card.change.confirm.pending: plan,
        catalog.bulk.picked: [demo.slug],
        catalog.bulk.confirm.pending: archiving(demo.service.registry, (demo.slug,)),
        runs.chosen: demo.run.id,
        runs.compared: [demo.run.id],
        runs.detail.confirm.pending: RunDeletion(demo.run.id, ()),
        demo.page.train.run_id: demo.run.id,
        demo.page.train.given: {"data": demo.fingerprint, "name": "x", "mirror": True, "changes": {}},
    }


def values_of(demo: Demo, event: BlockFunction, image: dict[str, Any], *, own: bool) -> list[Any]:
    """What an event is called with.

    Args:
        own: nothing of the first visitor, only what every opened page has.
    """
    taken = [
        name
        for name, one in inspect.signature(inspect.unwrap(event.fn)).parameters.items()
        if "Request" not in str(one.annotation)
        and "Data" not in str(one.annotation).replace("Data]", "")
        and "Progress" not in str(one.annotation)
        and one.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    by_name = {} if own else named(demo, event, image)
    by_component = {} if own else of_catalog(demo)
    values = []
    for number, component in enumerate(event.inputs):
        name = taken[number] if number < len(taken) and not event.inputs_as_dict else ""
        default = getattr(component, "value", None)
        values.append(by_component.get(component, by_name.get(name, default)))
    return values


def browser_tells(demo: Demo, *, own: bool) -> list[dict[str, Any]]:
    """What the browser tells of an event: a run and a row, a cell of a matrix, a typed letter."""
    told = {
        "run": "",
        "on": True,
        "index": 0,
        "value": "",
        "selected": True,
        "ref": "",
        "slug": "",
        "alias": "",
        "key": "z",
        "input_value": "Zebra",
    }
    if own:
        return [told]
    named = {"run": demo.run.id, "ref": demo.ref, "slug": demo.slug, "alias": "production"}
    return [{**told, **named, "value": value} for value in (demo.slug, "0:0")]


def secrets(demo: Demo, answer: str, *, given: bool) -> list[str]:
    """What of the first visitor is in an answer.

    Args:
        given: whether names and ids were given, which an error may repeat.
    """
    ids = [demo.run.id, demo.run.id[:8], demo.fingerprint, demo.fingerprint[:12], demo.slug, FIRST]
    if given:
        for one in ids:
            answer = answer.replace(one, "")
        ids = []
    images = [item.sha256[:32] for item in demo.service.datasets.load(demo.fingerprint).items]
    weights = demo.service.registry.catalog.resolve(demo.ref).weights_sha256
    words = [TITLE, *CLASSES, *ids, *images, weights[:12], "thumbnail.webp", "-v1.zip"]
    return [word for word in words if word in answer]


def answers(demo: Demo, visitor: str, *, own: bool) -> dict[str, list[str]]:
    """By event, what of the first visitor came back."""
    image = demo.upload(visitor)
    linked = {"tab": "catalog", "adapter": demo.ref, "run": demo.run.id, "task": f"{demo.slug},{demo.ref}"}
    link: dict[str, str] = {} if own else linked
    query = f"?{urlencode(link)}"
    found: dict[str, list[str]] = {}
    for event in demo.events:
        handler = inspect.unwrap(event.fn)
        name = f"{handler.__module__.removeprefix('loravit_web.ui.')}.{handler.__qualname__}"
        name = f"{name} {event.api_name if str(event.api_name).startswith('fill_') else event._id}"
        values = values_of(demo, event, image, own=own)
        told = browser_tells(demo, own=own)
        for chosen in told if "event" in inspect.signature(handler).parameters else told[:1]:
            for answer in (
                demo.call(visitor, event, values, chosen, query),
                demo.call_directly(visitor, event, values, chosen, link),
            ):
                found[name] = [*found.get(name, []), *secrets(demo, answer, given=not own)]
    return found


def test_whatever_a_visitor_asks_of_anothers_things_they_do_not_exist(demo: Demo) -> None:
    leaks = {event: told for event, told in answers(demo, SECOND, own=False).items() if told}
    assert leaks == {}


def test_no_page_shows_anything_of_another_visitor_by_itself(demo: Demo) -> None:
    leaks = {event: told for event, told in answers(demo, SECOND, own=True).items() if told}
    assert leaks == {}


def test_the_same_questions_are_answered_to_whose_things_they_are(demo: Demo) -> None:
    """Else the tests above would find nothing because they ask wrongly."""
    told = {event for event, words in answers(demo, FIRST, own=False).items() if words}
    names = {event.partition(" ")[0].rpartition(".")[2] for event in told}
    assert names >= {
        *("take", "follow", "tell", "watch", "show_result", "see_result", "open_in_catalog"),
        *("try_version", "try_result"),
        *("look", "choose", "clear", "turned", "narrow", "refreshed", "give_out"),
        *("tick", "draw", "judge", "by_cell", "by_pair", "train_again", "correct", "find"),
        *("toggle", "turn_on", "turn_back", "mark_all", "change", "leave_out", "forget"),
        *("search", "leave", "pin", "answer", "keep", "ask", "tasks", "classify"),
    }


def test_the_second_visitor_changed_nothing_of_the_first(demo: Demo) -> None:
    registry = demo.service.registry
    assert registry.catalog.adapter(demo.slug).archived_at is None
    assert registry.catalog.resolve(demo.ref).title == TITLE
    assert registry.runs.get(demo.run.id).status == "completed"
    assert demo.slug == slug_of(FIRST, "zebra-house")
    assert Path(demo.service.datasets.root / demo.fingerprint).is_dir()


def test_after_its_time_no_file_of_the_app_or_of_the_page_tells_anything(demo: Demo) -> None:
    """After all the questions above, whose answers left copies for the browser."""
    registry, home = demo.service.registry, demo.service.settings.home
    copies = [path for path in demo.uploads.rglob("*") if path.is_file() and "visitors" in path.parts]
    assert {path.name for path in copies} >= {"small.webp", "thumbnail.webp", "answers.csv"}
    assert any(path.suffix == ".zip" for path in copies)
    served = f"/gradio_api/file={next(path for path in copies if path.name == 'thumbnail.webp')}"
    own = {"Cookie": f"{Cookies(demo.service.secret).name('visitor')}={TOKEN}"}
    assert demo.client.get(served, headers=own).status_code == httpx.codes.OK
    assert demo.client.get(served).status_code == httpx.codes.NOT_FOUND  # to another visitor
    for run in registry.runs.list(status=["queued"]):
        registry.runs.request_stop(run.id, "cancel")
    pixels = {item.sha256 for item in demo.service.datasets.load(demo.fingerprint).items}

    demo.service.expire(utc_now() + timedelta(hours=25))

    assert demo.client.get(served, headers=own).status_code != httpx.codes.OK
    for words, answer in ((TITLE, "tasks"), (CLASSES[0], "tasks")):
        body = {"data": [], "session_hash": "after"}
        told = demo.client.post(f"{API}/run/{answer}", json=body, headers={"x-visitor": FIRST})
        assert told.status_code == httpx.codes.OK
        assert words not in told.text
    files = [path for folder in (home, demo.uploads) for path in folder.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        assert not any(word.encode() in content or word in str(path) for word in (TITLE, *CLASSES)), path
        assert hashlib.sha256(content).hexdigest() not in pixels, path
