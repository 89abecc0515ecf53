"""The tasks that fit an image are those whose answer is sure, for an image like their training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from loravit_web.serving.answers import Answer, Label, TaskAnswer
from loravit_web.serving.predictor import MAX_TASKS
from loravit_web.training.files.reliability import confidence
from loravit_web.ui.use.examples import examples, opening_of
from loravit_web.ui.use.fitting import Fitting, NoImageToFit, fitting_line, fitting_tasks
from tests.ui.conftest import RunningApp


def answer(task: str, score: float, *, novelty: float | None = None) -> TaskAnswer:
    labels = (Label("yes", score), Label("no", 1 - score))
    sure = confidence(score, 1 - score)
    return TaskAnswer(task, task.title(), labels, None, 1.0, confidence=sure, novelty=novelty)


@pytest.fixture
def image(running_app: RunningApp) -> dict[str, str]:
    """An uploaded image."""
    picture = opening_of(running_app.seen, examples()[0]).picture
    assert picture is not None
    return {"path": str(picture["path"])}


def test_sure_answers_for_familiar_images_fit_the_surest_first(
    running_app: RunningApp, image: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        "sure@1": answer("sure@1", 0.9, novelty=0.7),
        "old@1": answer("old@1", 0.95),
        "surest@1": answer("surest@1", 0.99, novelty=0.4),
        "unsure@1": answer("unsure@1", 0.52),
        "unlike@1": answer("unlike@1", 0.99, novelty=1.4),
        "failed@1": TaskAnswer("failed@1", "failed@1", (), "It failed.", 0.0),
    }
    predictor = type(running_app.seen.predictor)
    monkeypatch.setattr(predictor, "loaded", lambda _self: list(known))

    def classify(_self: Any, _image: Any, tasks: Sequence[str], **_options: Any) -> Answer:
        return Answer(tuple(known[task] for task in tasks), 1.0)

    monkeypatch.setattr(predictor, "classify", classify)
    fitting = fitting_tasks(running_app.seen, image)
    assert [one.task for one in fitting.found] == ["surest@1", "sure@1"]
    line = fitting_line(fitting)
    assert "2 of 6 tasks fit this image" in line
    assert line.index("Surest@1 (yes)") < line.index("Sure@1 (yes)")
    assert "Old@1" not in line


def test_versions_that_cannot_tell_are_named_only_if_no_other_fits() -> None:
    unsure = Fitting((), (answer("old@1", 0.95),), 3)
    assert [one.task for one in unsure.found] == ["old@1"]
    assert "1 of 3 tasks may fit: Old@1 (yes). Their versions cannot tell" in fitting_line(unsure)


def test_more_tasks_than_one_request_may_name_are_asked_in_parts(
    running_app: RunningApp, image: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []

    def classify(_self: Any, _image: Any, tasks: Sequence[str], **_options: Any) -> Answer:
        parts.append(len(tasks))
        return Answer((), 1.0)

    predictor = type(running_app.seen.predictor)
    monkeypatch.setattr(predictor, "loaded", lambda _self: [f"task-{n}" for n in range(MAX_TASKS + 1)])
    monkeypatch.setattr(predictor, "classify", classify)
    assert fitting_tasks(running_app.seen, image) == Fitting((), (), MAX_TASKS + 1)
    assert parts == [MAX_TASKS, 1]


def test_the_tasks_in_memory_are_asked(running_app: RunningApp, image: dict[str, str]) -> None:
    assert running_app.seen.predictor.loaded() == ["colours"]
    assert fitting_tasks(running_app.seen, image).asked == 1


def test_without_an_image_nothing_is_asked(running_app: RunningApp) -> None:
    with pytest.raises(NoImageToFit, match="Choose an image"):
        fitting_tasks(running_app.seen, None)


def test_no_fitting_task_and_no_loaded_task_are_said() -> None:
    assert "None of 8 tasks fits this image" in fitting_line(Fitting((), (), 8))
    assert "No task is loaded" in fitting_line(Fitting((), (), 0))
