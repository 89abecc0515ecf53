"""A result begins with its accuracy beside others, and with the images and their answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from loravit_web.catalog.earlier import Compared, Measured
from loravit_web.runs.results import Result, result_of
from loravit_web.ui.kit.uploads import uploaded_image
from loravit_web.ui.train.default import DefaultPanel, build_default
from loravit_web.ui.train.judged import answered_images, judged_html, picture_to_try
from loravit_web.ui.train.stage import before_text, headline
from registry import DEFAULT_ALIAS, Version
from tests.conftest import RECIPE, train_now
from tests.ui.conftest import RunningApp

ONE, OTHER = frozenset({"a"}), frozenset({"b"})


@pytest.fixture
def result(running_app: RunningApp) -> Result:
    run = running_app.service.registry.runs.list()[-1]
    return result_of(running_app.service.registry, run.id)


@pytest.fixture
def mistaken(result: Result) -> Result:
    """The result, with a wrong answer for the last image."""
    assert result.predictions is not None
    *others, last = result.predictions["test"]
    wrong = replace(last, predicted=1 - last.true, score=0.6)
    return replace(result, predictions={"test": (*others, wrong)})


@pytest.fixture(scope="module")
def second(running_app: RunningApp) -> Version:
    """Another version of the same adapter, from the same data."""
    service = running_app.service
    data = service.datasets.import_source(running_app.images)
    run = train_now(service, data, "Colours", replace(RECIPE, seed=1), service.new_worker())
    return result_of(service.registry, run.id).version


def test_mistakes_are_first_and_say_what_was_predicted(running_app: RunningApp, mistaken: Result) -> None:
    dataset = running_app.service.datasets.load(mistaken.run.dataset.fingerprint)
    first, *others = answered_images(mistaken, dataset, "test")
    assert first.answer.true != first.answer.predicted
    assert all(one.answer.true == one.answer.predicted for one in others)
    html = judged_html(mistaken, dataset, "test")
    assert html.index("lv-wrong") < html.index("lv-right")
    assert "1 mistake in 8 images" in html
    assert "Only mistakes" in html
    assert html.count("data-image=") == 8


def test_without_mistakes_there_is_nothing_to_switch(running_app: RunningApp, result: Result) -> None:
    dataset = running_app.service.datasets.load(result.run.dataset.fingerprint)
    assert "Only mistakes" not in judged_html(result, dataset, "test")
    assert judged_html(replace(result, predictions=None), dataset, "test") == ""


def test_the_image_to_try_is_one_of_the_correct_ones_or_the_chosen_one(
    running_app: RunningApp, result: Result
) -> None:
    seen = running_app.seen
    picture = picture_to_try(seen, result.run.id)
    assert picture is not None
    assert uploaded_image(seen, picture).size == (32, 32)
    assert Path(picture["path"]).exists()
    assert picture_to_try(seen, result.run.id, "of no image:0") is None


@pytest.mark.parametrize(
    ("old", "text"),
    [
        (Measured(8, 0.75, ONE), "6 of 8 · +25.0 points, same images"),
        (Measured(8, 0.75, OTHER), "75% of 8 · +25.0 points (95% CI -12 to +59), other images"),
    ],
)
def test_the_difference_from_the_version_before_is_in_points(
    result: Result, old: Measured, text: str
) -> None:
    compared = Compared(result.version, "test", Measured(8, 1.0, ONE), old)
    assert before_text(compared) == text


def test_a_second_version_stands_beside_the_first(running_app: RunningApp, second: Version) -> None:
    html = headline(running_app.seen, result_of(running_app.service.registry, second.run_id or ""))
    assert "<dt>Version 1</dt>" in html
    assert "same images" in html
    assert "Probe</dt>" in html


def test_people_are_asked_only_while_they_get_an_earlier_version(
    running_app: RunningApp, second: Version
) -> None:
    with gr.Blocks():
        panel = build_default(running_app.service, gr.State(None))

    def asked() -> Any:
        return panel.asked(running_app.seen, second)

    assert not asked()[panel.buttons].visible
    aliases = running_app.service.registry.aliases
    aliases.promote("colours@1", DEFAULT_ALIAS, actor="ann")
    question = asked()
    assert question[panel.buttons].visible
    assert "People do not get version 2 yet." in question[panel.text]
    assert question[panel.keep].value == "Keep version 1 as what people get"
    assert question[panel.use].value == "Use version 2"
    aliases.promote("colours@2", DEFAULT_ALIAS, actor="ann")
    assert not asked()[panel.buttons].visible
    assert "People get version 2." in DefaultPanel.decided(panel, 2)[panel.text]
    aliases.remove("colours", DEFAULT_ALIAS, actor="ann")
