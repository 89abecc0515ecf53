"""Answers as HTML: escaped, side by side, and clear about low confidence."""

from __future__ import annotations

from dataclasses import replace

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


def test_an_answer_for_an_image_that_is_nearly_unlike_says_so_and_names_one_class() -> None:
    for scores, question in (((0.9, 0.1), "class 0?"), ((0.55, 0.45), "class 0 or class 1?")):
        near = replace(answered(*scores), novelty=0.9)
        html = answer_columns(Answer((near,), 1.0), {})
        assert f'<p class="lv-verdict">{question}</p>' in html
        assert "Low confidence: hardly like the training images" in html


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


def test_the_best_class_of_a_sure_answer_an_unsure_one_and_no_match_look_different() -> None:
    known, unsure = answered(0.9, 0.1), answered(0.5, 0.45)
    unlike = replace(answered(0.99, 0.01), novelty=1.5)
    shown = [answer_columns(Answer((one,), 1.0), {}) for one in (known, unsure, unlike)]
    assert ["lv-is-sure" in html for html in shown] == [True, False, False]
    assert ["lv-is-unsure" in html for html in shown] == [False, True, False]
    assert ["lv-is-unlike" in html for html in shown] == [False, False, True]
    assert "class 0 or class 1?" in shown[1]
    assert "No match" in shown[2]
    assert "Unlike the training images" in shown[2]


def test_each_answer_has_a_sentence_for_screen_readers_and_a_heading() -> None:
    unlike = replace(answered(0.99, 0.01), novelty=1.5)
    failed = TaskAnswer("b", "B", (), "There is no b.", 0.0)
    for one, said in (
        (answered(0.9, 0.1), "A: class 0 90%."),
        (answered(0.5, 0.45), "A: unsure, class 0 or class 1."),
        (unlike, "A: no match."),
        (failed, "B: There is no b."),
    ):
        html = answer_columns(Answer((one,), 1.0), {})
        assert f'data-say="{said}"' in html
        assert "<h2>" in html


def test_the_menu_of_an_answer_leads_to_its_version_unless_it_is_not_published() -> None:
    published = answer_columns(Answer((answered(0.9, task="flowers@2"),), 1.0), {})
    assert 'href="?tab=catalog&amp;adapter=flowers%402" data-card="flowers@2"' in published
    first = answer_columns(Answer((answered(0.9, task="run:1234"),), 1.0), {})
    assert "data-card" not in first
    assert "data-fit" in first
