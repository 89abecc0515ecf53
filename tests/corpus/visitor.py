"""Somebody who talks to a running app over HTTP alone: its API, and the events of its page without it."""

from __future__ import annotations

import html
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 60.0


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        text: all of it, as it was sent.
        error: the sentence of a refusal.
        data: the outputs; those of a page by the ``elem_id`` of their component.
        markup: what the page takes for HTML or Markdown.
    """

    text: str
    error: str | None
    data: Any = None
    markup: tuple[str, ...] = ()

    def shown(self, elem_id: str) -> str:
        """The text that an HTML component of the page shows now."""
        return html.unescape(str(_value_of(self.data[elem_id]) or ""))


class Visitor:
    """One session."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)
        self.session = uuid.uuid4().hex
        self.config = self.http.get("/config").json()
        self._components = {one["id"]: one for one in self.config["components"]}

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload a file; what stands for it in a call."""
        reply = self.http.post("/gradio_api/upload", files={"files": (name, data)})
        reply.raise_for_status()
        return {"path": reply.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def classify(self, image: Any, tasks: Any, top_k: Any = 3) -> Reply:
        """Call ``/classify``."""
        made = self.http.post("/gradio_api/call/classify", json={"data": [image, tasks, top_k]})
        if made.status_code != 200:
            return Reply(made.text, made.text)
        text = self.http.get(f"/gradio_api/call/classify/{made.json()['event_id']}").text
        event, _, rest = text.rpartition("event: ")[2].partition("\n")
        body = json.loads(rest.partition("data: ")[2].strip() or "null")
        return Reply(text, None, body[0]) if event == "complete" else Reply(text, _sentence(body))

    def press(self, elem_id: str, event: str, values: Mapping[str, Any]) -> Reply:
        """Start an event of the page: components not named keep what they had at the start."""
        target = self._id_of(elem_id)
        calls = [one for one in self.config["dependencies"] if [target, event] in one["targets"]]
        call = next(one for one in calls if one["backend_fn"])
        data = [self._value(number, values) for number in call["inputs"]]
        return self.call(call["id"], data, target)

    def call(self, function: int, data: list[Any], target: int | None = None) -> Reply:
        """Start any event by its number, as the page does: out of the queue where that is how it runs."""
        body = {
            "data": data,
            "fn_index": function,
            "session_hash": self.session,
            "trigger_id": target,
            "event_data": None,
        }
        if self._called(function)["queue"] is False:
            done = self.http.post("/gradio_api/run/predict", json=body)
            if done.headers["content-type"] != "application/json":
                return Reply(done.text, done.text)
            return self._reply(function, {"success": done.status_code == 200, "output": done.json()})
        joined = self.http.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return Reply(joined.text, joined.text)
        event = joined.json()["event_id"]
        with self.http.stream(
            "GET", "/gradio_api/queue/data", params={"session_hash": self.session}
        ) as lines:
            for line in lines.iter_lines():
                message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if message.get("event_id") == event and message["msg"] == "process_completed":
                    return self._reply(function, message)
        return Reply("", "the stream ended")

    def _reply(self, function: int, message: Mapping[str, Any]) -> Reply:
        text, output = json.dumps(message), message["output"]
        if not message["success"]:
            return Reply(text, _sentence(output))
        outputs = [self._components[number] for number in self._called(function)["outputs"]]
        pairs = list(zip(outputs, output["data"], strict=False))
        markup = [str(_value_of(value)) for one, value in pairs if one["type"] in ("html", "markdown")]
        return Reply(text, None, {one["props"].get("elem_id"): value for one, value in pairs}, tuple(markup))

    def _called(self, function: int) -> Mapping[str, Any]:
        return next(one for one in self.config["dependencies"] if one["id"] == function)

    def _id_of(self, elem_id: str) -> int:
        return next(
            number for number, one in self._components.items() if one["props"].get("elem_id") == elem_id
        )

    def _value(self, number: int, values: Mapping[str, Any]) -> Any:
        props = self._components[number]["props"]
        return values.get(props.get("elem_id"), props.get("value"))


def _value_of(update: Any) -> Any:
    return update.get("value") if isinstance(update, dict) else update


def _sentence(body: Any) -> str:
    return str(body.get("error") or "") if isinstance(body, dict) else str(body or "")
