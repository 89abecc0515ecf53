"""Where a request comes from is what trusted proxies say, and no other site sends what stores something."""

from __future__ import annotations

import pytest

from loravit_web.ui.gate.arrivals import LOOPBACK, Arrivals
from loravit_web.ui.gate.routes import API
from loravit_web.util.addresses import TrustedProxies
from tests.ui.gate.conftest import SITE, Ask

PROXY = "10.0.0.9"
FORWARDED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Gradio-Server": "http://evil.example",
    "Forwarded": "for=198.51.100.7",
}


def test_forwarding_headers_of_a_stranger_do_not_reach_gradio(ask: Ask) -> None:
    told = ask("GET", "/", headers=FORWARDED).json()
    assert told["client"] == "203.0.113.5"
    assert told["caller"][:2] == ["203.0.113.5", SITE]
    assert not [name for name in told["headers"] if "forwarded" in name or "gradio" in name]


def test_a_trusted_proxy_tells_address_host_and_scheme(ask: Ask) -> None:
    headers = {**FORWARDED, "X-Forwarded-Host": "app.example:8443"}
    told = ask("GET", "/", peer=PROXY, headers=headers).json()
    assert told["client"] == "198.51.100.7"
    assert told["caller"][:2] == ["198.51.100.7", "https://app.example:8443"]
    assert told["headers"]["host"] == "app.example:8443"
    assert told["headers"]["x-forwarded-proto"] == "https"
    assert "x-gradio-server" not in told["headers"]


@pytest.mark.parametrize("host", ["", "a b", "a/b", "http://x", "x" * 300, "a:b:c", "<script>"])
def test_a_host_that_is_none_is_refused(ask: Ask, host: str) -> None:
    assert ask("GET", "/", headers={"Host": host}).status_code == 400
    told = {"X-Forwarded-Host": host} if host else {"Host": ""}
    assert ask("GET", "/", peer=PROXY, headers=told).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"Origin": SITE}, 200),
        ({"Origin": "https://app.example"}, 200),  # a proxy that ends TLS and does not say so
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://friend.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://app.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://app.example:81"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", [f"{API}/run/classify", f"{API}/queue/join", f"{API}/cancel"])
def test_what_stores_something_is_taken_from_the_own_page_and_programs_alone(
    ask: Ask, path: str, headers: dict[str, str], status: int
) -> None:
    arrivals = Arrivals(TrustedProxies(""), origins=["https://friend.example"])
    reply = ask("POST", path, json={"data": []}, headers=headers, rules={"arrivals": arrivals})
    assert reply.status_code == status


def test_an_upload_that_another_site_makes_a_browser_send_is_refused(ask: Ask, house: object) -> None:
    files = {"files": ("a.png", b"x")}
    assert (
        ask("POST", f"{API}/upload", files=files, headers={"Origin": "https://evil.example"}).status_code
        == 403
    )
    assert ask("POST", f"{API}/upload", files=files, headers={"Origin": SITE}).status_code == 200


def test_nobody_else_can_sign_a_member_out(ask: Ask) -> None:
    assert ask("GET", "/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.1:7860", 200), ("LOCALHOST", 200), ("evil.example", 421)]
)
def test_an_app_for_one_person_answers_to_its_own_names(ask: Ask, host: str, status: int) -> None:
    rules = {"arrivals": Arrivals(TrustedProxies("127.0.0.1"), own_names=LOOPBACK)}
    assert ask("GET", "/", headers={"Host": host}, rules=rules).status_code == status
    told = {"Host": "127.0.0.1", "X-Forwarded-Host": host}
    assert ask("GET", "/", peer="127.0.0.1", headers=told, rules=rules).status_code == status
