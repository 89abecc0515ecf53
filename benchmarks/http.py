"""Asking a running app over plain HTTP, as a page or a program of somebody else does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx

API = "/gradio_api"


class Refused(Exception):
    """The app answered with an error; the text is what it said."""


class Asker:
    """One client with a connection of its own."""

    def __init__(self, url: str, *, timeout: float = 120.0) -> None:
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout)

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Send a file; gives what names it in a later call."""
        answer = self._http.post(f"{API}/upload", files={"files": (name, data)})
        answer.raise_for_status()
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def classify(self, image: dict[str, Any], tasks: Sequence[str], *, top_k: int = 5) -> dict[str, Any]:
        """Ask tasks about an uploaded picture.

        Raises:
            Refused: when the app says why not.
        """
        document = {"image": image, "tasks": list(tasks), "top_k": top_k}
        answer: dict[str, Any] = self.call("classify", document)
        return answer

    def call(self, name: str, document: dict[str, Any]) -> Any:
        """Call an endpoint of the HTTP interface and wait for its answer."""
        started = self._http.post(f"{API}/call/v2/{name}", json=document)
        if started.status_code != httpx.codes.OK:
            raise Refused(started.text)
        event = started.json()["event_id"]
        with self._http.stream("GET", f"{API}/call/{name}/{event}") as stream:
            kind = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: ") and kind in ("complete", "error"):
                    told = json.loads(line.removeprefix("data: "))
                    if kind == "error":
                        raise Refused(told if isinstance(told, str) else json.dumps(told))
                    return told[0]
        raise Refused("The stream ended without an answer.")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
