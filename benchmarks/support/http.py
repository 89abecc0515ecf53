"""Asking a running app over plain HTTP, as a page or a program of somebody else does."""

from __future__ import annotations

import uuid
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
        self._session = uuid.uuid4().hex

    def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Send a file; gives what names it in a later call."""
        answer = self._http.post(f"{API}/upload", files={"files": (name, data)})
        answer.raise_for_status()
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def classify(self, image: dict[str, Any], tasks: Sequence[str], *, top_k: int = 5) -> dict[str, Any]:
        """Ask tasks about an uploaded image.

        Raises:
            Refused: when the app says why not.
        """
        answer: dict[str, Any] = self.call("classify", [image, list(tasks), top_k])
        return answer

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        """Call an endpoint of the HTTP interface and wait for its answer."""
        question = {"data": list(arguments), "session_hash": self._session}
        answer = self._http.post(f"{API}/run/{name}", json=question)
        if answer.status_code != httpx.codes.OK:
            raise Refused(answer.text)
        return answer.json()["data"][0]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
