"""Answers as HTML: escaped, side by side, and clear about low confidence."""

from __future__ import annotations

from markupsafe import Markup

from loravit_web.serving.answers import Answer, Label, TaskAnswer
from loravit_web.training.files.reliability import confidence
from loravit_web.ui.use.answers import answer_columns
from tests.ui.kit.test_markup import EVIL


def answered(*scores: float, task: str = "a@1") -> TaskAnswer:
    labels = tuple(Label(f"class {i}", score) for i, score in enumerate(scores))
    return TaskAnswer(task, "A", labels, None, 1.0, confidence=confidence(*[*scores, 0.0][:2]))


def test_names_from_users_are_escaped() -> None:
    html = answer_columns(Answer((TaskAnswer(EVIL, EVIL, (Label(EVIL, 0.5),), None, 1.0),), 2.0), {})
    assert "<img" not in html
    assert "&lt;img" in html


def test_a_task_that_fails_shows_its_sentence_beside_the_others() -> None:
    bad = TaskAnswer("b", "b", (), "There is no b.", 0.0)
    html = answer_columns(Answer((answered(0.9, 0.1), bad), 3.0), {})
    assert "class 0" in html
    assert "There is no b." in html
    assert "1 task · 3 ms" in html


def test_an_answer_without_a_clear_winner_says_that_its_confidence_is_low() -> None:
    for scores, is_low in (((0.9, 0.1), False), ((0.45, 0.2), True), ((0.55, 0.45), True), ((1.0,), False)):
        assert ("Low confidence" in answer_columns(Answer((answered(*scores),), 1.0), {})) == is_low, scores


def test_an_answer_with_several_labels_marks_all_of_them_and_says_if_there_is_none() -> None:
    cat, dog, hen = Label("cat", 0.9), Label("dog", 0.6), Label("hen", 0.1)
    both = TaskAnswer("p@1", "P", (cat, hen), None, 1.0, None, (cat, dog))
    html = answer_columns(Answer((both,), 1.0), {})
    assert html.count('class="lv-top"') == 2
    assert html.index("cat") < html.index("dog") < html.index("hen")
    assert "None of its labels" not in html
    assert "Low confidence" not in html
    nothing = TaskAnswer("p@1", "P", (hen,), None, 1.0, None, ())
    assert "None of its labels" in answer_columns(Answer((nothing,), 1.0), {})


def test_a_heat_map_stands_with_its_task() -> None:
    html = answer_columns(
        Answer((answered(0.9), answered(0.8, task="b@1")), 1.0), {"b@1": Markup("<figure>map of b</figure>")}
    )
    assert html.index("map of b") > html.index("b@1")
