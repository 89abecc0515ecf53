"""The shell's words about one adapter: one document each, and one sentence when it can't be done."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli import main
from loravit_web.settings.environment import Settings
from registry import (
    ClassMetric,
    ConfusionCell,
    NewBase,
    NewEvaluation,
    NewVersion,
    Registry,
    UsageCount,
)

RESULTS = NewEvaluation(
    split="test",
    n=3,
    accuracy=2 / 3,
    loss=0.5,
    macro_f1=0.6,
    calibration_error=0.1,
    classes=(ClassMetric(1.0, 0.5, 2 / 3, 2), ClassMetric(0.5, 1.0, 2 / 3, 1)),
    confusion=(ConfusionCell(0, 0, 1), ConfusionCell(0, 1, 1), ConfusionCell(1, 1, 1)),
)
Shell = Callable[..., Any]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with three versions of one adapter, the newest with results by class."""
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "home"))
    settings = Settings(home=tmp_path / "home").made()
    with Registry.open(settings.database_url, settings.artifacts) as registry:
        base = registry.bases.ensure(NewBase("tiny", "a" * 64, "vit_tiny", 32, 3))
        new = NewVersion("pets", "Pets", "", None, base.id, None, "LORA", 9, 32, ("cat", "dog"), {"r": 2}, {})
        for number in (1, 2, 3):
            files: dict[str, bytes | Path] = {"adapter_model.safetensors": str(number).encode()}
            results = (RESULTS,) if number == 3 else ()
            version = registry.catalog.publish(replace(new, files=files, evaluations=results), actor="ann")
        hour = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
        registry.usage.add([UsageCount(version.id, hour, 4, 1, 30.0, 20.0)])
    return tmp_path / "home"


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    """Runs a word of `adapters` with --json, and gives its document."""

    def run(*words: str) -> Any:
        assert main.main(["adapters", *words, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def text(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a word of `adapters`, and gives what a person reads."""

    def run(*words: str) -> str:
        assert main.main(["adapters", *words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def test_a_version_is_promoted_and_the_alias_says_where_it_was(shell: Shell) -> None:
    assert shell("promote", "pets@1", "production")["adapter"] == "pets@1"
    shell("promote", "pets@3", "production")
    document = shell("aliases", "pets")
    assert (document["latest"], [one["adapter"] for one in document["aliases"]]) == ("pets@3", ["pets@3"])
    assert [(move["from"], move["to"], move["by"]) for move in document["history"]] == [
        (1, 3, "shell"),
        (None, 1, "shell"),
    ]
    assert shell("rollback", "pets", "production")["adapter"] == "pets@1"
    assert shell("list")[0]["aliases"] == {"production": "pets@1"}


def test_a_protected_alias_needs_the_word_for_it(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell("promote", "pets@1", "production")
    assert shell("aliases", "pets", "--protect", "production")["aliases"][0]["protected"] is True
    assert main.main(["adapters", "promote", "pets@2", "production"]) == 1
    assert "is protected" in capsys.readouterr().err
    assert shell("promote", "pets@2", "production", "--protected")["adapter"] == "pets@2"
    shell("aliases", "pets", "--unprotect", "production")
    assert shell("aliases", "pets", "--remove", "production")["aliases"] == []


def test_a_withdrawn_version_stays_on_show_with_its_reason(shell: Shell) -> None:
    assert shell("withdraw", "pets@3", "--reason", "mislabelled") == {
        "adapter": "pets@3",
        "withdrawn": "mislabelled",
    }
    shown = shell("show", "pets")
    assert [one["withdrawn"] for one in shown["versions"]] == ["mislabelled", None, None]
    assert shell("show", "pets@3")["versions"][0]["withdrawn"] == "mislabelled"
    assert shell("aliases", "pets")["latest"] == "pets@2"


def test_tags_and_texts_are_changed_and_shown(shell: Shell) -> None:
    assert shell("tag", "pets", "animals", "indoor")["tags"] == ["animals", "indoor"]
    assert shell("tag", "pets", "outdoor", "--remove", "indoor")["tags"] == ["animals", "outdoor"]
    shell("describe", "pets", "--title", "Our pets", "--description", "All of them.")
    shown = shell("show", "pets")
    assert (shown["title"], shown["description"]) == ("Our pets", "All of them.")
    assert (shown["tags"], shown["owner"]) == (["animals", "outdoor"], "ann")


def test_an_archived_adapter_is_restored(shell: Shell) -> None:
    assert shell("archive", "pets") == {"slug": "pets", "archived": True}
    assert shell("list") == []
    assert shell("show", "pets")["archived"] is True
    assert shell("restore", "pets") == {"slug": "pets", "archived": False}
    assert len(shell("list")) == 1


def test_an_adapter_is_shown_with_its_results_by_class_and_its_usage(shell: Shell) -> None:
    shown = shell("show", "pets")
    assert shown["usage"] == [{"adapter": "pets@3", "asked": 4, "errors": 1, "mean_ms": 10.0, "max_ms": 20.0}]
    results = shown["results"]
    assert (results["adapter"], results["split"]) == ("pets@3", "test")
    assert results["classes"][0] == {
        "class": "cat",
        "precision": 1.0,
        "recall": 0.5,
        "f1": 2 / 3,
        "support": 2,
    }
    assert results["most_confused"] == [{"true": "cat", "predicted": "dog", "n": 1, "share": 0.5}]
    assert [one["created_by"] for one in shown["versions"]] == ["ann"] * 3


def test_a_number_or_an_alias_shows_that_version_alone(shell: Shell) -> None:
    shell("promote", "pets@2", "production")
    for ref in ("pets@2", "pets@production"):
        shown = shell("show", ref)
        assert [one["adapter"] for one in shown["versions"]] == ["pets@2"]
        assert shown["results"] is None
    assert shell("show", "pets")["aliases"] == {"production": "pets@2"}


def test_every_change_is_told_newest_first(shell: Shell) -> None:
    shell("tag", "pets", "animals")
    shell("promote", "pets@2", "production")
    found = shell("events", "pets", "--limit", "3")
    assert [(one["kind"], one["what"], one["actor"]) for one in found] == [
        ("promoted", "pets@production", "shell"),
        ("tagged", "pets", "shell"),
        ("published", "pets@3", "ann"),
    ]
    assert shell("events") == [*found, *shell("events")[3:]]


def test_people_read_tables(text: Callable[..., str]) -> None:
    assert text("promote", "pets@3", "production") == "pets@production is pets@3 now.\n"
    shown = text("show", "pets")
    assert "aliases: production (pets@3)" in shown
    assert "pets@3 class by class, on the test images" in shown
    assert "cat    1          0.5     0.6667  2" in shown
    aliases = text("aliases", "pets")
    assert aliases.startswith("latest: pets@3\n")
    assert "promoted" in aliases
    assert "pets@production" in text("events", "pets")
    assert text("tag", "pets") == "pets: no tags.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["promote", "pets@1", "v3"], "looks like a version number"),
        (["promote", "pets@1", "latest"], "newest version"),
        (["promote", "pets@9", "production"], "no version or alias '9'"),
        (["rollback", "pets", "production"], "no alias 'production'"),
        (["withdraw", "pets@1", "--reason", " "], "has no reason"),
        (["tag", "pets", "Not A Tag"], "cannot be a tag"),
        (["describe", "pets", "--title", " "], "the title of pets"),
        (["restore", "cars"], "no adapter 'cars'"),
        (["events", "cars"], "no adapter 'cars'"),
        (["show", "pets@9"], "no version or alias '9'"),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_status_1(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["adapters", *words]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("error: ")
    assert sentence in line


def test_a_version_that_production_names_is_not_withdrawn(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell("promote", "pets@1", "production")
    assert main.main(["adapters", "withdraw", "pets@1", "--reason", "bad"]) == 1
    assert "Move production to another version first" in capsys.readouterr().err
