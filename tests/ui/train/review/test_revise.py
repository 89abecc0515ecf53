"""Step 2 of Train adds images to the data that is there, and renames or merges its classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from loravit_web.datasets import ImageDataset
from loravit_web.datasets.sources.archives import ArchiveLimits
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.train.review.revise import NothingToAdd, opened
from loravit_web.ui.train.tab import TrainTab, build_train
from tests.datasets.makers import folder_of, png, zip_of
from tests.ui.catalog.catalog_page import request
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def blocks(running_app: RunningApp) -> Iterator[tuple[gr.Blocks, TrainTab]]:
    """The tab without a server, and the page around it."""
    with gr.Blocks() as demo:
        yield demo, build_train(running_app.service, Presence())


@pytest.fixture
def train(blocks: tuple[gr.Blocks, TrainTab]) -> TrainTab:
    return blocks[1]


@pytest.fixture
def dataset(running_app: RunningApp) -> ImageDataset:
    (run,) = running_app.service.registry.runs.list()
    return running_app.service.datasets.load(run.dataset.fingerprint)


def clicked(blocks: tuple[gr.Blocks, TrainTab], button: gr.Button, values: dict[Any, Any]) -> dict[Any, Any]:
    """Call the handler of a button as a click does."""
    (handler,) = [
        one.fn
        for one in blocks[0].fns.values()
        if (button._id, "click") in one.targets and one.fn is not None
    ]
    result: dict[Any, Any] = handler(values, request())
    return result


def test_a_dataset_offers_its_classes(
    running_app: RunningApp, train: TrainTab, dataset: ImageDataset
) -> None:
    filled = train.check.filled(running_app.seen, dataset)
    revise = train.check.revise
    assert [name for name, _ in filled[revise.classes].choices] == ["green", "red"]
    assert filled[revise.more].visible
    assert not train.check.emptied()[revise.names].visible


def test_images_are_added_and_the_next_revision_is_shown(
    running_app: RunningApp,
    blocks: tuple[gr.Blocks, TrainTab],
    dataset: ImageDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = folder_of(tmp_path / "gradio", {"1.png": png(60), "2.png": png(61)})
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    check = blocks[1].check
    files = [str(path) for path in folder.glob("*.png")]
    given = {check.data: dataset.fingerprint, check.revise.files: files, check.revise.label: "blue"}
    shown = clicked(blocks, check.revise.add, given)
    found = str(shown[check.found])
    assert "colours, revision" in found
    assert "2 images added." in found
    assert 'data-summary="colours, revision' in found
    more = running_app.service.datasets.load(shown[check.data])
    assert more.counts()["blue"]["train"] == 2


def test_one_class_is_renamed_and_several_are_merged(
    blocks: tuple[gr.Blocks, TrainTab], dataset: ImageDataset
) -> None:
    check = blocks[1].check
    revise = check.revise
    given = {check.data: dataset.fingerprint, revise.in_answers: False}
    shown = clicked(blocks, revise.rename, {**given, revise.classes: ["red"], revise.name: "rosy"})
    assert "“red” renamed to “rosy”" in str(shown[check.found])
    with pytest.raises(gr.Error, match="No class is chosen"):
        clicked(blocks, revise.rename, {**given, revise.classes: [], revise.name: "rosy"})
    with pytest.raises(gr.Error, match="At least two classes are needed"):
        clicked(blocks, revise.rename, {**given, revise.classes: ["red", "green"], revise.name: "all"})


def test_files_need_a_class_or_folders_for_it(tmp_path: Path) -> None:
    limits = ArchiveLimits()
    for files, name, sentence in (
        ([], "cat", "There is nothing to add"),
        ([tmp_path / "1.png", tmp_path / "2.png"], " ", "The class of the images is missing"),
    ):
        with pytest.raises(NothingToAdd, match=sentence), opened(files, name, limits):
            pass
    archive = zip_of(tmp_path / "more.zip", {"cat/1.png": png(1), "dog/1.png": png(2)})
    with opened([archive], "", limits) as source:
        assert {place.class_names for place in source.plan.placements} == {("cat",), ("dog",)}
    with opened([archive], "pet", limits) as source:
        assert {place.class_names for place in source.plan.placements} == {("pet",)}
