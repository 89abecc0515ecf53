"""Step 1 of Train shows which images without labels a task should learn next, and takes decisions on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from loravit_web.access.rights import LOCAL, NotAllowed, member
from loravit_web.actions import Actions
from loravit_web.datasets.pool.source import open_images
from loravit_web.runs.suspects import Doubted
from loravit_web.runs.taught import taught_dataset
from loravit_web.serving.pool_ranking import suggestions
from loravit_web.training.files.suspects import SuspectsDamaged
from loravit_web.ui.kit.presence import Presence
from loravit_web.ui.train.review import pool as pool_module
from loravit_web.ui.train.review.pool import (
    PoolPanel,
    UnreadableDecision,
    build_pool,
    read_decision,
    review_html,
    status_text,
    suspects_said,
    trained_tasks,
    why_text,
)
from tests.conftest import make_colours
from tests.ui.conftest import RunningApp


@pytest.fixture(scope="module")
def pool(running_app: RunningApp) -> PoolPanel:
    """The tab without a server."""
    with gr.Blocks():
        return build_pool(running_app.service, Presence())


@pytest.fixture
def filled(running_app: RunningApp, tmp_path: Path) -> Iterator[RunningApp]:
    """An app with four images in the pool of colours."""
    images = make_colours(tmp_path / "pool", per_class=4, names=("skipped", "green")) / "green"
    with open_images([images]) as source:
        Actions(running_app.service, LOCAL).add_to_pool("colours", source)
    yield running_app
    running_app.service.pools.remove("colours")


def test_tasks_that_were_trained_here_are_offered(running_app: RunningApp) -> None:
    assert trained_tasks(running_app.seen) == [("Colours", "colours")]


def test_a_pool_is_shown_in_numbers_with_what_can_be_done(filled: RunningApp, pool: PoolPanel) -> None:
    shown = pool.shown(filled.seen, "colours", said="4 images added.")
    assert "4 images added. 4 images: 4 to look at, 0 confirmed, 0 skipped." in shown[pool.status]
    assert (shown[pool.show].visible, shown[pool.join].visible, shown[pool.delete].visible) == (
        True,
        False,
        True,
    )
    image = filled.seen.pools.images("colours")[0]
    Actions(filled.service, LOCAL).confirm("colours", image.sha256, "red")
    decided = pool.decided(filled.seen, "colours")
    assert decided[pool.join].value == "Add 1 confirmed image to the data"
    assert pool.review not in decided
    assert not pool.shown(filled.seen, None)[pool.show].visible


def test_a_damaged_list_of_suspects_does_not_keep_the_images_away(
    filled: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_of: object) -> list[Doubted]:
        raise SuspectsDamaged("The suspicious labels of the run cannot be read.")

    assert suspects_said(filled.seen, "colours") == ""
    monkeypatch.setattr(pool_module, "doubted_of_task", damaged)
    assert suspects_said(filled.seen, "colours") == "The suspicious labels of the run cannot be read."


def test_only_an_admin_sees_the_switch_for_images_of_requests(filled: RunningApp, pool: PoolPanel) -> None:
    editor = filled.service.seen_by(member("ann", "editor"))
    assert not pool.shown(editor, "colours")[pool.collecting].visible
    assert pool.shown(filled.seen, "colours")[pool.collecting].visible


def test_each_image_has_its_classes_with_the_answer_marked(filled: RunningApp) -> None:
    seen = filled.seen
    dataset, version = taught_dataset(seen.registry, seen.datasets, "colours")
    found = suggestions(seen.predictor, version, seen.pools, most=20)
    html = str(review_html(seen, "colours", dataset, found))
    assert html.count("<li data-sha=") == 4
    assert html.count("data-best") == 4
    assert html.count('data-label="red"') == html.count('data-label="green"') == 4
    assert html.count('data-src="gradio_api/file=') == 4
    assert {why_text(one) for one in found} <= {
        "Unlike the training images",
        "The task is unsure",
        "Unlike the other images here",
    }
    empty = str(review_html(seen, "colours", dataset, []))
    assert "No image waits for a decision." in empty


def test_a_decision_of_the_page_is_read() -> None:
    def sent(**given: Any) -> str:
        return json.dumps({"sha": "ab", "label": None, "undo": False, **given})

    assert read_decision(sent(label="cat")) == ("ab", "cat", False)
    assert read_decision(sent()) == ("ab", None, False)
    assert read_decision(sent(undo=True)) == ("ab", None, True)
    for text in ("", "[]", "{}", "[" * 100_000):
        with pytest.raises(UnreadableDecision):
            read_decision(text)


def test_a_viewer_sees_no_image_of_a_pool(filled: RunningApp) -> None:
    viewer = filled.service.seen_by(member("vera", "viewer"))
    with pytest.raises(NotAllowed):
        viewer.visitor.must("train")
    assert "No images without labels yet" in status_text(viewer.pools.summary("nothing"))
