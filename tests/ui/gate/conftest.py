"""A gate in front of an app that only says what reached it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from loravit_web.ui.gate.arrivals import Arrivals
from loravit_web.ui.gate.gate import Gate, House
from loravit_web.ui.gate.headers import security_headers
from loravit_web.ui.gate.passing import MIB, PassingFiles
from loravit_web.ui.gate.signing_in import Cookies
from loravit_web.ui.gate.uploads import Uploads
from loravit_web.ui.kit.callers import KEY, Caller
from loravit_web.ui.kit.presence import Presence
from loravit_web.util.addresses import TrustedProxies
from tests.aside import run_aside

SITE = "http://app.example"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came through."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    caller: Caller = scope[KEY]
    told = {
        "path": scope["path"],
        "body": len(body),
        "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
        "client": scope["client"][0],
        "caller": [caller.source, caller.site, caller.username, caller.guest],
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@pytest.fixture
def passing(tmp_path: Path) -> AsyncIterator[PassingFiles]:
    files = PassingFiles(tmp_path / "gradio", most=8 * MIB, most_of_one=2 * MIB, seconds=60)
    yield files  # type: ignore[misc]
    files.close()


@pytest.fixture
def house(passing: PassingFiles) -> House:
    """The rules of an app for a team, without passwords, behind a proxy at 10.0.0.9."""
    return House(
        arrivals=Arrivals(TrustedProxies("10.0.0.9")),
        cookies=Cookies(b"key"),
        headers=security_headers(on_spaces=False),
        admit=lambda _caller: None,
        guest_name=None,
        signing_in=None,
        uploads=Uploads(passing, MIB),
        presence=Presence(),
        folder=passing.folder,
    )


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(house: House) -> Ask:
    """Sends one request through the gate: ``ask("POST", "/path", app=…, peer=…, rules=…, **httpx)``."""

    def asked(
        method: str,
        path: str,
        *,
        app: ASGIApp = echo,
        peer: str = "203.0.113.5",
        rules: Mapping[str, Any] | None = None,
        **request: Any,
    ) -> httpx.Response:
        gate = Gate(app, replace(house, **(rules or {})))
        transport = httpx.ASGITransport(gate, client=(peer, 4711))

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
                return await client.request(method, path, **request)

        return run_aside(send())

    return asked
