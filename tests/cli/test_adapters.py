"""``adapters list``, ``show`` and ``events``."""

from __future__ import annotations

import pytest

from loravit_web.cli.main import main
from registry import Registry, Run
from tests.cli.conftest import Json, Text


@pytest.mark.parametrize(
    ("words", "slugs"),
    [
        ([], ["birds", "cats"]),
        (["--search", "CAT"], ["cats"]),
        (["--search", "siamese", "--sort", "accuracy"], ["birds", "cats"]),
        (["--sort", "versions"], ["cats", "birds"]),
        (["--min-accuracy", "0.85"], ["birds"]),
        (["--base", "vit_small", "--type", "LORA", "--owner", "ann"], ["birds", "cats"]),
        (["--type", "PREFIX"], []),
        (["--tag", "indoor"], []),
        (["--alias", "production"], []),
        (["--status", "archived"], []),
        (["--limit", "1", "--page", "2"], ["cats"]),
    ],
)
def test_adapters_are_filtered_sorted_and_paged(
    cats: list[Run], words: list[str], slugs: list[str], run_json: Json
) -> None:
    assert [row["slug"] for row in run_json("adapters", "list", *words)] == slugs


def test_several_tags_are_all_required(registry: Registry, cats: list[Run], run_json: Json) -> None:
    registry.catalog.tag("cats", add=["indoor", "furry"], actor="ann")
    registry.catalog.tag("birds", add=["indoor"], actor="ann")
    (row,) = run_json("adapters", "list", "--tag", "indoor", "--tag", "furry")
    assert row["slug"] == "cats"


def test_an_archived_adapter_is_listed_on_request_only(
    registry: Registry, cats: list[Run], run_json: Json
) -> None:
    registry.catalog.archive("birds", actor="ann")
    (row,) = run_json("adapters", "list", "--status", "archived")
    assert (row["slug"], row["status"]) == ("birds", "archived")
    assert len(run_json("adapters", "list", "--status", "any")) == 2


def test_a_list_with_more_pages_says_so_on_stderr(
    cats: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters", "list", "--limit", "1"]) == 0
    assert "page 1 of 2, 2 adapters in total" in capsys.readouterr().err


def test_an_empty_catalog_says_what_to_do(text: Text) -> None:
    assert text("adapters", "list") == "No adapters yet. Train one first.\n"


def test_filters_without_a_match_say_so(cats: list[Run], text: Text) -> None:
    assert text("adapters", "list", "--search", "xyzzy") == "No adapters match.\n"


def test_an_adapter_is_shown_with_its_results_by_class_and_its_usage(pets: None, run_json: Json) -> None:
    shown = run_json("adapters", "show", "pets")
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
    assert [version["created_by"] for version in shown["versions"]] == ["ann"] * 3


def test_a_number_or_an_alias_shows_only_that_version(registry: Registry, pets: None, run_json: Json) -> None:
    registry.aliases.promote("pets@2", "production", actor="ann")
    for ref in ("pets@2", "pets@production"):
        shown = run_json("adapters", "show", ref)
        assert [version["adapter"] for version in shown["versions"]] == ["pets@2"]
        assert shown["results"] is None
    assert run_json("adapters", "show", "pets")["aliases"] == {"production": "pets@2"}


def test_each_version_is_shown_with_its_lineage(cats: list[Run], run_json: Json, text: Text) -> None:
    lineage = run_json("adapters", "show", "cats")["lineage"]
    assert lineage["cats@1"]["run"] == cats[0].id
    assert lineage["cats@1"]["same_data"]["runs"] == [cats[1].id]
    assert "same data: cats@2" in text("adapters", "show", "cats")


def test_people_read_an_adapter_as_tables(registry: Registry, pets: None, text: Text) -> None:
    registry.aliases.promote("pets@3", "production", actor="ann")
    shown = text("adapters", "show", "pets")
    assert "aliases: production (pets@3)" in shown
    assert "pets@3 per class, on the test split" in shown
    assert "cat    1          0.5     0.6667  2" in shown
    assert "pets@production" in text("adapters", "events", "pets")


def test_changes_are_listed_newest_first(registry: Registry, pets: None, run_json: Json) -> None:
    registry.catalog.tag("pets", add=["animals"], actor="shell")
    registry.aliases.promote("pets@2", "production", actor="shell")
    found = run_json("adapters", "events", "pets", "--limit", "3")
    assert [(event["kind"], event["what"], event["actor"]) for event in found] == [
        ("promoted", "pets@production", "shell"),
        ("tagged", "pets", "shell"),
        ("published", "pets@3", "ann"),
    ]
    everything = run_json("adapters", "events")
    assert everything == [*found, *everything[3:]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["events", "cars"], "no adapter 'cars'"),
        (["show", "pets@9"], "no version or alias '9'"),
        (["show", "cars"], "cars"),
        (["list", "--limit", "0"], "Ask for 1 to 500"),
        (["list", "--min-accuracy", "90"], "a number from 0 to 1"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    pets: None, words: list[str], sentence: str, refusal: Text
) -> None:
    assert sentence in refusal("adapters", *words)
