"""Signing in over HTTP: the page, programs, cookies, and what is answered before anyone has."""

from __future__ import annotations

from collections.abc import Iterator

import gradio_client
import httpx
import pytest

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.settings.environment import Settings
from loravit_web.ui.gate.bodies import FORM_BYTES
from loravit_web.ui.gate.routes import API
from loravit_web.ui.gate.signing_in import Cookies, SigningIn
from loravit_web.ui.kit.callers import Caller
from loravit_web.ui.launch import App
from tests.conftest import tiny_service

SECRET = "a long password"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, str]]:
    folder = tmp_path_factory.mktemp("team")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        service = tiny_service(Settings(home=folder / "home", base="tiny", mode="team", bundled=False))
        UserActions(service.registry, SHELL).add("ann", SECRET, "editor")
        app = App.over(service)
        yield app, app.launch(host="127.0.0.1", block=False).rstrip("/")
        app.close()


@pytest.fixture
def client(team: tuple[App, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=team[1], timeout=30) as client:
        yield client


def sign_in(client: httpx.Client, name: str = "ann", password: str = SECRET) -> httpx.Response:
    return client.post("/login", data={"username": name, "password": password})


def test_a_stranger_sees_the_page_to_sign_in_and_nothing_else(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "Sign in with the name and password" in page.text
    assert "gradio_config" not in page.text
    assert page.headers["Cache-Control"] == "no-store"
    for path in ("/config", f"{API}/info", f"{API}/queue/data?session_hash=x", f"{API}/file=/etc/passwd"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["detail"]) == (
            401,
            "You are not signed in. Open the app's page and sign in.",
        )


def test_a_strangers_body_is_not_read(client: httpx.Client) -> None:
    for path in (f"{API}/run/classify", f"{API}/queue/join", f"{API}/upload"):
        assert client.post(path, content=b"[" * (8 << 20)).status_code == 401


def test_a_sign_in_opens_the_page_and_its_cookies_are_out_of_reach_for_scripts(client: httpx.Client) -> None:
    answer = sign_in(client)
    assert answer.json() == {"success": True}
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in one and "SameSite=Lax" in one and "Path=/" in one for one in cookies)
    assert "gradio_config" in client.get("/").text


def test_a_wrong_name_and_a_wrong_password_are_told_alike(client: httpx.Client) -> None:
    replies = [sign_in(client, "ann", "guess"), sign_in(client, "eve", SECRET), sign_in(client, "e" * 5000)]
    assert {(reply.status_code, reply.json()["detail"]) for reply in replies} == {
        (401, "The name or the password is wrong. Check both and try again.")
    }


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"username=ann", 400),
        (b'{"username": "ann"}', 400),
        (b"username=ann&password=\xff\xfe", 400),
        (b"username=ann&password=" + b"x" * FORM_BYTES, 413),
        (b"&".join(b"a=1" for _ in range(100)), 400),
    ],
)
def test_what_is_no_form_to_sign_in_is_refused(client: httpx.Client, content: bytes, status: int) -> None:
    reply = client.post("/login", content=content)
    assert reply.status_code == status
    assert reply.json()["detail"].endswith(".")


def test_a_browser_without_scripts_is_led_to_the_page(client: httpx.Client) -> None:
    form = {"username": "ann", "password": SECRET}
    answer = client.post("/login", data=form, headers={"Sec-Fetch-Mode": "navigate"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "./")
    assert "gradio_config" in client.get("/").text


def test_signing_out_ends_the_sessions_of_every_browser(team: tuple[App, str], client: httpx.Client) -> None:
    with httpx.Client(base_url=team[1], timeout=30) as other:
        sign_in(client)
        sign_in(other)
        kept = dict(client.cookies)
        assert client.get("/logout").status_code == 303
        assert other.get("/config").status_code == 401
        for name, value in kept.items():  # also with a copy of the cookie
            other.cookies.set(name, value)
        assert other.get("/config").status_code == 401


@pytest.mark.parametrize("forged", ["x", "x" * 43, "a" * 64, '"', "../../x"])
def test_a_made_up_cookie_opens_nothing(team: tuple[App, str], client: httpx.Client, forged: str) -> None:
    name = Cookies(team[0].service.secret).name("session")
    assert client.get("/config", headers={"Cookie": f"{name}={forged}"}).status_code == 401


def test_a_program_signs_in_as_gradios_client_does(team: tuple[App, str]) -> None:
    program = gradio_client.Client(team[1], auth=("ann", SECRET), verbose=False)
    assert program.predict(api_name="/tasks") == []
    program.close()
    with pytest.raises(gradio_client.exceptions.AuthenticationError):
        gradio_client.Client(team[1], auth=("ann", "guess"), verbose=False)


def test_cookies_are_sent_over_tls_alone_where_the_page_came_so_and_in_a_frame_of_the_hub() -> None:
    plain, secure = Caller("", "http://host"), Caller("", "https://host")
    own = Cookies(b"key")
    assert "Secure" not in own.written("session", "x", plain, seconds=1)
    assert "Secure" in own.written("session", "x", secure, seconds=1)
    framed = Cookies(b"key", in_frame=True).written("session", "x", plain, seconds=1)
    assert all(part in framed for part in ("SameSite=None", "Secure", "Partitioned"))
    assert own.name("session") != Cookies(b"another app").name("session")


def test_the_page_to_sign_in_asks_for_nothing_elsewhere() -> None:
    page = str(SigningIn.page().body, "utf-8")
    assert "//" not in page.replace("://", "//") or "http" not in page
