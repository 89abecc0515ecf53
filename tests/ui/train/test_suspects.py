"""Images whose label looks wrong are shown before all others, in steps 2 and 5 of Train."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr
import pytest

from loravit_web.datasets import ImageDataset, ImageItem
from loravit_web.training.files.suspects import SUSPECTS, Suspect, Suspects, write_suspects
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.train.check import entries_of, views_of
from loravit_web.ui.train.relabel import Sheet, key_of
from loravit_web.ui.train.suspects import BY_THIS, NO_DOUBTS, doubts_notice, doubts_of_dataset, doubts_of_run
from loravit_web.ui.train.tab import TrainTab, build_train
from registry import Run
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def train(running_app: RunningApp) -> TrainTab:
    """The tab without a server."""
    with gr.Blocks():
        return build_train(running_app.service, Presence())


@pytest.fixture
def run(running_app: RunningApp) -> Run:
    (run,) = running_app.service.registry.runs.list()
    return run


@pytest.fixture
def dataset(running_app: RunningApp, run: Run) -> ImageDataset:
    return running_app.service.datasets.load(run.dataset.fingerprint)


@pytest.fixture
def suspect(running_app: RunningApp, run: Run, dataset: ImageDataset) -> Iterator[ImageItem]:
    """The last training image, whose label looks wrong during a test."""
    files = running_app.service.registry.run_files
    before, item = files.read(run.id, SUSPECTS), dataset.select("train")[-1]
    found = Suspect(item.sha256, item.label, 1 - item.label, 0.926)
    files.put(run.id, SUSPECTS, write_suspects(Suspects(24, (found,))))
    yield item
    files.put(run.id, SUSPECTS, before)


CAPTION = "“red”? Probably “green” (93%)"


def test_the_check_shows_suspicious_labels_first(
    running_app: RunningApp, train: TrainTab, dataset: ImageDataset, suspect: ImageItem
) -> None:
    check = train.check
    shown = check.filled(running_app.seen, dataset)
    assert "1 label looks wrong. The last training on this dataset examined 24" in shown[check.found]
    view, sheet = shown[check.view], shown[check.panel.sheet]
    assert (view.value, view.choices[0][0]) == ("suspicious", "Suspicious labels first (1)")
    assert sheet.entries[0] == (key_of(suspect), CAPTION)
    assert len({key for key, _caption in sheet.entries}) == len(dataset.items)
    found = check.near_found(running_app.seen, dataset.fingerprint)
    assert found[check.view].choices == view.choices


def test_the_other_views_stay_as_they_are(
    running_app: RunningApp, dataset: ImageDataset, suspect: ImageItem
) -> None:
    doubts = doubts_of_dataset(running_app.seen, dataset)
    for view in ("every", "class:0"):
        assert entries_of(dataset, view, [], doubts) == entries_of(dataset, view, [], NO_DOUBTS)
    assert views_of(dataset, 1, doubts)[1:] == views_of(dataset, 1, NO_DOUBTS)


def test_the_result_shows_the_suspicious_labels_of_its_run(
    running_app: RunningApp, train: TrainTab, run: Run, suspect: ImageItem
) -> None:
    result = train.result
    shown = result.of_run(running_app.seen, run.id)
    assert "1 label looks wrong. This training examined 24" in shown[result.suspects.text]
    assert shown[result.suspects.show].visible
    assert shown[result.again].visible
    assert shown[result.panel.sheet].entries == ((key_of(suspect), CAPTION),)


def test_changes_stay_when_the_suspicious_labels_are_shown(
    running_app: RunningApp, train: TrainTab, run: Run, dataset: ImageDataset, suspect: ImageItem
) -> None:
    result, changes = train.result, {key_of(dataset.items[0]): None}
    kept = result.of_run(running_app.seen, run.id, {run.id: changes})
    assert [key for key, _caption in kept[result.panel.sheet].entries] == list(changes)
    sheet = Sheet(dataset.fingerprint, (), changes=changes)
    shown = result.of_suspects(running_app.seen, run.id, sheet)[result.panel.sheet]
    assert (shown.entries, shown.changes) == (((key_of(suspect), CAPTION),), changes)


def test_a_run_without_suspicious_labels_says_so(
    running_app: RunningApp, train: TrainTab, run: Run, dataset: ImageDataset
) -> None:
    result, check = train.result, train.check
    shown = result.of_run(running_app.seen, run.id)
    assert "No label looks wrong. This training examined 24" in shown[result.suspects.text]
    assert not shown[result.suspects.show].visible
    assert not shown[result.again].visible
    filled = check.filled(running_app.seen, dataset)
    assert "No label looks wrong." in filled[check.found]
    assert filled[check.view].value == "every"


def test_a_run_of_an_older_version_says_nothing_about_labels(
    running_app: RunningApp, run: Run, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loravit_web.runs.suspects.SUSPECTS", "something-else.json")
    assert doubts_of_run(running_app.seen, run.id, dataset) == NO_DOUBTS
    assert doubts_of_dataset(running_app.seen, dataset) == NO_DOUBTS


def test_a_damaged_list_is_an_error_beside_the_data(
    running_app: RunningApp, train: TrainTab, run: Run, dataset: ImageDataset, suspect: ImageItem
) -> None:
    running_app.service.registry.run_files.put(run.id, SUSPECTS, b"{}")
    shown = train.check.filled(running_app.seen, dataset)
    assert "cannot be read by this version of the app" in shown[train.check.found]
    assert shown[train.check.data] == dataset.fingerprint


def test_several_suspicious_labels_are_counted() -> None:
    text = doubts_notice(3, 600, examined_by=BY_THIS)
    assert "3 labels look wrong. This training examined 600 training and validation images." in text
    assert "A label changes only if you change it." in text
