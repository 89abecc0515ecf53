"""The image in Use can be added to the training data of tasks that were trained here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL, member
from loravit_web.adapters.files.bundle import read_bundle
from loravit_web.catalog.exchange import exported, publish_bundle
from loravit_web.runs.taught import NotTrainedHere
from loravit_web.serving.answers import Answer, Label, TaskAnswer
from loravit_web.training.files.reliability import confidence
from loravit_web.ui.use.answers import answer_columns
from loravit_web.ui.use.teach import TeachPanel, build_teach, taught, teachable
from tests.ui.conftest import RunningApp


def answer(task: str) -> TaskAnswer:
    labels = (Label("red", 0.9), Label("green", 0.1))
    return TaskAnswer(task, "Colours", labels, None, 1.0, confidence=confidence(0.9, 0.1))


@pytest.fixture(scope="module")
def imported(running_app: RunningApp) -> Iterator[str]:
    """A version that was trained elsewhere."""
    service = running_app.service
    bundle = replace(read_bundle(exported(service.registry, "colours@1")[1]), name="from-elsewhere")
    yield publish_bundle(service.registry, service.base_for, bundle, actor="ann").ref


@pytest.fixture
def teach(running_app: RunningApp) -> TeachPanel:
    with gr.Blocks():
        return build_teach(running_app.service, gr.HTML())


def test_only_what_was_trained_here_can_be_taught(running_app: RunningApp, imported: str) -> None:
    answers = [answer("colours@1"), answer(imported), replace(answer("gone@1"), error="Gone.")]
    assert teachable(running_app.seen, answers) == {"colours@1"}
    viewer = running_app.service.seen_by(member("vera", "viewer"))
    assert teachable(viewer, answers) == ()
    with pytest.raises(NotTrainedHere, match="was trained elsewhere"):
        taught(running_app.seen, imported)


def test_the_menu_of_an_answer_offers_it_there_alone() -> None:
    asked = Answer((answer("colours@1"), answer("other@1")), 1.0)
    html = answer_columns(asked, {}, {"colours@1"})
    assert html.count("Add this image to the training data as …") == 1
    assert 'data-teach="colours@1"' in html
    assert "data-teach" not in answer_columns(asked, {})


def test_the_classes_of_the_task_are_offered(running_app: RunningApp, teach: TeachPanel) -> None:
    dataset, version = taught(running_app.service.seen_by(LOCAL), "colours@1")
    opened = teach.opened(version, dataset)
    assert opened[teach.ref] == "colours@1"
    assert [name for name, _value in opened[teach.label].choices] == ["green", "red"]
    assert "“Colours”" in opened[teach.title]
    assert opened[teach.panel].visible
    assert not teach.closed()[teach.panel].visible
