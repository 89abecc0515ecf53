"""Step 1 of Train opens, downloads and deletes datasets that are stored already."""

from __future__ import annotations

import zipfile

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL, NotAllowed, member
from loravit_web.actions import Actions
from loravit_web.datasets import ImageDataset
from loravit_web.runs.deletion import DatasetDeletion
from loravit_web.ui.train.review.stored import (
    NoDatasetChosen,
    StoredPanel,
    build_stored,
    choices,
    question_of,
    written,
)
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def stored(running_app: RunningApp) -> StoredPanel:
    """The tab without a server."""
    with gr.Blocks():
        return build_stored(running_app.service)


@pytest.fixture
def dataset(running_app: RunningApp) -> ImageDataset:
    (run,) = running_app.service.registry.runs.list()
    return running_app.service.datasets.load(run.dataset.fingerprint)


def test_revisions_are_listed_the_newest_one_first(running_app: RunningApp, dataset: ImageDataset) -> None:
    actions = Actions(running_app.service, LOCAL)
    revision = actions.rename_class(dataset.fingerprint, "red", "rosy").dataset
    titles = [title for title, _fingerprint in choices(running_app.seen)]
    assert titles == [
        "colours, revision 2 · 32 images, 2 classes",
        "colours · 32 images, 2 classes",
    ]
    actions.delete_dataset(revision.fingerprint)


def test_a_stored_dataset_is_opened(
    running_app: RunningApp, stored: StoredPanel, dataset: ImageDataset
) -> None:
    actions = Actions(running_app.service, LOCAL)
    opened = stored.take({stored.chosen: dataset.fingerprint}, actions, lambda _f, _t: None, None)
    assert opened.dataset == dataset
    with pytest.raises(NoDatasetChosen):
        stored.take({stored.chosen: None}, actions, lambda _f, _t: None, None)


@pytest.mark.parametrize("form", ["folders", "csv", "imagefolder", "coco", "something"])
def test_a_stored_dataset_is_written_as_a_zip(
    running_app: RunningApp, dataset: ImageDataset, form: str
) -> None:
    path = written(running_app.seen, dataset.fingerprint, form)
    with zipfile.ZipFile(path) as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 32
    assert path.name == f"colours-{'folders' if form == 'something' else form}.zip"


def test_a_viewer_downloads_no_training_data(running_app: RunningApp, dataset: ImageDataset) -> None:
    viewer = running_app.service.seen_by(member("vera", "viewer"))
    with pytest.raises(NotAllowed):
        written(viewer, dataset.fingerprint, "folders")


def test_a_deletion_is_asked_with_what_stays() -> None:
    question = question_of(DatasetDeletion("pets", "f" * 64, 12, ("The history keeps 1 run.",)))
    assert question.consequences == (
        "12 image files of “pets” will be deleted for good.",
        "The history keeps 1 run.",
    )
    own = question_of(DatasetDeletion("pets", "f" * 64, 0, ("The images stay.",)))
    assert own.consequences[0] == "Your import of “pets” will be deleted."
