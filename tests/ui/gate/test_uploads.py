"""An upload that breaks off, is too large or has no room leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from loravit_web.ui.gate.bodies import Left
from loravit_web.ui.gate.passing import MIB, PassingFiles
from loravit_web.ui.gate.refusals import Refused
from loravit_web.ui.gate.routes import API
from loravit_web.ui.gate.uploads import AT_ONCE, Uploads
from loravit_web.ui.kit.callers import Caller
from tests.aside import run_aside
from tests.ui.gate.conftest import Ask

UPLOAD = f"{API}/upload"
ANN = Caller("ann", "http://host")


def sent(ask: Ask, size: int, name: str = "a.bin", **more: Any) -> httpx.Response:
    return ask("POST", UPLOAD, files={"files": (name, bytes(size))}, **more)


def files_in(passing: PassingFiles) -> list[Path]:
    return [path for path in passing.folder.rglob("*") if path.is_file()]


def test_a_file_lies_where_gradio_looks_for_it_under_its_name(ask: Ask, passing: PassingFiles) -> None:
    (path,) = sent(ask, 100, "my rose.png").json()
    assert Path(path).parent.parent == passing.folder
    assert Path(path).name == "my rose.png"
    assert files_in(passing) == [Path(path)]


@pytest.mark.parametrize(
    "name", ["../../x.png", "..", "/etc/passwd", "a\\b.png", "x" * 300 + ".png", "\u202e"]
)
def test_a_name_leads_nowhere_else(ask: Ask, passing: PassingFiles, name: str) -> None:
    reply = sent(ask, 10, name)
    assert reply.status_code in (200, 400)
    for path in reply.json() if reply.status_code == 200 else []:
        assert Path(path).resolve().is_relative_to(passing.folder)
    assert all(path.is_relative_to(passing.folder) for path in files_in(passing))


def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(ask: Ask, passing: PassingFiles) -> None:
    reply = sent(ask, MIB + 1)
    assert reply.status_code == 413
    assert "1,048,576 bytes" in reply.json()["detail"]
    assert files_in(passing) == []


def test_a_body_that_is_longer_than_it_says_is_ended(ask: Ask, passing: PassingFiles) -> None:
    reply = sent(ask, 200_000, headers={"Content-Length": "1000"})
    assert reply.status_code == 413
    assert files_in(passing) == []


def test_a_visitor_who_sends_on_replaces_their_own_oldest_files(ask: Ask, passing: PassingFiles) -> None:
    for number in range(5):
        assert sent(ask, MIB // 2 + number).status_code == 200
    assert 0 < sum(path.stat().st_size for path in files_in(passing)) <= 2 * MIB


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, b"x"),
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no form"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nx\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nx\r\n--b--',
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"A: " + b"x" * 20_000 + b"\r\n\r\nx\r\n--b--"),
    ],
)
def test_what_is_no_form_with_files_is_refused_in_a_sentence(
    ask: Ask, passing: PassingFiles, content_type: str | None, body: bytes
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = ask("POST", UPLOAD, content=body, headers=headers)
    assert reply.status_code == 400
    assert "cannot be read" in reply.json()["detail"]
    assert files_in(passing) == []


class BrokenOff:
    """A request whose sender leaves in the middle of a file."""

    def __init__(self) -> None:
        head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
        self.parts: Iterator[bytes] = iter([head, b"x" * 50_000])
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": UPLOAD,
            "query_string": b"",
            "headers": Headers(
                {"content-type": "multipart/form-data; boundary=b", "content-length": "90000"}
            ).raw,
        }

    async def receive(self) -> dict[str, Any]:
        part = next(self.parts, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": True}


def test_an_upload_that_breaks_off_leaves_nothing(passing: PassingFiles) -> None:
    uploads = Uploads(passing, MIB)
    for _ in range(AT_ONCE + 3):  # nor does it take a place for good
        broken = BrokenOff()
        with pytest.raises(Left):
            run_aside(uploads.take(broken.scope, broken.receive, ANN))
    assert files_in(passing) == []
    passing.reserve("ann", 2 * MIB)


def test_one_visitor_sends_so_many_at_the_same_moment(passing: PassingFiles) -> None:
    async def send() -> list[int]:
        uploads, go_on = Uploads(passing, 1000), asyncio.Event()
        broken = [BrokenOff() for _ in range(AT_ONCE + 2)]
        for one in broken:
            one.scope["headers"] = Headers({**Headers(raw=one.scope["headers"]), "content-length": "900"}).raw

        async def take(one: BrokenOff) -> int:
            async def receive() -> dict[str, Any]:
                await go_on.wait()
                return await one.receive()

            try:
                await uploads.take(one.scope, receive, ANN)
            except Refused as refused:
                return refused.status
            except Left:
                return 0
            return 200

        tasks = [asyncio.create_task(take(one)) for one in broken]
        await asyncio.sleep(0.2)
        go_on.set()
        return await asyncio.gather(*tasks)

    said = run_aside(send())
    assert said.count(429) == 2
