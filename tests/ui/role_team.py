"""A running app of a team whose events are called over plain HTTP, as members of every role and as guests."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from gradio.block_function import BlockFunction
from gradio.components import Dropdown, State

from loravit_web.access.rights import member
from loravit_web.service import Service
from loravit_web.ui.catalog.view import CatalogView
from loravit_web.ui.launch import App
from loravit_web.ui.runs.tab import RunsTab
from registry import Role, Run

SECRET = "a long password"
PEOPLE: dict[str, Role] = {"vera": "viewer", "ed": "editor", "eve": "editor", "ada": "admin"}
ED = member("ed", "editor")
API = "/gradio_api"

Given = dict[str, Any]
"""What a change is called with: ``states`` in order or ``held`` by component, the others by ``elem_id``, and
what the page tells of the event as ``told``."""


@dataclass(frozen=True)
class Team:
    """A running app of a team, with two versions of ed's adapter ``colours``; ``run`` made the first."""

    app: App
    url: str
    run: Run
    view: CatalogView
    runs: RunsTab
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)

    @property
    def service(self) -> Service:
        return self.app.service

    def client(self, name: str | None) -> httpx.Client:
        """A client that is signed in or not, the same one each time, because signing in is slow."""
        if name not in self.clients:
            client = self.clients[name] = httpx.Client(base_url=self.url.rstrip("/"), timeout=60)
            if name is not None:
                answer = client.post("/login", data={"username": name, "password": SECRET})
                assert answer.json() == {"success": True}
        return self.clients[name]

    def call(
        self,
        client: httpx.Client,
        function: BlockFunction,
        given: Sequence[Any],
        session: str,
        told: Any = None,
    ) -> str:
        """Call an inner event as a page would that was offered the choices; what comes back, as text."""
        held = self.app.demo.app.state_holder[session]
        data = []
        for component, value in zip(function.inputs, given, strict=True):
            if isinstance(component, State):
                held[component._id] = value
                value = None
            elif isinstance(component, Dropdown) and value and not component.allow_custom_value:
                held[component._id] = offering(component, value)
            data.append(value)
        body = {"data": data, "fn_index": function._id, "session_hash": session, "event_data": told}
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


def offering(dropdown: Dropdown, chosen: str | list[str]) -> Dropdown:
    """A dropdown as a session has it that was offered what is chosen."""
    offered = copy.copy(dropdown)
    offered.choices = [(one, one) for one in ([chosen] if isinstance(chosen, str) else chosen)]
    return offered


def upload(team: Team, data: bytes, file: str = "given.zip") -> dict[str, Any]:
    """A file as it lies on the server after an upload."""
    path = team.client("vera").post(f"{API}/upload", files={"files": (file, data)}).json()[0]
    return {"path": path, "orig_name": file, "meta": {"_type": "gradio.FileData"}}
