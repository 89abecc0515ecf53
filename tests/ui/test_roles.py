"""Who may change what, tried over plain HTTP without the page, also with what only the page should know."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.block_function import BlockFunction
from gradio.components import State

from loravit_web.access import member
from loravit_web.actions import Actions
from loravit_web.service import Service
from loravit_web.settings import Settings
from loravit_web.ui.app import build_app
from loravit_web.ui.launch import App
from registry import Role, Run
from tests.conftest import RECIPE, make_colours, tiny_base

SECRET = "a long password"
PEOPLE: dict[str, Role] = {"vera": "viewer", "ed": "editor", "ada": "admin"}
API = "/gradio_api"


@dataclass(frozen=True)
class Team:
    """A running app of a team, with one published adapter ``colours@1`` of ed's and a queued run of ed's."""

    app: App
    url: str
    run: Run
    queued: Run
    bundle: Path

    @property
    def service(self) -> Service:
        return self.app.service

    def sign_in(self, name: str | None) -> httpx.Client:
        """A client of its own, signed in as somebody or nobody."""
        client = httpx.Client(base_url=self.url.rstrip("/"), timeout=60)
        if name is not None:
            answer = client.post("/login", data={"username": name, "password": SECRET})
            assert answer.json() == {"success": True}
        return client

    def call(self, client: httpx.Client, function: BlockFunction, given: Sequence[Any], session: str) -> str:
        """Call an inner event as a page would; what comes back, as text."""
        held = self.app.demo.app.state_holder[session]
        data = []
        for component, value in zip(function.inputs, given, strict=True):
            if isinstance(component, State):
                held[component._id] = value
                value = None
            data.append(value)
        body = {"data": data, "fn_index": function._id, "session_hash": session}
        if not function.queue:
            return client.post(f"{API}/run/predict", json=body).text
        joined = client.post(f"{API}/queue/join", json=body)
        if joined.status_code != httpx.codes.OK:
            return joined.text
        with client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("msg") == "process_completed":
                    return json.dumps(message["output"], ensure_ascii=False)
        raise AssertionError("the stream ended without an answer")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team")
    settings = Settings(home=folder / "home", base="tiny", mode="team")
    service = Service(settings, load=lambda name, _folder, _progress: tiny_base(name=name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        for name, role in PEOPLE.items():
            service.members.add(name, SECRET, role, actor="shell")
        dataset = service.import_dataset(make_colours(folder / "colours", test=4))
        run = service.train_now(dataset, "Colours", RECIPE, service.new_worker(), actor="ed")
        editor = Actions(service, member("ed", "editor"))
        queued = editor.queue_training(dataset, "Waiting", replace(RECIPE, seed=1))
        bundle = folder / "bundle.zip"
        bundle.write_bytes(service.export("colours")[1])
        app = App(service, build_app(service))
        url = app.launch(host="127.0.0.1", block=False)
        yield Team(app, url, run, queued, bundle)
        app.close()


def changing(team: Team) -> dict[str, BlockFunction]:
    """The page's events that reach for `Actions`, by the name of their handler."""
    found: dict[str, BlockFunction] = {}
    for function in team.app.demo.fns.values():
        handler = inspect.unwrap(function.fn) if function.fn is not None else None
        if inspect.isfunction(handler) and "actions_of(" in inspect.getsource(handler):
            found.setdefault(handler.__qualname__.replace(".<locals>", ""), function)
    return found


def test_print(team: Team) -> None:
    for name, function in changing(team).items():
        print(
            name,
            [(type(c).__name__, c.elem_id) for c in function.inputs][:8],
            len(function.inputs),
            function.queue,
        )
    raise SystemExit
