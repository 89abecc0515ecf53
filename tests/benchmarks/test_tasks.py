"""The benchmark of tasks compares ways image by image, and continues where it was interrupted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.learning.old_probe import fit_old_probe, neighbor_scores
from benchmarks.learning.task_data import TaskImages, few_shot, imbalanced
from benchmarks.learning.task_rows import Key, Outcome, Row, RowFile, RowsUnusable, row_of
from benchmarks.learning.task_summary import difference, differences, figures, mean_difference, table

CONDITIONS = "float32 and up to 4 test images"


def row(way: str, correct: str, *, task: str = "tiles", seed: int = 0, seconds: float = 2.0) -> Row:
    outcome = Outcome(
        correct=torch.tensor([answer == "1" for answer in correct]),
        scores=torch.full((len(correct),), 0.75),
        seconds=seconds,
        bytes=1000,
    )
    return row_of(Key(task, 300, seed, way), CONDITIONS, outcome)


def test_a_task_has_as_many_images_of_each_class_as_its_name_says() -> None:
    counts = imbalanced(10)
    assert (counts[0], counts[-1]) == (120, 6)
    assert sorted(counts, reverse=True) == list(counts)
    assert few_shot(3) == (10, 10, 10)


def test_every_seed_is_tested_on_the_same_images_and_learns_from_others(tmp_path: Path) -> None:
    for number in range(60):
        folder = tmp_path / "images" / f"class-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 2 * number, 0)).save(folder / f"{number}.png")
    images = TaskImages(tmp_path / "store", {"tiles": str(tmp_path / "images")}, test_images=10)
    first, second = images.cells(["tiles"], [20], seeds=2)
    assert first.data.test.paths == second.data.test.paths
    assert set(first.data.train.paths) != set(second.data.train.paths)
    for cell in (first, second):
        used = [path for split in (cell.data.train, cell.data.validation) for path in split.paths]
        assert len(used) == 20
        assert not set(used) & set(cell.data.test.paths)
        assert set(Counter(cell.data.train.labels.tolist()).values()) == {8}


def test_an_interrupted_run_continues_from_its_complete_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    kept = row("Draft", "1101")
    RowFile(path, CONDITIONS).add(kept)
    with path.open("a") as file:
        file.write('{"task": "ti')
    continued = RowFile(path, CONDITIONS)
    assert continued.rows == {kept.key: kept}
    continued.add(row("Quick", "1111"))
    assert len(RowFile(path, CONDITIONS).rows) == 2


def test_rows_of_other_conditions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    RowFile(path, CONDITIONS).add(row("Draft", "1101"))
    with pytest.raises(RowsUnusable, match="Name another file"):
        RowFile(path, "bfloat16 and up to 4 test images")


def test_a_difference_that_every_image_and_seed_shows_has_no_error() -> None:
    better = [row("Draft", "1111", seed=0), row("Draft", "1111", seed=1)]
    worse = [row("Draft before", "0000", seed=0), row("Draft before", "0000", seed=1)]
    assert difference(better, worse).points == 100
    assert difference(better, worse).error == 0
    assert difference(worse, better).is_worse


def test_a_difference_on_few_images_is_noise() -> None:
    lead = difference([row("Draft", "0111")], [row("Draft before", "1111")])
    assert lead.points == -25
    assert lead.error == pytest.approx(25)
    assert not lead.is_worse


def test_seeds_that_disagree_raise_the_error() -> None:
    first = [row("Draft", "1111", seed=0), row("Draft", "0000", seed=1)]
    second = [row("Draft before", "0000", seed=0), row("Draft before", "1111", seed=1)]
    assert difference(first, second).error == pytest.approx(100)


def test_only_cells_that_both_ways_have_are_compared() -> None:
    rows = [row("Draft", "1111"), row("Draft", "0000", seed=1), row("Draft before", "0000")]
    assert differences(rows, "Draft", "Draft before")["tiles"].points == 100


def test_all_tasks_count_the_same_in_the_mean() -> None:
    rows = [row("Draft", "1111"), row("Draft before", "0000")]
    rows += [
        row(way, "1100", task="digits", seed=seed) for way in ("Draft", "Draft before") for seed in (0, 1)
    ]
    assert mean_difference(differences(rows, "Draft", "Draft before")).points == 50


def test_a_result_below_its_probe_and_a_slow_preset_miss_their_targets() -> None:
    slow = replace(row("Draft", "1111", seconds=2.0), is_below_probe=True)
    missed = {
        figure.name: figure.note for figure in figures([slow, row("Draft before", "0000")]) if not figure.met
    }
    assert missed["Draft: published below its own probe, of 1"] == "tiles 300 seed 0"
    assert "time of Draft / Draft before" in missed


def test_the_table_has_a_column_for_each_way_and_a_row_for_each_task() -> None:
    heading, _line, tiles, *_summaries = table(
        [row("Draft before", "1000"), row("Draft", "1110")]
    ).splitlines()
    assert heading == "|  | Draft before | Draft |"
    assert tiles == "| tiles | 0.250 | 0.750 |"


def test_the_nearest_class_by_cosine_has_the_most_votes() -> None:
    known = torch.tensor([[1.0, 0.0], [2.0, 0.1], [3.0, -0.1], [0.0, 1.0], [0.1, 2.0], [-0.1, 3.0]])
    scores = neighbor_scores(
        known, torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([[5.0, 0.5], [0.5, 5.0]]), 2
    )
    assert scores.argmax(dim=1).tolist() == [0, 1]
    assert torch.allclose(scores.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_old_probe_is_one_linear_layer(classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat(10)
    centers = 10 * torch.eye(classes, 4) + 100
    features = centers[labels] + torch.randn(len(labels), 4, generator=generator)
    probe = fit_old_probe(features, labels, features, labels, classes)
    assert probe.accuracy == 1
    assert probe.weight.shape == (classes, 4)
    assert probe.logits(features).argmax(dim=1).tolist() == labels.tolist()
