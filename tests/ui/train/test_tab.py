"""The steps of Train show what the use cases say, and nothing of a user's text as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from loravit_web.datasets import DatasetStore, ImageDataset
from loravit_web.datasets.layout.plan import Level
from loravit_web.runs.results import result_of
from loravit_web.training.recipe import PRESETS
from loravit_web.ui.kit.confusion import CORNER, NoSuchCell, cell_of, confusion_table
from loravit_web.ui.kit.markup import class_table
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.runs.tab import build_runs
from loravit_web.ui.runs.watch import curves
from loravit_web.ui.train.check import chosen_level, doubles_notice, entries_of, level_choice, views_of
from loravit_web.ui.train.fields import ALL_FIELDS, preset_values
from loravit_web.ui.train.presets import preset_choices
from loravit_web.ui.train.relabel import PAGE, NothingMarked, Sheet, changes_in, changes_text, key_of
from loravit_web.ui.train.settings import suggested_name, told_cost
from loravit_web.ui.train.suspects import NO_DOUBTS
from loravit_web.ui.train.tab import TrainTab, build_train
from registry import ClassMetric, ConfusionCell, EvaluationDetails
from tests.conftest import RECIPE, train_now
from tests.datasets.makers import CATS_AND_DOGS, zip_of
from tests.ui.conftest import RunningApp

EVIL = "<img src=x onerror=alert(1)>"
EVIL_TEXT = escape(EVIL)


@pytest.fixture
def pets(tmp_path: Path) -> ImageDataset:
    store = DatasetStore(tmp_path / "store", workers=1)
    return store.import_source(zip_of(tmp_path / "pets.zip", CATS_AND_DOGS))


@pytest.fixture(scope="module")
def train(running_app: RunningApp) -> TrainTab:
    """The tab without a server."""
    with gr.Blocks():
        return build_train(running_app.service, Presence())


def details() -> EvaluationDetails:
    return EvaluationDetails(
        class_names=(EVIL, "dog"),
        classes=(ClassMetric(0.75, 0.6, 0.667, 5), ClassMetric(0.5, 0.667, 0.571, 3)),
        confusion=(ConfusionCell(0, 0, 3), ConfusionCell(0, 1, 2), ConfusionCell(1, 1, 2)),
    )


def test_the_matrix_has_a_row_for_what_is_and_a_column_for_the_answer() -> None:
    html = confusion_table(details(), "On test images.")
    heads = re.findall(r'<th scope="(col|row)">(.*?)</th>', html)
    assert heads == [("col", CORNER), ("col", EVIL_TEXT), ("col", "dog"), ("row", EVIL_TEXT), ("row", "dog")]
    assert re.findall(r'data-cell="(\d:\d)".*?>(\d)<', html) == [("0:0", "3"), ("0:1", "2"), ("1:1", "2")]
    assert html.count("<td>·</td>") == 1
    assert "<img" not in html


def test_one_cell_of_the_matrix_is_reached_by_tab_and_each_says_what_it_counts() -> None:
    html = confusion_table(details(), "")
    assert re.findall(r'tabindex="(-?\d)" data-cell="(\d:\d)"', html) == [
        ("0", "0:0"),
        ("-1", "0:1"),
        ("-1", "1:1"),
    ]
    assert f'aria-label="2 of {EVIL_TEXT} predicted as dog"' in html


@pytest.mark.parametrize("chosen", ["", "1", "a:b", "-1:0", "0:1:2", "²:1", "1" * 5000 + ":1"])
def test_what_names_no_cell_is_refused(chosen: str) -> None:
    assert cell_of("0:12") == (0, 12)
    with pytest.raises(NoSuchCell):
        cell_of(chosen)


def test_the_table_of_classes_begins_with_the_worst_and_escapes_names() -> None:
    html = class_table(details())
    assert html.index("dog") < html.index("&lt;img")
    assert "<img" not in html


def test_keys_of_the_page_become_changes_of_the_dataset(pets: ImageDataset) -> None:
    item = pets.items[0]
    sheet = Sheet(pets.fingerprint, (), changes={key_of(item): "dog"})
    assert changes_in(sheet) == {(item.sha256, item.label): "dog"}
    assert changes_in(None) == {}
    assert changes_text({"a": "dog", "b": "dog", "c": None}) == "2 moved to “dog”, 1 excluded"


def test_a_sheet_is_turned_no_further_than_its_ends() -> None:
    entries = tuple((str(number), "") for number in range(PAGE + 2))
    sheet = Sheet("fingerprint", entries)
    assert sheet.turned(-1).page == 0
    assert sheet.turned(5).here == entries[PAGE:]
    assert Sheet("fingerprint", ()).turned(1).here == ()


def test_what_is_marked_is_changed_together_and_marked_no_more() -> None:
    sheet = Sheet("fingerprint", (("a", ""), ("b", ""), ("c", ""))).switched(["a"]).switched(["a", "b"])
    assert sheet.marked == ("a", "b")
    assert sheet.switched(["a"]).marked == ("b",)
    assert sheet.switched(["b", "a"]).marked == ()
    changed = sheet.changed("dog").switched(["b", "c"]).changed(None)
    assert (changed.marked, changed.changes) == ((), {"a": "dog", "b": None, "c": None})
    with pytest.raises(NothingMarked, match="Click images to select them"):
        changed.changed("cat")


def test_images_are_shown_all_by_class_or_as_near_duplicates(pets: ImageDataset) -> None:
    assert len(entries_of(pets, "every", [], NO_DOUBTS)) == 5
    first = replace(pets.items[0], split="test")
    parted = replace(pets, items=(first, *pets.items[1:]))
    assert [item for item, _ in entries_of(parted, "every", [], NO_DOUBTS)] == [*pets.items[1:], first]
    assert [item.path for item, _ in entries_of(pets, "class:1", [], NO_DOUBTS)] == ["dog/1.png", "dog/2.png"]
    doubtful = [[key_of(pets.items[4]), "1: train, dog"]]
    assert [caption for _, caption in entries_of(pets, "near", doubtful, NO_DOUBTS)] == ["1: train, dog"]
    assert [value for _, value in views_of(pets, 1, NO_DOUBTS)] == [
        "every",
        "near",
        "spare",
        "class:0",
        "class:1",
    ]
    assert [value for _, value in views_of(pets, 0, NO_DOUBTS)] == ["every", "class:0", "class:1"]


def test_what_was_found_in_the_data_starts_with_its_warnings(
    running_app: RunningApp,
    pets: ImageDataset,
    train: TrainTab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    check = train.check
    shown = check.filled(running_app.seen, pets)
    assert shown[check.data] == pets.fingerprint
    assert "3 training images. Aim for at least 10." in shown[check.found]
    assert shown[check.go_on].value == "Continue with 5 images"
    assert (
        check.filled(running_app.seen, pets)[check.taken] != shown[check.taken]
    )  # the same again is to be heard as well


def test_near_duplicates_are_counted_and_listed(running_app: RunningApp, train: TrainTab) -> None:
    dataset = running_app.service.datasets.import_source(running_app.images)
    check = train.check
    assert "Looking for near-duplicates" in check.filled(running_app.seen, dataset)[check.doubles]
    shown = check.near_found(running_app.seen, dataset.fingerprint)
    assert shown[check.near] == []
    assert "No near-duplicates among 32 images." in shown[check.doubles]
    assert check.near_found(running_app.seen, None) == {check.near: [], check.doubles: ""}


def test_of_images_that_look_the_same_all_but_one_can_be_left_out(pets: ImageDataset) -> None:
    first, second, third, *_ = pets.items
    in_test = replace(second, split="test")
    dataset = replace(pets, items=(first, in_test, third))
    pairs = [(first, in_test), (first, third), (in_test, third)]
    doubtful = [[key_of(item), item.path] for pair in pairs for item in pair]
    # in training: the first, for its double is in the test set; and the third, for the same reason
    assert [item for item, _ in entries_of(dataset, "spare", doubtful, NO_DOUBTS)] == [first, third]
    assert [item for item, _ in entries_of(dataset, "near", doubtful[:2], NO_DOUBTS)] == [first, in_test]


def test_one_pair_is_one_pair() -> None:
    from loravit_web.datasets import ImageItem, NearDuplicates, NearPair

    pair = NearPair(ImageItem("a", "train", (0,), "1", ""), ImageItem("b", "test", (0,), "2", ""))
    text = doubles_notice(NearDuplicates((pair,), 10), 20)
    assert "1 pair of near-duplicates among the 10 of 20 images that were compared." in text
    assert "In 1 of them, one image is a training image and the other is not" in text


def test_the_cost_comes_with_the_equal_line_or_with_all_that_is_wrong(running_app: RunningApp) -> None:
    service = running_app.service
    fingerprint = service.datasets.import_source(running_app.images).fingerprint
    values = preset_values("quick", service.base.patch_size)
    wrong = [0 if value == PRESETS["quick"].recipe.epochs else value for value in values]
    assert told_cost(running_app.seen, None, "x", "quick", True, values) == ("", "")
    html, line = told_cost(running_app.seen, fingerprint, "", "quick", True, wrong)
    assert "Epochs 0 is out of range" in html
    assert line == ""


def test_the_equal_line_names_another_base(running_app: RunningApp) -> None:
    fingerprint = running_app.service.datasets.import_source(running_app.images).fingerprint
    values = preset_values("draft", 8)
    html, line = told_cost(running_app.seen, fingerprint, "x", "draft", True, values, base="embedded")
    assert "This training runs on embedded." in html
    assert "--base embedded" in line
    _, line = told_cost(running_app.seen, fingerprint, "x", "draft", True, [*values], base="tiny")
    assert "--base" not in line


def test_a_name_that_is_taken_is_told_before_it_gets_another_version(running_app: RunningApp) -> None:
    service = running_app.service
    fingerprint = service.datasets.import_source(running_app.images).fingerprint
    fields = dict(zip((field.name for field in ALL_FIELDS), preset_values("quick", 8), strict=True))
    values = list({**fields, "blocks": 1, "image_size": 32}.values())

    def cost(name: str) -> str:
        return told_cost(running_app.seen, fingerprint, name, "quick", True, values)[0]

    told = {name: cost(name) for name in ("Colours", "New", "")}
    assert "This will create the next version of “Colours”." in told["Colours"]
    assert all("trained parameters" in html for html in told.values())
    assert not any("next version" in told[name] for name in ("New", ""))
    service.registry.catalog.archive("colours", actor="ann")
    archived = cost("Colours")
    service.registry.catalog.restore("colours", actor="ann")
    assert "the next version of “Colours” and restore it from the archive." in archived


def test_a_result_is_shown_with_its_split_named(running_app: RunningApp, train: TrainTab) -> None:
    (run,) = running_app.service.registry.runs.list()
    shown = train.result.of_run(running_app.seen, run.id)
    assert set(shown) <= {*train.result.outputs}
    head = shown[train.result.head]
    assert re.search(r"<strong>\d of 8</strong> test images correct \(95% CI", head)
    assert "Probe</dt>" in head
    assert "colours@1" in head


def test_a_cell_beyond_the_classes_is_refused(running_app: RunningApp, train: TrainTab) -> None:
    (run,) = running_app.service.registry.runs.list()
    with pytest.raises(NoSuchCell, match="Select a cell of the matrix"):
        train.result.of_cell(running_app.seen, run.id, "test", (0, 2), None)


def test_corrections_outlive_the_look_at_another_split_and_a_reload(
    running_app: RunningApp, train: TrainTab
) -> None:
    service, panel = running_app.service, train.result
    (run,) = service.registry.runs.list()
    image = service.datasets.load(run.dataset.fingerprint).items[0]
    changes = {key_of(image): None}

    def sheet(kept: Any) -> Sheet | None:
        found: Sheet | None = panel.of_run(running_app.seen, run.id, kept)[panel.panel.sheet]
        return found

    result = result_of(service.registry, run.id)
    shown = panel.of_split(running_app.seen, result, "validation", changes)[panel.panel.sheet]
    assert [key for key, _caption in shown.entries] == [key_of(image)]
    assert sheet({"another": {}, run.id: {**changes, "gone:0": None}}) == shown
    for others in (None, {"another": changes}, {run.id: 3}, [run.id], {run.id: {"gone:0": None}}):
        assert sheet(others) is None


def test_data_are_named_without_a_remark_in_brackets() -> None:
    assert suggested_name("flowers") == "flowers"
    assert suggested_name("Drawn scenes (1250 images)") == "Drawn scenes"
    assert suggested_name("(1)") == "(1)"
    assert suggested_name("x" * 200) == "x" * 80


def test_a_curve_is_shown_when_it_has_two_points(running_app: RunningApp) -> None:
    service = running_app.service
    (run,) = service.registry.runs.list(status=["completed"])
    assert all(plot.visible for plot in curves(running_app.seen, run))
    images = service.datasets.import_source(running_app.images)
    short = train_now(service, images, "One epoch", replace(RECIPE, epochs=1), service.new_worker())
    assert not any(plot.visible for plot in curves(running_app.seen, short))
    with gr.Blocks():
        runs = build_runs(service)
    drawn = runs.drawn(running_app.seen, {**runs.untouched, runs.chosen: short.id})
    assert len(drawn[runs.compare.rows]) == 1
    assert not drawn[runs.compare.plot].visible
    assert "A curve needs at least two points" in drawn[runs.compare.tables]


def test_the_levels_of_folders_can_be_chosen_where_they_can_be_read_in_several_ways() -> None:
    levels = (Level(1, ("lamp A", "lamp B")), Level("last", ("broken", "ok")))
    asked = level_choice(levels, None)
    assert asked.visible is True
    assert asked.value is None
    assert [title for title, _value in asked.choices] == [
        "Level 1: lamp A and lamp B",
        "Folders around the images: broken and ok",
    ]
    assert level_choice(levels, "last").value == "last"
    assert level_choice((), None).visible is False
    values = [("last", "last"), ("2", 2), (None, None), ("two", None), ("999999", None)]
    assert [chosen_level(value) for value, _level in values] == [level for _value, level in values]


def test_a_preset_says_how_long_it_takes_once_that_is_known() -> None:
    draft, quick = ({key: text for text, key in preset_choices(8, times)} for times in ({}, {"quick": 312}))
    assert draft["quick"].startswith("Quick · 112 px")
    assert quick["quick"].startswith("Quick · about 5 min · 112 px")
    assert quick["draft"] == draft["draft"]
