"""The shell's lists, with their filters and pages, and its comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loravit_web.cli import main
from loravit_web.settings.environment import Settings
from registry import DatasetClass, NewBase, NewDataset, NewEvaluation, NewRun, NewVersion, Registry, Run


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry that the shell looks at."""
    monkeypatch.setenv("LORAVIT_HOME", str(tmp_path / "home"))
    settings = Settings(home=tmp_path / "home").made()
    with Registry.open(settings.database_url, settings.artifacts) as opened:
        yield opened


@pytest.fixture
def runs(registry: Registry) -> list[Run]:
    """The two runs of the adapter cats, a version each; birds have one version and no run."""
    base = registry.bases.ensure(NewBase("vit_small", "a" * 64, "vit_small", 384, 12))
    classes = (DatasetClass("Siamese", 6, 2, 0), DatasetClass("Persian", 6, 2, 0))
    dataset = registry.datasets.ensure(NewDataset("f" * 64, "cats.zip", "zip", classes))
    made = []
    for rank in (8, 16):
        config = {"adapter": {"r": rank, "targets": ["q", "v"]}, "stop": None if rank == 8 else 3}
        run = registry.runs.create(
            NewRun("cats", "Cats", base.id, dataset.id, 1, config, {"torch": "2.9"}), worker="w"
        )
        registry.runs.log_metrics(run.id, 1, {"val_accuracy": 0.5})
        publish(registry, "cats", "Cats", base.id, run, dataset.id, rank / 20)
        made.append(run)
    publish(registry, "birds", "Birds", base.id, None, None, 0.9)
    return made


def publish(
    registry: Registry,
    slug: str,
    title: str,
    base_id: int,
    run: Run | None,
    dataset_id: int | None,
    accuracy: float,
) -> None:
    registry.catalog.publish(
        NewVersion(
            slug=slug,
            title=title,
            description="",
            run_id=run.id if run is not None else None,
            base_id=base_id,
            dataset_id=dataset_id,
            adapter_type="LORA",
            n_params=10,
            image_size=112,
            class_names=("Siamese", "Persian"),
            config={"r": 8},
            files={"adapter_model.safetensors": f"{slug}{accuracy}".encode()},
            evaluations=(NewEvaluation("validation", 4, accuracy, 0.5, 0.5),),
        ),
        actor="ann",
    )


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main.main([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


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
def test_adapters_are_listed_as_asked(
    registry: Registry,
    runs: list[Run],
    words: list[str],
    slugs: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [row["slug"] for row in run_json(capsys, "adapters", "list", *words)] == slugs


def test_an_archived_adapter_is_listed_when_it_is_asked_for(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    registry.catalog.archive("birds", actor="ann")
    (row,) = run_json(capsys, "adapters", "list", "--status", "archived")
    assert (row["slug"], row["status"]) == ("birds", "archived")
    assert len(run_json(capsys, "adapters", "list", "--status", "any")) == 2


def test_a_list_says_on_stderr_that_there_is_more(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["adapters", "list", "--limit", "1"]) == 0
    assert "page 1 of 2, 2 adapters in all" in capsys.readouterr().err
    assert main.main(["runs", "list", "--limit", "1"]) == 0
    assert "page 1 of 2, 2 runs in all" in capsys.readouterr().err


def test_an_empty_answer_says_whether_there_is_anything_at_all(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["adapters", "list"], ["runs", "list"]):
        assert main.main(words) == 0
        assert "train" in capsys.readouterr().out


def test_an_answer_that_a_filter_left_empty_says_so(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["adapters", "list", "--search", "xyzzy"], ["runs", "list", "--status", "queued"]):
        assert main.main(words) == 0
        assert "meets this" in capsys.readouterr().out


def test_runs_are_listed_as_asked(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    registry.runs.finish(runs[0].id, "w", "failed", error="out of memory")
    assert [row["run"] for row in run_json(capsys, "runs", "list")] == [runs[1].id, runs[0].id]
    assert [row["run"] for row in run_json(capsys, "runs", "list", "--status", "failed")] == [runs[0].id]
    assert run_json(capsys, "runs", "list", "--slug", "birds") == []
    assert len(run_json(capsys, "runs", "list", "--search", "CATS.zip")) == 2


def test_a_curve_is_shown_with_as_many_points_as_asked(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    for step in range(20):
        registry.runs.log_metrics(runs[0].id, 2000 + step, {"loss": 1 / (step + 1)})
    curves = {n: run_json(capsys, "runs", "show", runs[0].id, "--points", n)["metrics"] for n in ("0", "6")}
    assert len(curves["0"]["loss"]) == 20
    assert len(curves["6"]["loss"]) <= 6
    assert curves["6"]["loss"][-1] == curves["0"]["loss"][-1]


def test_compare_tells_what_differs_and_where_each_comes_from(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    document = run_json(capsys, "compare", "cats@1", runs[1].id[:8], "birds")
    assert [one["name"] for one in document["compared"]] == ["cats@1", runs[1].id, "birds@1"]
    assert [one["adapter"] for one in document["compared"]] == ["cats@1", "cats@2", "birds@1"]
    settings = {row["key"]: row["values"] for row in document["settings"]}
    assert settings["adapter.r"] == {"cats@1": 8, runs[1].id: 16, "birds@1": 8}
    assert settings["stop"] == {"cats@1": None, runs[1].id: 3}
    assert "base.name" not in settings
    lineage = document["compared"][0]["lineage"]
    assert (lineage["dataset"]["name"], lineage["same_data"]["versions"]) == ("cats.zip", ["cats@2"])
    metrics = {row["key"]: row["values"] for row in document["metrics"]}
    assert metrics["validation.accuracy"] == {"cats@1": 0.4, runs[1].id: 0.8, "birds@1": 0.9}


def test_compare_shows_null_and_what_is_missing_differently(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["compare", "cats@1", "birds"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["stop", "null", "-"] in lines
    assert ["dataset.fingerprint", "f" * 12, "-"] in lines
    assert ["cats@1", "birds@1"] in lines


def test_compare_of_the_same_settings_says_so(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["compare", "cats@1", runs[0].id]) == 0
    assert "No setting differs." in capsys.readouterr().out


def test_show_tells_the_lineage_of_each_version(
    registry: Registry, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = run_json(capsys, "adapters", "show", "cats")["lineage"]
    assert lineage["cats@1"]["run"] == runs[0].id
    assert lineage["cats@1"]["same_data"]["runs"] == [runs[1].id]
    assert main.main(["adapters", "show", "cats"]) == 0
    assert "same data: cats@2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "nothing"], "no adapter or run 'nothing'"),
        (["compare", "cats@9"], "cats has no version or alias '9'"),
        (["adapters", "list", "--limit", "0"], "Ask for 1 to 500"),
        (["adapters", "list", "--min-accuracy", "90"], "a number from 0 to 1"),
        (["runs", "list", "--page", "0"], "there is no page 0"),
    ],
)
def test_what_can_not_be_answered_is_one_sentence_and_status_1(
    registry: Registry,
    runs: list[Run],
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(words) == 1
    output = capsys.readouterr()
    assert (output.out, output.err.startswith("error: ")) == ("", True)
    assert sentence in output.err
