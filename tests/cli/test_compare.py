"""``compare``: what differs among adapters, versions and runs."""

from __future__ import annotations

import pytest

from registry import Run
from tests.cli.conftest import Json, Text


def test_compare_tells_what_differs_and_where_each_comes_from(cats: list[Run], run_json: Json) -> None:
    document = run_json("compare", "cats@1", cats[1].id[:8], "birds")
    assert [subject["name"] for subject in document["compared"]] == ["cats@1", cats[1].id, "birds@1"]
    assert [subject["adapter"] for subject in document["compared"]] == ["cats@1", "cats@2", "birds@1"]
    settings = {row["key"]: row["values"] for row in document["settings"]}
    assert settings["adapter.r"] == {"cats@1": 8, cats[1].id: 16, "birds@1": 8}
    assert settings["stop"] == {"cats@1": None, cats[1].id: 3}
    assert "base.name" not in settings
    lineage = document["compared"][0]["lineage"]
    assert (lineage["dataset"]["name"], lineage["same_data"]["versions"]) == ("cats.zip", ["cats@2"])
    metrics = {row["key"]: row["values"] for row in document["metrics"]}
    assert metrics["validation.accuracy"] == {"cats@1": 0.4, cats[1].id: 0.8, "birds@1": 0.9}


def test_null_and_a_missing_value_look_different(cats: list[Run], text: Text) -> None:
    lines = [line.split() for line in text("compare", "cats@1", "birds").splitlines()]
    assert ["stop", "null", "-"] in lines
    assert ["dataset.fingerprint", "f" * 12, "-"] in lines
    assert ["cats@1", "birds@1"] in lines


def test_equal_settings_are_reported_as_such(cats: list[Run], text: Text) -> None:
    assert "No setting differs." in text("compare", "cats@1", cats[0].id)


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [("nothing", "no adapter or run 'nothing'"), ("cats@9", "cats has no version or alias '9'")],
)
def test_an_unknown_reference_is_one_sentence(
    cats: list[Run], ref: str, sentence: str, refusal: Text
) -> None:
    assert sentence in refusal("compare", ref)
