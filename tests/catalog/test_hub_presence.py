"""Whether the Hub answers is asked rarely, and the answer is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from loravit_web.catalog.hub_presence import RECHECK_SECONDS, HubPresence, hub_problem, is_cached
from tests.hub_server import FakeHub


def test_the_hub_is_asked_again_only_after_a_while() -> None:
    now, answers = [0.0], ["no network", None]
    presence = HubPresence(lambda: answers.pop(0), clock=lambda: now[0])
    assert (presence.problem, presence.problem) == ("no network", "no network")
    now[0] += RECHECK_SECONDS
    assert (presence.problem, presence.problem) == (None, None)


def test_a_hub_that_answers_is_no_problem(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", fake_hub.url)
    assert hub_problem() is None


def test_a_hub_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    assert hub_problem() == "The Hugging Face Hub cannot be reached."


def test_a_hub_that_is_switched_off_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub_problem() == "The Hugging Face Hub is switched off by HF_HUB_OFFLINE."


def test_a_model_is_cached_if_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", str(tmp_path))
    assert not is_cached("vit")
    model = tmp_path / "models--timm--vit"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("1")
    (model / "snapshots" / "1").mkdir(parents=True)
    (model / "snapshots" / "1" / "model.safetensors").write_text("")
    assert is_cached("vit")
