"""Those who watch over the app learn whether it lives and answers, and metrics are guarded."""

from __future__ import annotations

from typing import Any

import pytest

from loravit_web.ui.gate.health import Health
from registry import DatabaseNotReadable
from tests.ui.conftest import RunningApp
from tests.ui.gate.conftest import Ask


def health(problem: str | None = None, token: str | None = None) -> dict[str, Any]:
    return {"health": Health(lambda: problem, lambda: b"loravit_runs 1\n", token)}


def test_a_live_process_says_so_even_if_it_is_not_ready(ask: Ask) -> None:
    assert ask("GET", "/healthz", rules=health("The base is still being loaded.")).status_code == 200


def test_an_app_that_cannot_answer_says_why(ask: Ask) -> None:
    assert ask("GET", "/readyz", rules=health()).json() == {"status": "ready"}
    refused = ask("GET", "/readyz", rules=health("The base is still being loaded."))
    assert refused.status_code == 503
    assert refused.json()["reason"] == "The base is still being loaded."


@pytest.mark.parametrize(
    ("token", "header", "status"),
    [
        (None, "", 200),
        ("", "", 404),
        ("", "Bearer ", 404),
        ("secret", "", 401),
        ("secret", "Bearer wrong", 401),
        ("secret", "Basic secret", 401),
        ("secret", "Bearer secret", 200),
    ],
)
def test_metrics_are_for_the_holder_of_the_token(
    ask: Ask, token: str | None, header: str, status: int
) -> None:
    answer = ask("GET", "/metrics", rules=health(token=token), headers={"Authorization": header})
    assert answer.status_code == status
    assert ("loravit_runs" in answer.text) == (status == 200)


def test_a_gate_without_these_routes_has_none_of_them(ask: Ask) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert ask("GET", path).status_code == 404


def test_a_running_app_is_ready_and_counts_its_answers(running_app: RunningApp) -> None:
    pytest.importorskip("prometheus_client")
    service = running_app.service
    service.predictor.refresh()
    for milliseconds in (2.0, 30.0, None):
        service.measures.count(milliseconds)
    text = service.metrics().decode()
    for line in (
        'loravit_answers_total{outcome="answered"} 2.0',
        'loravit_answers_total{outcome="failed"} 1.0',
        'loravit_branch_seconds_bucket{le="0.01"} 1.0',
        'loravit_branch_seconds_bucket{le="+Inf"} 2.0',
        'loravit_runs{status="completed"} 1.0',
        "loravit_adapters_in_memory 1.0",
        "loravit_compiled_parts 0.0",
    ):
        assert line in text.splitlines()


def test_an_app_without_its_database_is_not_ready(
    running_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Health.of(running_app.service)
    assert running_app.service.predictor
    assert found.is_ready() is None

    def away() -> int:
        raise DatabaseNotReadable("postgresql://host/name", "connection refused")

    monkeypatch.setattr(running_app.service.registry, "revision", away)
    assert found.is_ready() is not None
